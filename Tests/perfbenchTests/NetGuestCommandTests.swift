import Foundation
import TestSupport
import Testing

/// `perfbench net-guest` as its users run it.
@Suite(.serialized) struct NetGuestCommandTests {
    @Test(arguments: [
        (["--socket", "/tmp/none"], "Missing expected argument '--tap"),
        (["--tap", "none"], "Missing expected argument '--socket"),
        (
            ["--tap", "none", "--socket", "/tmp/none", "--path", "straight"],
            "'direct' and 'bounce'"
        ),
        (["--tap", "none", "--socket", "/tmp/none", "--queue-size", "24"], "from 32 to 1024"),
        (["--tap", "none", "--socket", "/tmp/none", "--queue-size", "2048"], "from 32 to 1024"),
        (["--tap", "none", "--socket", "/tmp/none", "--window", "100k"], "multiple of 256k"),
        (["--tap", "none", "--socket", "/tmp/none", "--window", "2048g"], "at most 1024g"),
        (["--tap", "more-than-15-bytes", "--socket", "/tmp/none"], "1 to 15 bytes"),
    ])
    func `a command line that cannot be is refused in a sentence`(
        arguments: [String], part: String
    ) throws {
        let outcome = try CommandLineTests.run(
            [CommandLineTests.executable, "net-guest"] + arguments)
        #expect(outcome.status == 64)
        #expect(outcome.complaint.contains(part), "said: \(outcome.complaint)")
    }

    @Test(.enabled(if: Tap.isPermitted))
    func `without a backend, or with too small a window, nothing begins`() throws {
        let tap = try Tap()
        let none = try CommandLineTests.run(
            [CommandLineTests.executable, "net-guest", "--tap", tap.name, "--socket", "/tmp/none"])
        #expect(none.status == 66 && none.complaint.contains("/tmp/none"), "\(none.complaint)")
        let bench = try GuestBench(window: "256k", queueSize: 256)
        let outcome = try bench.finish(isTold: false)
        #expect(outcome.status == 64, "said: \(outcome.complaint)")
        #expect(outcome.complaint.contains("use a larger one"), "said: \(outcome.complaint)")
    }

    @Test(.enabled(if: Tap.isPermitted && hasUring), arguments: ["direct", "bounce"])
    func `what the stack sends comes back as it went, and nobody spins meanwhile`(
        path: String
    ) throws {
        let bench = try GuestBench(path: path)
        try bench.waitUntilConnected()
        let socket = try PacketSocket(interface: bench.tap.name)
        // Those of more than a page come in several buffers.
        for (seed, byteCount) in [14, 60, 1514, 1588, 1589, 4084, 4085, 9000, 60_000].enumerated() {
            for round in 0..<20 {
                let frame = testFrame(byteCount, seed: UInt64(100 * seed + round))
                #expect(socket.send(frame))
                let isBack = socket.receive() == frame
                #expect(isBack, "\(byteCount) bytes")
            }
        }
        #expect(try bench.falls(asleep: "perfbench") && bench.falls(asleep: "bounced"))
        let outcome = try bench.finish()
        #expect(outcome.status == 0, "said: \(outcome.complaint)")
        for part in ["180 frames sent (1", "180 received (1", " 0 not taken by the kernel"] {
            #expect(outcome.complaint.contains(part), "said: \(outcome.complaint)")
        }
    }

