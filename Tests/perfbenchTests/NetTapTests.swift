import Foundation
import NetBackend
import Testing

@testable import perfbench

/// `perfbench net --sink tap` on real TAP devices.
@Suite(.serialized, .enabled(if: canUseTap, "TAP devices may not be made, or raw sockets not used"))
struct NetTapTests {
    private static func tap(_ arguments: String...) throws -> CommandLineTests.Outcome {
        try NetCommandTests.net(["--sink", "tap"] + arguments)
    }

    @Test(arguments: ["tx", "rx", "both"])
    func `frames arrive as they were sent, on every lane`(direction: String) throws {
        let outcome = try Self.tap(
            "--direction", direction, "--verify", "--frame-size", "60,1514,9000,65226",
            "--format", "json")
        try #require(outcome.status == 0, "said: \(outcome.complaint)")
        let report = try #require(
            try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
        let runs = try #require(report["runs"] as? [[String: Any]])
        #expect(runs.count == 16)
        for run in runs {
            #expect(run["sink"] as? String == "tap")
            #expect(run["direction"] as? String == direction)
            #expect((run["received_pps"] != nil) == (direction == "both"))
            let rate = try #require(run["pps"] as? [String: Double])
            #expect(try #require(rate["median"]) > 0)
            #expect(run["drops"] is [String: Int])
        }
        #expect(try Self.leftovers() == [])
    }

    @Test func `a device that is there is used, and stays`() throws {
        let name = TapInterface.newName(.virtqueue) + "t"
        try Self.ip("tuntap", "add", "dev", name, "mode", "tap")
        defer { try? Self.ip("link", "delete", name) }
        for via in ["virtqueue", "vhost-user"] {
            let arguments = ["--tap", name, "--via", via, "--frame-size", "100", "--verify"]
            let down = try Self.tap(arguments)
            #expect(down.status == 69)
            #expect(down.complaint.contains("ip link set dev \(name) up"))
            try Self.ip("link", "set", "dev", name, "up")
            let outcome = try Self.tap(arguments)
            #expect(outcome.status == 0, "said: \(outcome.complaint)")
            #expect(try Self.interfaces().contains(name))
            try Self.ip("link", "set", "dev", name, "down")
        }
    }

    @Test func `a device that is not there, or is none, is refused`() throws {
        let none = try Self.tap("--tap", "nonesuch0", "--via", "virtqueue")
        #expect(none.status == 66)
        #expect(none.complaint.contains("ip tuntap add dev nonesuch0 mode tap"))
        let other = try Self.tap("--tap", "lo", "--via", "virtqueue")
        #expect(other.status == 66)
        // What the other process says of it, and its status, are this one's.
        let backends = try Self.tap("--tap", "lo", "--via", "vhost-user")
        #expect(backends.status == 66)
        #expect(backends.complaint == other.complaint)
    }

    private static func tap(_ arguments: [String]) throws -> CommandLineTests.Outcome {
        try NetCommandTests.net(["--sink", "tap"] + arguments)
    }

    /// TAP devices of runs that are over.
    private static func leftovers() throws -> [String] {
        try interfaces().filter {
            guard $0.hasPrefix("perf"), let id = Int($0.dropFirst(4).dropLast()) else {
                return false
            }
            return !FileManager.default.fileExists(atPath: "/proc/\(id)")
        }
    }

    private static func interfaces() throws -> Set<String> {
        Set(try FileManager.default.contentsOfDirectory(atPath: "/sys/class/net"))
    }

    private static func ip(_ arguments: String...) throws {
        let outcome = try CommandLineTests.run(["ip"] + arguments)
        try #require(outcome.status == 0, "said: \(outcome.complaint)")
    }
}

@Suite struct NetTapPermissionTests {
    @Test(
        .enabled(if: getuid() == 0 && hasUring, "becomes another user"),
        arguments: ["virtqueue", "vhost-user"])
    func `without permission it says what it takes, status 77`(via: String) throws {
        let outcome = try CommandLineTests.run(
            ["setpriv", "--reuid=65534", "--clear-groups", CommandLineTests.executable, "net"]
                + ["--sink", "tap", "--via", via, "--queue-size", "16", "--frame-size", "64"]
                + ["--burst", "4"] + CommandLineTests.quick)
        // Where the device's node is not there at all it is another matter.
        let isThere = FileManager.default.fileExists(atPath: "/dev/net/tun")
        #expect(outcome.status == (isThere ? 77 : 69), "said: \(outcome.complaint)")
        #expect(!isThere || outcome.complaint.contains("CAP_NET_ADMIN"))
        #expect(outcome.complaint.split(separator: "\n").count == 1)
    }
}

/// Whether TAP devices can be made here, and raw frames sent and received.
let canUseTap: Bool = {
    guard hasUring else { return false }
    do {
        let name = TapInterface.newName(.virtqueue) + "c"
        let device = try TapDevice(name: name)
        _ = try TapInterface(made: device.name)
        _ = try PacketSocket(interface: name, receives: true)
        return true
    } catch {
        return false
    }
}()
