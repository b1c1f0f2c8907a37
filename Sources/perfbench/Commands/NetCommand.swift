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
            sleeps, but for a TAP device in the same thread. Every path runs once in each round, in alternating order; results are medians over \
            rounds, and ratios are computed within rounds. Frames are sent from \
            \(FrameMemory.bufferCountMax) buffers in turn, which lie side by side; on every path the driver \
            writes each frame before it sends it, and reads each that has come. A round trip is one frame \
            alone: until it has come back, or its buffer has, or, with --direction rx, until it is here.

            With --sink tap, perfbench makes a TAP device for each --via, which goes with it, and takes \
            root. The host forgets what it gets, and sends what is to be received by a raw socket. Frames \
            that are longer than the MTU are TCP that the kernel is left to segment, in either direction.

            \(ExitStatus.documentation)
            """)

    @Option(
        help: """
            Lengths of frames in bytes, a list such as 64,1514,9000; 14 to 65536, on a TAP device to \
            \(TapInterface.frameByteCountMax). (default: 64,512,1514,9000,65536, on a TAP device \
            \(TapInterface.frameByteCountUsual))
            """)
    var frameSize: CommaList<ByteSize>?

    @Option(
        help: """
            What frames are sent to: drop (every byte is read and forgotten), loopback (they come back), \
            tap (a network interface of the host).
            """)
    var sink = NetSink.drop

    @Option(
        help: """
            TAP device to use with --sink tap, by its name; it is there, up, and used by nobody else. \
            Without it, perfbench makes one.
            """)
    var tap: String?

    @Option(
        help: """
            Which frames are counted: tx (sent), rx (received from the host, with --sink tap), both \
            (received after they were sent; with --sink tap, sent and received at once). (default: tx, \
            with --sink loopback both)
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
            """, completion: .file())
    var socket: String?

    @Flag(help: "Use packed virtqueues, where the backend has them, instead of split ones.")
    var packed = false

    @Flag(
        help: """
            Before measuring, compare frames that arrive with those sent: bytes and order. With --sink \
            loopback or tap.
            """)
    var verify = false

    @OptionGroup var common: CommonOptions

    /// Frames that `--verify` sends through each lane, at most, and at least as many as go round a queue; and
    /// between the two, bytes of frames.
    private static let verifiedFrameCountMax = 2048
    private static let verifiedByteCount = 4 << 20

    func validate() throws {
        for size in frameSize?.items ?? [] {
            guard size.byteCount >= EthernetFrame.headerByteCount, size.byteCount <= 65536 else {
                throw ValidationError("--frame-size \(size) is not 14 to 65536")
            }
            guard sink != .tap || size.byteCount <= TapInterface.frameByteCountMax else {
                throw ValidationError(
                    "--frame-size \(size) is more than a TAP device takes at once; use at most "
                        + "\(TapInterface.frameByteCountMax), or \(TapInterface.frameByteCountUsual), which "
                        + "is the most that Linux sends")
            }
        }
        guard queueSize >= 2, queueSize <= 1024, queueSize & (queueSize - 1) == 0 else {
            throw ValidationError("--queue-size must be a power of two from 2 to 1024")
        }
        for count in burst.items where count < 1 || count > queueSize {
            throw ValidationError("--burst \(count) is not 1 to \(queueSize)")
        }
        if let direction, !sink.directions.contains(direction) {
            throw ValidationError(
                "--direction \(direction.rawValue) is not what --sink \(sink.rawValue) has, which is "
                    + "\(sink.directions[0].rawValue); leave it out, or use --sink tap")
        }
        guard !verify || sink != .drop else {
            throw ValidationError(
                "--verify compares frames that arrive; use --sink loopback or --sink tap")
        }
        guard socket == nil || via.items.contains(.vhostUser) else {
            throw ValidationError(
                "--socket is of use with --via vhost-user only; add that, or leave it out")
        }
        try common.checkFormat(of: "net")
        try checkTap()
        try checkMemory()
    }

    private func checkTap() throws {
        guard tap == nil || sink == .tap else {
            throw ValidationError("--tap is of use with --sink tap only; add that, or leave it out")
        }
        guard sink != .tap || socket == nil || tap != nil else {
            throw ValidationError(
                "--socket with --sink tap needs --tap, the name of the TAP device that the backend there has"
            )
        }
        guard tap == nil || via.items.count == 1 else {
            throw ValidationError(
                "--tap is one device, which one at a time can have; use one --via, or leave out --tap"
            )
        }
    }

    private func checkMemory() throws {
        let longest = frameByteCounts.max() ?? 0
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

    private var frameByteCounts: [Int] { frameSize?.items.map(\.byteCount) ?? sink.frameByteCounts }

    private var cases: [NetCase] {
        frameByteCounts.flatMap { size in
            burst.items.map {
                NetCase(
                    sink: sink, direction: direction ?? sink.directions[0], frameByteCount: size,
                    burst: $0)
            }
        }
    }

    private func measure() throws {
        let output = try common.openOutput()
        Interruption.install()
        try common.checkMemory()
        // Before anything else is set up for nothing.
        _ = try Ring(entryCount: 1)
        let pace = common.pace(stepCountPerRound: cases.count * lanes.count, share: 1.25)
        let measurement = NetMeasurement(
            lanes: lanes, roundCount: pace.roundCount, roundSeconds: pace.roundSeconds)
        var progress = ProgressLine(
            stepCount: cases.count * measurement.stepCountPerCase,
            secondsPerStep: measurement.secondsPerStep)
        defer { progress.clear() }
        let ends = try NetEnds(sink, tap: tap, socket: socket, via: via.items)
        let stand = try NetStand(
            memories: try Memories(
                common, sharesGuest: ends.backend != nil, logger: .toStandardError),
            setting: NetQueueSetting(
                size: queueSize, isPacked: packed, hasOffloads: sink == .tap),
            ends: ends)
        if verify { try verify(on: stand, progress) }

        let run = try CaseRun(cases.map { NetMeasurement.CaseResult(plan: $0) }) {
            try measurement.measure(on: stand, progress: &progress, result: &$0)
        }
        progress.clear()
        let report = Report(
            run.results, lanes: lanes, host: HostFacts(common: common, memories: stand.memories),
            interrupted: Interruption.isRequested, failure: run.failure?.message)
        try output.write(report: report.text(as: common.format))
        try run.end()
    }

    private func verify(on stand: NetStand, _ progress: ProgressLine) throws {
        progress.show("verifying")
        var latencies = LatencyHistogram.forCompletions()
        for plan in cases {
            let count = min(
                Self.verifiedFrameCountMax,
                max(2 * queueSize, Self.verifiedByteCount / plan.frameByteCount))
            for lane in lanes where !Interruption.isRequested {
                _ = try stand.perform(
                    .verify(frameCount: count), plan, on: lane, latencies: &latencies)
            }
        }
    }
}
