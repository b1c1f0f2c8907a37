import Foundation
import Glibc
public import Virtqueue

/// Sends and receives whole frames by an interface (`packet(7)`).
public final class PacketSocket {
    private let descriptor: Int32

    private static let protocolOfAll: UInt16 = 3

    public init(interface: String) throws {
        // The kernel's own frames would come in between.
        try? "1".write(
            toFile: "/proc/sys/net/ipv6/conf/\(interface)/disable_ipv6", atomically: false,
            encoding: .utf8)
        let index = try String(
            contentsOfFile: "/sys/class/net/\(interface)/ifindex", encoding: .utf8)
        guard let index = Int32(index.trimmingCharacters(in: .whitespacesAndNewlines)) else {
            throw NotToBeHad("an index of \(interface)")
        }
        descriptor = socket(
            AF_PACKET, Int32(SOCK_RAW.rawValue), Int32(Self.protocolOfAll.bigEndian))
        guard descriptor >= 0 else { throw NotToBeHad("a packet socket") }
        // `struct sockaddr_ll`, which Glibc's module does not have: family, protocol, interface.
        let address =
            bytes(UInt16(AF_PACKET)) + bytes(Self.protocolOfAll.bigEndian) + bytes(index)
            + [UInt8](repeating: 0, count: 12)
        var timeout = timeval(tv_sec: 5, tv_usec: 0)
        // Of long frames the usual room is for a dozen; what comes then is lost.
        var room: Int32 = 8 << 20
        // SAFETY: the address and the time live for the calls, and are as long as is said.
        let result = unsafe address.withUnsafeBytes { address in
            unsafe bind(
                descriptor, address.baseAddress?.assumingMemoryBound(to: sockaddr.self),
                socklen_t(address.count))
        }
        unsafe setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        // `SO_RCVBUFFORCE`, beyond what is anybody's.
        unsafe setsockopt(descriptor, SOL_SOCKET, 33, &room, 4)
        guard result == 0 else { throw NotToBeHad("a packet socket of \(interface)") }
    }

    deinit {
        close(descriptor)
    }

    public func send(_ frame: [UInt8]) -> Bool {
        // SAFETY: the array lives for the call.
        unsafe Glibc.send(descriptor, frame, frame.count, 0) == frame.count
    }

    /// The next frame of a test that came by the interface; `nil` where none did in time.
    public func receive() -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 70_000)
        while true {
            // SAFETY: the array has as much room.
            let count = unsafe recv(descriptor, &buffer, buffer.count, 0)
            // A process that was stopped meanwhile is interrupted, in spite of everything.
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return nil }
            if isTestFrame(buffer) { return Array(buffer.prefix(count)) }
        }
    }
}

private func bytes<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
    (0..<Value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
}

/// The address that frames of tests come from.
public let testFrameSender = MACAddress(rawValue: 0x5254_0000_0077)

/// What says to all that this address is here: a request of RARP (RFC 903), as long as a frame is at least.
public let announcementOfTests: [UInt8] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0, 0, 0x77, 0x80, 0x35,
    0, 1, 8, 0, 6, 4, 0, 3,
    0x52, 0x54, 0, 0, 0, 0x77, 0, 0, 0, 0, 0x52, 0x54, 0, 0, 0, 0x77, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
]

/// Whether a frame is of a test, by its sender: the kernel sends some of its own.
public func isTestFrame(_ bytes: [UInt8]) -> Bool {
    bytes.count >= 14 && Array(bytes[6..<12]) == testFrameSender.bytes
}

/// A frame of a type that is for experiments (`ETH_P_802_EX1`).
public func testFrame(
    _ count: Int, seed: UInt64, to destination: MACAddress = MACAddress(rawValue: 0x5254_0000_0001)
) -> [UInt8] {
    var random = SeededGenerator(seed: seed)
    return destination.bytes + testFrameSender.bytes + [0x88, 0xb5]
        + random.bytes(count - 14)
}
