import ArgumentParser
import CommandSupport
import GuestDriver
import SharedMemory
import SwiotlbPool
import SystemPackage
import Uring
import Virtqueue

/// `perfbench net`: frames bounced, and frames straight out of guest memory.
struct NetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "net",
        abstract:
            "Compares network frames bounced through the window with frames straight out of guest memory.",
        discussion: """
            The driver keeps its queue full, and looks for what comes back after each burst; neither side \
            sleeps. Every path runs once in each round, in alternating order; results are medians over \
            rounds, and ratios are computed within rounds. Frames are sent from \
            \(FrameMemory.bufferCountMax) buffers in turn, which lie side by side. A round trip is one \
            frame alone: until it has come back, or, with --sink drop, its buffer.

            \(ExitStatus.documentation)
            """)

    @Option(help: "Lengths of frames in bytes, a list; 14 to 65536.")
    var frameSize = CommaList([64, 512, 1514, 9000, 65536].map { ByteSize($0) })

    @Option(
        help: """
            What frames are sent to: drop (every byte is read and forgotten), loopback (they come back).
            """)
    var sink = NetSink.drop

    @Option(
        help: """
            Which frames are counted: tx (sent), both (sent and received); default: what --sink has.
            """)
    var direction: NetDirection?

    @Option(help: "Paths to compare, a list of: direct, bounce.")
    var path = CommaList(NetPath.allCases)

    @Option(
        help: """
            Ways to the device, a list of: virtqueue (both sides of it in one thread), vhost-user (the \
            device is another process).
            """)
    var via = CommaList(NetVia.allCases)

    @Option(
        help: "Numbers of frames that are shown to the device at once, a list; 1 to --queue-size.")
    var burst = CommaList([32])

    @Option(help: "How long each queue is, a power of two; 2 to 1024.")
    var queueSize = 256

    @Option(
        help: """
            Unix socket of a vhost-user-net backend to use with --via vhost-user; without it, bounced is \
            started, which is looked for beside this program.
            """)
    var socket: String?

    @Flag(help: "Use packed virtqueues, where the backend has them, instead of split ones.")
    var packed = false

    @Flag(help: "Before measuring, compare frames that come back with those sent: bytes and order.")
    var verify = false

    @OptionGroup var common: CommonOptions

    /// Frames that `--verify` sends through each lane.
    private static let verifiedFrameCount = 2048

    func validate() throws {
        for size in frameSize.items {
            guard size.byteCount >= EthernetFrame.headerByteCount, size.byteCount <= 65536 else {
                throw ValidationError("--frame-size \(size) is not 14 to 65536")
            }
        }
        guard queueSize >= 2, queueSize <= 1024, queueSize & (queueSize - 1) == 0 else {
            throw ValidationError("--queue-size must be a power of two from 2 to 1024")
        }
        for count in burst.items where count < 1 || count > queueSize {
            throw ValidationError("--burst \(count) is not 1 to \(queueSize)")
        }
        if let direction, direction != sink.direction {
            throw ValidationError(
                "--direction \(direction.rawValue) is not what --sink \(sink.rawValue) has, which is "
                    + sink.direction.rawValue)
        }
        guard !verify || sink == .loopback else {
            throw ValidationError(
                "--verify compares frames that come back; use --sink loopback")
        }
        guard socket == nil || via.items.contains(.vhostUser) else {
            throw ValidationError("--socket is of use with --via vhost-user only")
        }
        try checkMemory()
    }

    private func checkMemory() throws {
        let longest = frameSize.items.map(\.byteCount).max() ?? 0
        let guest = FrameMemory.byteCountMin(frameByteCount: longest, queueSize: queueSize)
        guard common.guestMemory.byteCount >= guest else {
            throw ValidationError(
                "--guest-memory \(common.guestMemory) is too small for queues of \(queueSize) frames of "
                    + "\(ByteSize(longest)); use at least \(ByteSize((guest + 4095) & ~4095))")
        }
        // Buffers to receive into, slots of short frames, rings, and at least one frame on its way.
        let segment = PoolGeometry.standard.segmentByteCount
        let byteCount = queueSize * 4096 + TransmitSlots.byteCount(queueSize: queueSize)
        let window = (byteCount / segment + 4) * segment
        guard common.window.byteCount >= window else {
            throw ValidationError(
                "--window \(common.window) is too small for queues of \(queueSize) frames; use at least "
                    + "\(ByteSize(window))")
        }
    }

    func run() throws {
        try reportingFailures(measure)
    }

    private var lanes: [NetLane] {
        via.items.flatMap { via in path.items.map { NetLane(via: via, path: $0) } }
    }

    private var cases: [NetCase] {
        frameSize.items.flatMap { size in
            burst.items.map { NetCase(sink: sink, frameByteCount: size.byteCount, burst: $0) }
        }
    }

    private func measure() throws {
        let output = try common.openOutput()
        Interruption.install()
        try common.checkMemory()
        // Before anything else is set up for nothing.
        _ = try Ring(entryCount: 1)
        let measurement = NetMeasurement(
            lanes: lanes, roundCount: common.rounds, roundSeconds: common.roundSeconds)
        var progress = ProgressLine(
            stepCount: cases.count * measurement.stepCountPerCase,
            secondsPerStep: measurement.secondsPerStep)
        defer { progress.clear() }
        let backend = try makeBackend()
        let stand = try NetStand(
            memories: try Memories(
                common, sharesGuest: backend != nil, logger: .toStandardError),
            setting: NetQueueSetting(size: queueSize, isPacked: packed), backend: backend)
        if verify { try verify(on: stand, progress) }

        let run = try CaseRun(cases, beginning: { NetMeasurement.CaseResult(plan: $0) }) {
            try measurement.measure(on: stand, progress: &progress, result: &$0)
        }
        progress.clear()
        let report = Report(
            run.results, lanes: lanes, host: HostFacts(common: common, memories: stand.memories),
            interrupted: Interruption.isRequested, failure: run.failure?.message)
        try output.write(report: common.format == .json ? report.json() : report.table)
        try run.end()
    }

    private func verify(on stand: NetStand, _ progress: ProgressLine) throws {
        progress.show("verifying")
        var latencies = LatencyHistogram.forCompletions()
        for plan in cases {
            for lane in lanes where !Interruption.isRequested {
                _ = try stand.perform(
                    .verify(frameCount: Self.verifiedFrameCount), plan, on: lane,
                    latencies: &latencies)
            }
        }
    }

    /// The other process, where one is asked for.
    private func makeBackend() throws -> BackendProcess? {
        guard via.items.contains(.vhostUser) else { return nil }
        if let socket { return try BackendProcess(socket: FilePath(socket)) }
        return try BackendProcess(running: ["net", "--\(sink.rawValue)"], readsLog: true)
    }
}
