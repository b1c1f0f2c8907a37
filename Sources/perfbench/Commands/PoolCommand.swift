import ArgumentParser
import Logging
import SharedMemory
import SwiotlbPool

/// `perfbench pool`: the allocator and the copies, without any I/O.
struct PoolCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pool",
        abstract: "Measures the pool's allocator and copies alone, next to plain memcpy.",
        discussion: """
            For each size: mappings made and ended without a copy, with a copy into the window, and \
            with a copy out of it, on one thread, a fixed number of mappings live at any time.

            \(ExitStatus.documentation)
            """)

    @Option(help: "Buffer sizes, a list; at most 256k.")
    var size = CommaList([512, 2048, 4096, 16384, 65536, 262144].map { ByteSize($0) })

    @Option(
        name: .customLong("op"),
        help: "Operations, a list of: map-unmap, map-copy-in-unmap, map-unmap-copy-out.")
    var operations = CommaList(PoolOperation.allCases)

    @Option(help: "Mappings live at any time, 1 to 65536.")
    var live = 32

    @OptionGroup var common: CommonOptions

    func validate() throws {
        for size in size.items {
            guard size.byteCount > 0, size.byteCount <= PoolGeometry.segmentByteCount else {
                throw ValidationError(
                    "--size \(size) is not 1 to \(ByteSize(PoolGeometry.segmentByteCount))")
            }
        }
        guard live >= 1, live <= 65536 else { throw ValidationError("--live must be 1 to 65536") }
        let longest = size.items.map(\.byteCount).max() ?? 0
        // In whole segments, so that no mix of sizes and alignments can fail.
        let perSegment = PoolGeometry.segmentByteCount / GuestBuffers.spacing(of: longest)
        let needed = ((live - 1) / perSegment + 1) * PoolGeometry.segmentByteCount
        guard common.window.byteCount >= needed else {
            throw ValidationError(
                "--window \(common.window) is too small for \(live) live mappings of "
                    + "\(ByteSize(longest)); use at least \(ByteSize(needed))")
        }
        guard common.guestMemory.byteCount >= longest else {
            throw ValidationError("--guest-memory is smaller than one buffer")
        }
    }

    func run() throws {
        try reportingFailures(measure)
    }

    private func measure() throws {
        let output = try common.openOutput()
        Interruption.install()
        try common.checkMemory()
        let memories = try Memories(common, logger: .toStandardError)
        let measurement = PoolMeasurement(
            memories: memories, liveCount: live, roundCount: common.rounds,
            roundSeconds: common.roundSeconds / 4)
        let cases = operations.items.flatMap { operation in
            size.items.map { (operation, $0.byteCount) }
        }
        var progress = ProgressLine(
            stepCount: cases.count * (common.rounds + 1), secondsPerStep: common.roundSeconds / 2)
        var results: [PoolMeasurement.CaseResult] = []
        for (operation, byteCount) in cases where !Interruption.isRequested {
            results.append(
                try measurement.measure(operation, byteCount: byteCount, progress: &progress))
        }
        progress.clear()
        let report = Report(
            results,
            host: HostFacts(common: common, memories: memories),
            interrupted: Interruption.isRequested)
        try output.write(report: common.format == .json ? report.json() : report.table)
        if Interruption.isRequested { throw BenchFailure(.interrupted, "interrupted") }
    }
}
