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

    /// Whether this kernel segments UDP that a TAP device gives it (Linux 6.2).
    static let hasUSO: Bool =
        (try? TapDevice(name: tapName())).map {
            NetDevice(.tap($0)).features.contains(.netHostUSO)
        } ?? false

    /// A name that no other test, and no other process, uses.
    static func tapName() -> String {
        "bnt\(getpid() % 1_000_000)x\(UInt16.random(in: 0...9999))"
    }
}

/// A frame of TCP over IPv4, with no sum in its TCP header.
func tcpFrame(payload: [UInt8]) -> [UInt8] {
    let header: [UInt8] = [
        0, 80, 0, 90, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0,
    ]
    return ipFrame(of: 6, header + payload)
}

/// A frame of UDP over IPv4, with no sum in its UDP header.
func udpFrame(payload: [UInt8]) -> [UInt8] {
    let length = 8 + payload.count
    return ipFrame(
        of: 17, [0, 80, 0, 90, UInt8(length >> 8), UInt8(length & 255), 0, 0] + payload)
}

private func ipFrame(of transport: UInt8, _ packet: [UInt8]) -> [UInt8] {
    let length = 20 + packet.count
    var ip: [UInt8] = [
        0x45, 0, UInt8(length >> 8), UInt8(length & 255), 0, 1, 0x40, 0, 64, transport, 0,
        0, 192, 0, 2, 1,
        192, 0, 2, 2,
    ]
    var sum = 0
    for index in stride(from: 0, to: 20, by: 2) { sum += Int(ip[index]) << 8 | Int(ip[index + 1]) }
    while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
    (ip[10], ip[11]) = (UInt8(~sum >> 8 & 255), UInt8(~sum & 255))
    return MACAddress(rawValue: 0x5254_0000_0001).bytes + testFrameSender.bytes + [8, 0] + ip
        + packet
}

/// Sends a datagram by UDP that the kernel, or who is behind it, is to cut into several.
///
/// - Parameter segment: how long each of them is to be, in bytes.
func sendDatagrams(_ payload: [UInt8], segment: Int32, to address: String) throws {
    let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
    defer { close(descriptor) }
    var segment = segment
    var target = sockaddr_in()
    target.sin_family = sa_family_t(AF_INET)
    target.sin_port = UInt16(9).bigEndian
    let (udp, udpSegment) = (Int32(IPPROTO_UDP), Int32(103))
    // SAFETY: the string and the locals live for the calls, and are as long as is said.
    target.sin_addr.s_addr = unsafe inet_addr(address)
    let count = unsafe withUnsafePointer(to: &target) { target in
        unsafe setsockopt(descriptor, udp, udpSegment, &segment, 4)
        return unsafe target.withMemoryRebound(to: sockaddr.self, capacity: 1) { target in
            unsafe sendto(
                descriptor, payload, payload.count, 0, target,
                socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
    guard count == payload.count else { throw NotToBeHad("UDP segmentation") }
}

extension NetDeviceBench {
    /// Waits for the next frame of UDP over IPv4.
    mutating func udpFrameReceived() throws -> (header: NetHeader, bytes: [UInt8])? {
        while let frame = try frame() {
            if frame.bytes.count > 34, frame.bytes[12...13] == [8, 0], frame.bytes[23] == 17 {
                return frame
            }
        }
        return nil
    }

    /// Waits for the next frame of a test.
    mutating func testFrameReceived() throws -> [UInt8]? {
        while let frame = try frame() {
            if isTestFrame(frame.bytes) { return frame.bytes }
        }
        return nil
    }
}
