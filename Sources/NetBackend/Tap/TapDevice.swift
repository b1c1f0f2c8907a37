import CTap
import Glibc
package import SharedMemory
import Synchronization
package import SystemPackage
package import Virtqueue

/// A TAP device of this machine, whose other end is a network interface of the kernel
/// (`Documentation/networking/tuntap.rst`).
///
/// It is made where there is none of the name, and goes with this object then; one that was there before
/// stays.
///
/// **Threading.** Any thread.
public final class TapDevice: Sendable {
    public let name: String
    /// One for each pair of queues; a read or a write of one is of one frame with its header.
    package let queues: [FileDescriptor]
    /// Whether somebody has found the interface deleted.
    private let isLost = Atomic(false)
    /// Whether queues can be left out and taken in again.
    private let isMultiqueue: Bool
    /// Whether the kernel segments UDP (Linux 6.2).
    private let hasUSO: Bool

    /// - Parameters:
    ///   - name: of the interface, 1 to 15 bytes.
    ///   - queueCount: how many pairs of queues are to be connected to it, at least one.
    public init(name: String, queueCount: Int = 1) throws(TapError) {
        precondition(queueCount > 0, "a device has a queue")
        guard !name.isEmpty, name.utf8.count <= Int(ctap_name_max), !name.contains("/"),
            !name.contains("%")
        else { throw TapError(name: name, reason: .invalidName) }
        var queues: [FileDescriptor] = []
        var isMultiqueue = queueCount > 1
        do throws(TapError) {
            do throws(TapError) {
                queues.append(try Self.open(name, isMultiqueue: isMultiqueue))
            } catch {
                // One that was made with several queues can only be opened as such.
                guard error.reason == .otherKind, !isMultiqueue else { throw error }
                isMultiqueue = true
                queues.append(try Self.open(name, isMultiqueue: true))
            }
            while queues.count < queueCount {
                queues.append(try Self.open(name, isMultiqueue: true))
            }
        } catch {
            for queue in queues { try? queue.close() }
            throw error
        }
        self.name = name
        self.queues = queues
        self.isMultiqueue = isMultiqueue
        // Whether it is known, not whether it is wanted.
        let all = UInt32(ctap_offload_checksum) | UInt32(ctap_offload_uso)
        hasUSO = ctap_set_offload(queues[0].rawValue, all) == 0
        _ = ctap_set_offload(queues[0].rawValue, 0)
    }

    deinit {
        for queue in queues { try? queue.close() }
    }

    private static func open(_ name: String, isMultiqueue: Bool) throws(TapError) -> FileDescriptor
    {
        let descriptor = ctap_open()
        guard descriptor >= 0 else {
            switch Errno.current {
            case .noSuchFileOrDirectory, .noSuchAddressOrDevice, .operationNotSupportedByDevice:
                throw TapError(name: name, reason: .unsupported)
            case .permissionDenied, .notPermitted:
                throw TapError(name: name, reason: .permissionDenied)
            default:
                throw TapError(name: name, reason: .systemCall("open", .current))
            }
        }
        // SAFETY: the string lives for the call.
        guard unsafe ctap_attach(descriptor, name, isMultiqueue ? 1 : 0) == 0 else {
            let errno = Errno.current
            close(descriptor)
            throw TapError(name: name, reason: reason(ofAttaching: errno))
        }
        guard ctap_set_header(descriptor, Int32(NetHeader.byteCount)) == 0 else {
            let errno = Errno.current
            close(descriptor)
            throw TapError(name: name, reason: .systemCall("TUNSETVNETHDRSZ", errno))
        }
        return FileDescriptor(rawValue: descriptor)
    }

    private static func reason(ofAttaching errno: Errno) -> TapError.Reason {
        switch errno {
        case .permissionDenied, .notPermitted: .permissionDenied
        case .resourceBusy: .inUse
        // Another kind of interface, or a TAP with one queue that was asked for several, or the reverse.
        case .invalidArgument: .otherKind
        // More queues than it may have.
        case .argListTooLong: .otherKind
        default: .systemCall("TUNSETIFF", errno)
        }
    }

    /// What of a frame's work the kernel takes, and leaves to who has agreed to it.
    var offloads: VirtioFeatures {
        let all = VirtioFeatures.netHostOffloads.union(.netGuestOffloads)
        return hasUSO ? all : all.subtracting([.netHostUSO, .netGuestUSO4, .netGuestUSO6])
    }

    /// Says what a driver takes unfinished.
    package func setOffloads(_ features: VirtioFeatures) throws(SystemCallError) {
        var offload: UInt32 = 0
        // Nothing is segmented without checksums.
        if features.contains(.netGuestChecksum) {
            offload |= UInt32(ctap_offload_checksum)
            if features.contains(.netGuestTSO4) { offload |= UInt32(ctap_offload_tso4) }
            if features.contains(.netGuestTSO6) { offload |= UInt32(ctap_offload_tso6) }
            if hasUSO, features.contains([.netGuestUSO4, .netGuestUSO6]) {
                offload |= UInt32(ctap_offload_uso)
            }
        }
        guard ctap_set_offload(queues[0].rawValue, offload) == 0 else {
            throw SystemCallError("TUNSETOFFLOAD", .current)
        }
    }

    /// Notes that the interface was deleted.
    ///
    /// - Returns: whether nobody has noted it before.
    func noteLoss() -> Bool { !isLost.exchange(true, ordering: .relaxed) }

    /// Says whether a queue takes part: frames are spread over those that do.
    func setQueue(_ index: Int, isUsed: Bool) {
        // One that takes part already, or does not: the kernel refuses, and nothing changes.
        if isMultiqueue { _ = ctap_set_queue(queues[index].rawValue, isUsed ? 1 : 0) }
    }

    /// Whether the interface is up; false where there is none any more.
    public var isUp: Bool { Self.isUp(name) }

    /// Brings the interface up or down, as `ip link set` does. It takes `CAP_NET_ADMIN`.
    public func setUp(_ isUp: Bool) throws(TapError) { try Self.setUp(name, isUp: isUp) }

    /// Whether the interface of a name is up, whoever has the device; false where there is none.
    public static func isUp(_ name: String) -> Bool {
        // SAFETY: the string lives for the call.
        unsafe ctap_is_up(name) == 1
    }

    /// Brings the interface of a name up or down, whoever has the device.
    public static func setUp(_ name: String, isUp: Bool) throws(TapError) {
        // SAFETY: the string lives for the call.
        guard unsafe ctap_set_up(name, isUp ? 1 : 0) == 0 else {
            throw TapError(name: name, reason: .systemCall("SIOCSIFFLAGS", .current))
        }
    }

    /// A socket that gives a message whenever an interface has changed.
    static func watchLinks() throws(SystemCallError) -> FileDescriptor {
        let descriptor = ctap_watch_links()
        guard descriptor >= 0 else { throw SystemCallError("socket", .current) }
        return FileDescriptor(rawValue: descriptor)
    }
}

extension Errno {
    /// The error of the last system call of this thread.
    fileprivate static var current: Errno { Errno(rawValue: errno) }
}
