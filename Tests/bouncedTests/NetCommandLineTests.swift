import Foundation
import NetBackend
import TestSupport
import Testing

/// What `bounced net` says and how it ends where it cannot begin.
@Suite struct NetCommandLineTests {
    private func expectRefusal(
        _ arguments: [String], _ status: Int32, _ part: String, prefix: [String] = []
    ) throws {
        let end = try Daemon(arguments, device: "net", prefix: prefix).finish()
        #expect(end.status == status, "said: \(end.complaint)")
        #expect(end.complaint.contains(part), "said: \(end.complaint)")
        #expect(!end.complaint.contains("Fatal error"))
        #expect(end.output.isEmpty)
    }

    @Test(arguments: [
        (["--drop"], "name one socket"), (["--socket-path", "/tmp/x"], "name one thing"),
        (["--fd", "0", "--drop", "--loopback"], "name one thing"),
        (["--fd", "0", "--drop", "--tap", "x"], "name one thing"),
        (["--fd", "0", "--drop", "--num-queues", "0"], "--num-queues 0"),
        (["--fd", "0", "--drop", "--num-queues", "128"], "--num-queues 128"),
        (["--fd", "0", "--drop", "--mtu", "67"], "--mtu 67"),
        (["--fd", "0", "--drop", "--mtu", "65536"], "--mtu 65536"),
        (["--fd", "0", "--drop", "--mac", "52:54:00"], "--mac 52:54:00 "),
        (["--fd", "0", "--drop", "--mac", "01:00:5e:00:00:01"], "--mac 01:"),
        (["--fd", "0", "--drop", "--mac", "00:00:00:00:00:00"], "--mac 00:"),
        (["--fd", "0", "--drop", "--queue-size", "48"], "--queue-size 48"),
        (["--fd", "0", "--drop", "--poll-microseconds=-1"], "--poll-microseconds -1"),
        (["--fd", "0", "--drop", "--log-level", "loud"], "loud"),
        (["--fd", "0", "--drop", "--blk-file", "/dev/null"], "Unknown option"),
        (["--fd", "0", "--tap", "more-than-15-bytes"], "1 to 15 bytes"),
        (["--fd", "0", "--tap", ""], "1 to 15 bytes"),
        (["--fd", "1000000", "--drop"], "no Unix stream socket"),
    ])
    func `what cannot be asked for is refused with status 64`(
        arguments: [String], part: String
    ) throws {
        try expectRefusal(arguments, 64, part)
    }

    @Test func `a socket cannot be made where there is no directory`() throws {
        try expectRefusal(["--socket-path", "/nonexistent/x", "--drop"], 73, "/nonexistent/x")
    }

    @Test(arguments: [nil, "bounced-net"])
    func `what the program can do is JSON for a management program`(program: String?) throws {
        for arguments in [[], ["--tap", "--mtu", "x"]] {
            let end = try Daemon(
                arguments + ["--print-capabilities"], device: "net", program: program
            ).finish()
            #expect(end.status == 0 && end.complaint.isEmpty, "said: \(end.complaint)")
            let value = try JSONSerialization.jsonObject(with: Data(end.output.utf8))
            let object = try #require(value as? [String: Any])
            #expect(object["type"] as? String == "net")
            #expect((object["features"] as? [String])?.isEmpty == true)
        }
    }

    @Test func `help names every option, with its default`() throws {
        let end = try Daemon(["--help"], device: "net").finish()
        #expect(end.status == 0)
        for part in ["--tap", "--mtu", "(default: 1500)", "--log-level", "default: info)", "69 "] {
            #expect(end.output.contains(part), "\(part) is not in: \(end.output)")
        }
    }

    @Test(.enabled(if: Tap.isPermitted))
    func `a name that something else has is refused with status 66`() throws {
        try expectRefusal(["--fd", "0", "--tap", "lo"], 66, "lo exists and is no TAP device")
        let tun = try Tap(mode: "tun")
        try expectRefusal(["--fd", "0", "--tap", tun.name], 66, "\(tun.name) exists and is no TAP")
        let single = try Tap()
        try expectRefusal(
            ["--fd", "0", "--tap", single.name, "--num-queues", "2"], 66,
            "no TAP device with this number of queues")
    }

    @Test(.enabled(if: Tap.isPermitted))
    func `a TAP device that is in use is refused with status 77`() throws {
        let tap = try Tap()
        let user = try TapDevice(name: tap.name)
        try expectRefusal(["--fd", "0", "--tap", tap.name], 77, "\(tap.name) is in use")
        withExtendedLifetime(user) {}
    }

    @Test(.enabled(if: Tap.isPermitted && hasSetpriv))
    func `a TAP device takes permission`() throws {
        let tap = try Tap("user", "65533")
        for name in [tap.name, "bncnone"] {
            try expectRefusal(
                ["--fd", "0", "--tap", name], 77, "\(name) may not be used",
                prefix: [
                    "/usr/bin/env", "setpriv", "--bounding-set=-net_admin",
                    "--inh-caps=-net_admin",
                ])
        }
    }
}

private let hasSetpriv = FileManager.default.isExecutableFile(atPath: "/usr/bin/setpriv")
