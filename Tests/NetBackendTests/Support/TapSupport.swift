import Foundation
import Glibc
import NetBackend
import SharedMemory
import TestSupport
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
    return MACAddress(rawValue: 0x5254_0000_0001).bytes + testFrameSender.bytes + [8, 0] + ip + tcp
        + payload
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
