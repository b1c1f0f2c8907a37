import CommandSupport
import FoundationEssentials
import Glibc
import NetBackend

/// The interface of the kernel that is the other end of a TAP device.
struct TapInterface {
    let name: String
    /// The greatest length of a packet that it takes whole.
    let mtu: Int

    /// The longest frame on a TAP device: what is to be segmented and is longer the kernel segments itself
    /// (`GSO_LEGACY_MAX_SIZE`).
    static let frameByteCountMax = 65535
    /// The longest that Linux sends over Ethernet: 45 segments of 1448 bytes, and one header.
    static let frameByteCountUsual = 65226

    /// An interface that somebody else has made.
    ///
    /// - Throws: `CommandFailure` where there is none, or it is down.
    init(existing name: String) throws {
        guard !name.contains("/"), let mtu = Self.number(name, "mtu") else {
            throw CommandFailure(
                .noInput,
                "TAP device \(name) does not exist; make it by 'ip tuntap add dev \(name) mode tap', or "
                    + "leave out --tap, and perfbench makes one")
        }
        guard TapDevice.isUp(name) else {
            throw CommandFailure(
                .unavailable,
                "TAP device \(name) is down; bring it up by 'ip link set dev \(name) up'")
        }
        self.name = name
        self.mtu = mtu
    }

    /// An interface that a device of this run has just made: it is brought up, without an address.
    init(made name: String) throws {
        // So that the kernel sends no frames of its own. Where that is not to be had it sends a few.
        try? "1".write(
            toFile: "/proc/sys/net/ipv6/conf/\(name)/disable_ipv6", atomically: false,
            encoding: .utf8)
        try TapDevice.setUp(name, isUp: true)
        try self.init(existing: name)
    }

    /// A name for one that this run makes.
    static func newName(_ via: NetVia) -> String {
        "perf\(getpid())" + (via == .virtqueue ? "q" : "v")
    }

    /// How many frames the host has got from the device since the interface was made.
    var receivedCount: Int { Self.number(name, "statistics/rx_packets") ?? 0 }

    private static func number(_ name: String, _ file: String) -> Int? {
        guard
            let text = try? String(
                contentsOfFile: "/sys/class/net/\(name)/\(file)", encoding: .utf8)
        else { return nil }
        return Int(text.prefix { $0.isNumber })
    }
}
