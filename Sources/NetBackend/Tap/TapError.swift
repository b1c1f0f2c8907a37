public import SystemPackage

/// Why a TAP device cannot be used.
public struct TapError: Error, Equatable, Sendable {
    public enum Reason: Equatable, Sendable {
        /// Longer than 15 bytes, or empty.
        case invalidName
        /// This kernel has no TAP devices, or `/dev/net/tun` is not there.
        case unsupported
        /// Neither `CAP_NET_ADMIN`, nor is the device this user's.
        case permissionDenied
        /// Something else has all of its queues.
        case inUse
        /// There is an interface of the name that is none, or not with as many queues.
        case otherKind
        /// Another system call failed.
        case systemCall(String, Errno)
    }

    public let name: String
    public let reason: Reason
}

extension TapError: CustomStringConvertible {
    public var description: String {
        switch reason {
        case .invalidName:
            "\"\(name)\" is no name of an interface: it has 1 to 15 bytes, and no slash"
        case .unsupported:
            "TAP device \(name) cannot be made: this system has no /dev/net/tun"
        case .permissionDenied:
            "TAP device \(name) may not be used: it takes CAP_NET_ADMIN, or a device that was made for "
                + "this user"
        case .inUse:
            "TAP device \(name) is in use"
        case .otherKind:
            "\(name) exists and is no TAP device with this number of queues"
        case .systemCall(let operation, let errno):
            "TAP device \(name) cannot be used (\(operation): \(errno))"
        }
    }
}
