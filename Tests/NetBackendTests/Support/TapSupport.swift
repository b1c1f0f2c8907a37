import Foundation
import Glibc
import NetBackend
import SharedMemory
import Virtqueue

extension Machine {
    /// Whether TAP devices can be made, and raw frames sent.
    static let hasTap: Bool = {
        guard let tap = try? TapDevice(name: tapName()), (try? tap.setUp(true)) != nil else {
            return false
        }
        return (try? PacketSocket(interface: tap.name)) != nil
    }()

    /// A name that no other test, and no other process, uses.
    static func tapName() -> String {
        "bnt\(getpid() % 1_000_000)x\(UInt16.random(in: 0...9999))"
    }
}

struct NotToBeHad: Error {}

/// Sends and receives whole frames by an interface (`packet(7)`).
final class PacketSocket {
    private let descriptor: Int32

    private static let protocolOfAll: UInt16 = 3

    init(interface: String) throws {
        // The kernel's own frames would come in between.
        try? "1".write(
            toFile: "/proc/sys/net/ipv6/conf/\(interface)/disable_ipv6", atomically: false,
            encoding: .utf8)
        let index = try String(
            contentsOfFile: "/sys/class/net/\(interface)/ifindex", encoding: .utf8)
        guard let index = Int32(index.trimmingCharacters(in: .whitespacesAndNewlines)) else {
            throw NotToBeHad()
        }
        descriptor = socket(
            AF_PACKET, Int32(SOCK_RAW.rawValue), Int32(Self.protocolOfAll.bigEndian))
        guard descriptor >= 0 else { throw NotToBeHad() }
        // `struct sockaddr_ll`, which Glibc's module does not have: family, protocol, interface.
        let address =
            bytes(UInt16(AF_PACKET)) + bytes(Self.protocolOfAll.bigEndian) + bytes(index)
            + [UInt8](repeating: 0, count: 12)
        var timeout = timeval(tv_sec: 5, tv_usec: 0)
        // SAFETY: the address and the time live for the calls, and are as long as is said.
        let result = unsafe address.withUnsafeBytes { address in
            unsafe bind(
                descriptor, address.baseAddress?.assumingMemoryBound(to: sockaddr.self),
                socklen_t(address.count))
        }
        unsafe setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        guard result == 0 else { throw NotToBeHad() }
    }

    deinit {
        close(descriptor)
    }

    func send(_ frame: [UInt8]) -> Bool {
        // SAFETY: the array lives for the call.
        unsafe Glibc.send(descriptor, frame, frame.count, 0) == frame.count
    }

    /// The next frame of a test that came by the interface; `nil` where none did in time.
    func receive() -> [UInt8]? {
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

private let testSender = MACAddress(rawValue: 0x5254_0000_0077)

/// Whether a frame is of a test, by its sender: the kernel sends some of its own.
func isTestFrame(_ bytes: [UInt8]) -> Bool {
    bytes.count >= 14 && Array(bytes[6..<12]) == testSender.bytes
}

/// A frame of a type that is for experiments (`ETH_P_802_EX1`).
func testFrame(
    _ count: Int, seed: UInt64, to destination: MACAddress = MACAddress(rawValue: 0x5254_0000_0001)
) -> [UInt8] {
    destination.bytes + testSender.bytes + [0x88, 0xb5] + frameBytes(count - 14, seed: seed)
}

/// A frame of TCP over IPv4, with no sum in its TCP header.
func tcpFrame(payload: [UInt8]) -> [UInt8] {
    let length = 40 + payload.count
    var ip: [UInt8] = [
        0x45, 0, UInt8(length >> 8), UInt8(length & 255), 0, 1, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1,
        192, 0, 2, 2,
    ]
    var sum = 0
    for index in stride(from: 0, to: 20, by: 2) { sum += Int(ip[index]) << 8 | Int(ip[index + 1]) }
    while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
    (ip[10], ip[11]) = (UInt8(~sum >> 8 & 255), UInt8(~sum & 255))
    let tcp: [UInt8] = [0, 80, 0, 90, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]
    return MACAddress(rawValue: 0x5254_0000_0001).bytes + testSender.bytes + [8, 0] + ip + tcp
        + payload
}

/// Deletes an interface, whoever has it open.
func deleteInterface(_ name: String) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["ip", "link", "delete", name]
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw NotToBeHad() }
}

extension NetDeviceBench {
    /// Waits for the next frame of a test.
    mutating func testFrameReceived() throws -> [UInt8]? {
        while let frame = try frame() {
            if isTestFrame(frame.bytes) { return frame.bytes }
        }
        return nil
    }
}