    @Test(.enabled(if: Tap.isPermitted && hasUring))
    func `more frames than the window has room for wait, and none is lost`() throws {
        // Room for the queues and some seven frames.
        let bench = try GuestBench(window: "256k")
        try bench.waitUntilConnected()
        let socket = try PacketSocket(interface: bench.tap.name)
        let frames = (0..<100).map { testFrame(9000, seed: $0) }
        for frame in frames { #expect(socket.send(frame)) }
        for (number, frame) in frames.enumerated() {
            let isNext = socket.receive() == frame
            try #require(isNext, "frame \(number)")
        }
        #expect(try bench.finish().status == 0)
    }

    @Test(.enabled(if: Tap.isPermitted && hasUring))
    func `a backend that ends is told in a sentence`() throws {
        let bench = try GuestBench()
        try bench.waitUntilConnected()
        bench.endBackend()
        let outcome = try bench.finish(isTold: false)
        #expect(outcome.status == 69, "said: \(outcome.complaint)")
        #expect(outcome.complaint.contains("the backend is gone"), "said: \(outcome.complaint)")
    }

    @Test(.enabled(if: Tap.isPermitted && hasUring))
    func `a TAP device that vanishes is told in a sentence`() throws {
        let bench = try GuestBench()
        try bench.waitUntilConnected()
        try bench.tap.delete()
        let outcome = try bench.finish(isTold: false)
        #expect(outcome.status == 74, "said: \(outcome.complaint)")
        #expect(outcome.complaint.contains("cannot be read"), "said: \(outcome.complaint)")
    }
}

/// A TAP device, a backend that sends back, and `perfbench net-guest` between them.
private final class GuestBench {
    let tap: Tap
    private let scratch: CommandLineTests.Scratch
    private let backend: Process
    private let guest: Process
    private let complaint: Pipe
    private var said = ""

    init(path: String = "bounce", window: String = "16m", queueSize: Int = 32) throws {
        tap = try Tap()
        try tap.set(isUp: true, mtu: 60_000)
        scratch = try CommandLineTests.Scratch()
        let socket = scratch.path + "/socket"
        let bounced = URL(fileURLWithPath: CommandLineTests.executable)
            .deletingLastPathComponent().appendingPathComponent("bounced").path
        let backendComplaint: Pipe
        (backend, _, backendComplaint) = try CommandLineTests.start([
            bounced, "net", "--loopback", "--socket-path", socket,
        ])
        _ = Self.read(backendComplaint, until: "serving")
        (guest, _, complaint) = try CommandLineTests.start(
            CommandLineTests.unblocked + [
                CommandLineTests.executable, "net-guest", "--tap", tap.name, "--socket", socket,
                "--path", path, "--window", window, "--queue-size", "\(queueSize)",
            ])
    }

    deinit {
        for process in [guest, backend] where process.isRunning {
            process.terminate()
            process.waitUntilExit()
        }
    }

    func waitUntilConnected() throws {
        said = Self.read(complaint, until: "is connected")
        try #require(said.contains("is connected"), "said: \(said)")
    }

    func endBackend() {
        backend.terminate()
        backend.waitUntilExit()
    }

    /// Waits for the end of the guest.
    func finish(isTold: Bool = true) throws -> CommandLineTests.Outcome {
        if isTold { guest.terminate() }
        said += String(
            decoding: complaint.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        guest.waitUntilExit()
        return CommandLineTests.Outcome(
            status: guest.terminationReason == .exit ? guest.terminationStatus : -1, output: "",
            complaint: said)
    }

    /// Whether a process comes to rest: one that looks for work never would.
    func falls(asleep name: String) throws -> Bool {
        let process = name == "bounced" ? backend : guest
        let path = "/proc/\(process.processIdentifier)/task"
        for _ in 0..<1000 {
            let states = try FileManager.default.contentsOfDirectory(atPath: path).map {
                try String(contentsOfFile: path + "/\($0)/stat", encoding: .utf8)
                    .split(separator: ")").last?.first(where: { $0 != " " })
            }
            if states.allSatisfy({ $0 == "S" }) { return true }
            usleep(10_000)
        }
        return false
    }

    /// What a process says until it has said something, or ends.
    private static func read(_ pipe: Pipe, until text: String) -> String {
        var said = ""
        while !said.contains(text) {
            let data = pipe.fileHandleForReading.availableData
            if data.isEmpty { break }
            said += String(decoding: data, as: UTF8.self)
        }
        return said
    }
}
