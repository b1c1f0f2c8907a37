import BlockBackend
import CommandSupport
import Histogram
import SharedMemory
import SystemPackage
import Testing

@testable import perfbench

@Suite(.enabled(if: hasUring, "io_uring is not permitted here"))
struct BlockMeasurementTests {
    private static let lane = BlockLane(via: .engine, path: .bounce)
    private let scratch: CommandLineTests.Scratch
    private let file: String
    private let stand: BlockStand
    private var result = BlockMeasurement.CaseResult(
        plan: BlockCase(pattern: .randread, blockByteCount: 4096, depth: 2))

    init() throws {
        scratch = try CommandLineTests.Scratch()
        file = scratch.file("data", byteCount: 1 << 20)
        stand = try BlockStand(
            storage: BlockStorage(path: FilePath(file), options: [.readOnly, .buffered]),
            backend: nil, storageByteCount: 1 << 20, lanes: [Self.lane], depthMax: 2,
            blockByteCountMax: 4096, isPacked: false,
            memories: Memories(
                guest: try HostMemory.anonymous(byteCount: 4 << 20),
                window: try HostMemory.window(byteCount: 1 << 20)))
    }

    /// Measures on, until there are so many rounds.
    private mutating func measure(roundCount: Int) throws {
        var measurement = BlockMeasurement(
            lanes: [Self.lane], roundCount: roundCount, roundSeconds: 0.01)
        var progress = ProgressLine(stepCount: 1, secondsPerStep: 0)
        try measurement.measure(on: stand, progress: &progress, result: &result)
    }

    @Test mutating func `a round without an operation ends the case, and earlier ones stay`() throws
    {
        try measure(roundCount: 2)
        try scratch.cut(file, to: 0)
        var failure: CommandFailure?
        do {
            try measure(roundCount: 4)
        } catch let error as CommandFailure {
            failure = error
        }
        #expect(failure?.status == .ioError)
        #expect(failure?.message.contains("cut short") == true)
        #expect(result.roundCount == 2)
        #expect(result.samples[Self.lane]?.allSatisfy { $0.iops > 0 } == true)
    }

    @Test mutating func `requests that failed have no latency`() throws {
        try scratch.cut(file, to: 1 << 19)
        try measure(roundCount: 2)
        let samples = try #require(result.samples[Self.lane])
        #expect(samples.allSatisfy { $0.operationCount > 0 && $0.errorCount > 0 })
        let latencies = try #require(result.latencies[Self.lane])
        #expect(latencies.totalCount == UInt64(samples.reduce(0) { $0 + $1.operationCount }))
    }

    @Test func `a round of frames in which none got through is refused, too`() throws {
        let lane = NetLane(via: .virtqueue, path: .direct)
        #expect(throws: CommandFailure.self) { try NetSample().check(lane) }
        try NetSample(frameCount: 1).check(lane)
    }
}
