import Foundation
import Testing
import Uring

@testable import perfbench

/// `perfbench net` as its users run it.
@Suite struct NetCommandTests {
    static func net(_ arguments: [String]) throws -> CommandLineTests.Outcome {
        try CommandLineTests.run(
            [CommandLineTests.executable, "net", "--queue-size", "16", "--burst", "4"] + arguments
                + CommandLineTests.quick)
    }

    @Test(
        arguments: [
            (["--frame-size", "13"], "is not 14 to 65536"),
            (["--frame-size", "65537"], "is not 14 to 65536"),
            (["--burst", "17"], "--burst 17 is not 1 to 16"),
            (["--burst", "0"], "--burst 0 is not 1 to 16"),
            (["--queue-size", "24"], "must be a power of two"),
            (["--queue-size", "2048"], "must be a power of two"),
            (["--sink", "drop", "--direction", "both"], "which is tx"),
            (["--sink", "loopback", "--direction", "tx"], "which is both"),
            (["--sink", "drop", "--direction", "rx"], "use --sink tap"),
            (["--verify"], "use --sink loopback or --sink tap"),
            (["--tap", "tap0"], "--sink tap only; add that, or leave it out"),
            (["--sink", "tap", "--tap", "tap0"], "use one --via, or leave out --tap"),
            (
                ["--sink", "tap", "--socket", "/tmp/none"],
                "needs --tap, the name of the TAP device"
            ),
            (["--sink", "tap", "--frame-size", "65536"], "use at most 65535, or 65226"),
            (["--sink", "tap", "--direction", "up"], "--direction"),
            (["--via", "virtqueue", "--socket", "/tmp/none"], "--via vhost-user only"),
            (["--queue-size", "1024", "--frame-size", "64"], "--window 1m is too small"),
            (["--frame-size", "65536", "--queue-size", "64"], "--guest-memory 4m is too small"),
        ])
    func `a command line that cannot be is refused in a sentence`(
        arguments: [String], part: String
    ) throws {
        let outcome = try Self.net(arguments)
        #expect(outcome.status == 64)
        #expect(outcome.complaint.contains(part), "said: \(outcome.complaint)")
        #expect(outcome.output.isEmpty)
    }

    @Test(.enabled(if: hasUring, "io_uring is not permitted here"))
    func `the JSON has the documented shape`() throws {
        let outcome = try Self.net([
            "--frame-size", "64,1514", "--via", "virtqueue,vhost-user", "--format", "json",
        ])
        try #require(outcome.status == 0, "said: \(outcome.complaint)")
        let report = try #require(
            try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
        #expect(report["schema"] as? String == "perfbench/1")
        let runs = try #require(report["runs"] as? [[String: Any]])
        #expect(runs.count == 8)
        for run in runs {
            #expect(run["workload"] as? String == "net")
            #expect(run["sink"] as? String == "drop")
            #expect(run["direction"] as? String == "tx")
            #expect(run["burst"] as? Int == 4)
            #expect((run["drops"] as? [String: Int])?.isEmpty == true)
            #expect(run["received_pps"] == nil)
            let rate = try #require(run["pps"] as? [String: Double])
            #expect(try #require(rate["low"]) > 0)
            let trip = try #require(run["round_trip_ns"] as? [String: Any])
            #expect(try #require(trip["n"] as? Int) > 0)
        }
        #expect(Set(runs.compactMap { $0["frame_bytes"] as? Int }) == [64, 1514])
        let ratios = try #require(report["ratios"] as? [[String: Any]])
        for metric in ["pps", "added_ns_per_frame", "added_cpu_per_floor"] {
            for via in ["virtqueue", "vhost-user"] {
                #expect(
                    ratios.contains {
                        $0["metric"] as? String == metric && $0["via"] as? String == via
                            && $0["of"] as? String == "bounce" && $0["to"] as? String == "direct"
                            && $0["frame_bytes"] as? Int == 1514 && $0["block_bytes"] == nil
                    }, "\(metric) via \(via)")
            }
        }
        let floors = try #require(report["floors"] as? [[String: Any]])
        #expect(floors.count == 2)
    }

    @Test(
        .enabled(if: hasUring, "io_uring is not permitted here"), arguments: [[], ["--packed"]])
    func `frames come back as they were sent on every lane`(arguments: [String]) throws {
        let outcome = try Self.net(
            ["--sink", "loopback", "--verify", "--frame-size", "60,4200"] + arguments)
        #expect(outcome.status == 0, "said: \(outcome.complaint)")
        for lane in ["direct via virtqueue", "bounce via vhost-user"] {
            #expect(outcome.output.contains(lane))
        }
    }
}

let hasUring: Bool = {
    do {
        _ = try Ring(entryCount: 1)
        return true
    } catch {
        return false
    }
}()
