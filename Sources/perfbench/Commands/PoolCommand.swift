import ArgumentParser
import CommandSupport
import Logging
import SharedMemory

/// `perfbench pool`: the allocator and the copies, without any I/O.
struct PoolCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pool",
        abstract: "Measures the pool's allocator and copies alone, next to its opponents.",
        discussion: """
            Operations: map-unmap makes mappings of one size and ends them, --live of them live at \
            any time on each thread, without a copy; map-copy-in-unmap copies into the window, \
            map-unmap-copy-out out of it. churn makes and ends mappings of mixed sizes \
            (\(SizeMix.description)) in random order at a fixed occupancy; it is measured after \
            --churn-operations such steps, and so are the latencies of its maps, in a pass apart.

            Paths: pool is SwiotlbPool; c-twin the same algorithm in C; linux-model a model of the \
            search of Linux's swiotlb, which copies in at every map; memcpy the copies alone, \
            between the same buffers and as many places; loop the measuring loop alone. Each path \
            makes the calls of its own library, none of them inlined. Not by default: what a policy \
            or a quota of the pool costs, pool-prefill, pool-scrub-on-free, \
            pool-scrub-on-owner-change (whose owner never changes: what is looked at each time) and \
            pool-quota.

            Occupancy: so much of the pool is in mappings of mixed sizes beforehand: it is filled up, \
            then random ones end. --live is cut to what every path still has room for.

            Every path runs with every number of threads once in each round, in alternating order; \
            ratios are computed within rounds.

            \(ExitStatus.documentation)
            """)

    @Option(help: "Buffer sizes, a list such as 4k,64KiB; at most 256k.")
    var size = CommaList([4096, 16384, 65536, 262144].map { ByteSize($0) })

    @Option(
        name: .customLong("op"),
        help: "Operations, a list of: map-unmap, map-copy-in-unmap, map-unmap-copy-out, churn.")
    var operations = CommaList(PoolOperation.allCases)

    @Option(help: "Paths to compare, a list.")
    var path = CommaList([PoolPath.pool, .cTwin, .linuxModel, .memcpy, .loop])

    @Option(help: "Numbers of threads, a list; 1 to 64.")
    var threads = CommaList([1])

    @Option(
        help: "Per cent of the pool in use, a list; 0 to 99. A churn leaves 0 out.")
    var occupancy = CommaList([0, 50, 95])

    @Option(help: "Mappings live at any time on each thread, 1 to 65536.")
    var live = 32

    @Option(
        help: """
            Steps of a churn before it is measured, on all threads together (default: \
            \(Self.churnOperationsUsual); \(Self.churnOperationsQuick) with --quick).
            """)
    var churnOperations: Int?

    private static let churnOperationsUsual = 10_000_000
    private static let churnOperationsQuick = 100_000

    /// Of the seconds of a round: there are more cases than with I/O, and they vary less.
    private static let roundShare = 0.25

    @OptionGroup var common: CommonOptions

    private var threadCountMax: Int { threads.items.max() ?? 1 }

    func validate() throws {
        for size in size.items {
            guard size.byteCount > 0, size.byteCount <= PoolSizes.segmentByteCount else {
                throw ValidationError(
                    "--size \(size) is not 1 to \(ByteSize(PoolSizes.segmentByteCount))")
            }
        }
        guard live >= 1, live <= 65536 else { throw ValidationError("--live must be 1 to 65536") }
        for count in threads.items where count < 1 || count > 64 {
            throw ValidationError("--threads \(count) is not 1 to 64")
        }
        for percent in occupancy.items where percent < 0 || percent > 99 {
            throw ValidationError("--occupancy \(percent) is not 0 to 99")
        }
        if let churnOperations, churnOperations < 0 {
            throw ValidationError("--churn-operations must not be negative; use 0 for none")
        }
        guard path.items.contains(where: { path in operations.items.contains(where: path.serves) })
        else {
            throw ValidationError(
                "no path of --path has \(operations.items.map(\.rawValue).joined(separator: " or ")); "
                    + "use --path pool,c-twin")
        }
        guard !cases.isEmpty else {
            throw ValidationError(
                "--op churn leaves --occupancy 0 out; use --occupancy 50,95")
        }
        try common.checkFormat(of: "pool")
        try checkMemory()
    }

    /// Checks that everything which is live at once has room.
    private func checkMemory() throws {
        let isSteady = operations.items.contains { $0 != .churn }
        let longest = isSteady ? size.items.map(\.byteCount).max() ?? 0 : 1
        // In whole segments, so that no mix of sizes and alignments can fail.
        let perSegment = PoolSizes.segmentByteCount / GuestBuffers.spacing(of: longest)
        let segments = ((live - 1) / perSegment + 1) * threadCountMax
        let needed = segments * PoolSizes.segmentByteCount
        guard common.window.byteCount >= needed || !isSteady else {
            throw ValidationError(
                "--window \(common.window) is too small for \(live) live mappings of "
                    + "\(ByteSize(longest)) on \(threadCountMax) threads; use at least "
                    + "\(ByteSize(needed))")
        }
        let buffer = max(
            longest, operations.items.contains(.churn) ? PoolSizes.segmentByteCount : 0)
        guard common.guestMemory.byteCount / threadCountMax >= GuestBuffers.spacing(of: buffer)
        else {
            throw ValidationError(
                "--guest-memory \(common.guestMemory) is smaller than one buffer of "
                    + "\(ByteSize(buffer)) a thread; use at least "
                    + "\(ByteSize(GuestBuffers.spacing(of: buffer) * threadCountMax))")
        }
    }

    func run() throws {
        try reportingFailures(measure)
    }

    private var cases: [PoolCase] {
        let operations = operations.items.filter { operation in
            path.items.contains { $0.serves(operation) }
        }
        return operations.flatMap { operation -> [PoolCase] in
            if operation == .churn {
                return occupancy.items.filter { $0 > 0 }.map {
                    PoolCase(
                        operation: .churn, byteCount: SizeMix.meanByteCount, occupancyPercent: $0)
                }
            }
            return size.items.flatMap { size in
                occupancy.items.map {
                    PoolCase(
                        operation: operation, byteCount: size.byteCount, occupancyPercent: $0)
                }
            }
        }
    }

    private func measure() throws {
        let output = try common.openOutput()
        Interruption.install()
        try common.checkMemory()
        let memories = try Memories(common, logger: .toStandardError)
        let variants = path.items.flatMap { path in
            threads.items.map { PoolVariant(path: path, threadCount: $0) }
        }
        let pace = common.pace(
            stepCountPerRound: cases.reduce(0) { count, plan in
                count + variants.count { $0.path.serves(plan.operation) }
            }, share: Self.roundShare)
        let roundSeconds = pace.roundSeconds * Self.roundShare
        let measurement = PoolMeasurement(
            memories: memories, variants: variants, liveCountMax: live,
            roundCount: pace.roundCount, roundSeconds: roundSeconds,
            wearStepCount: churnOperations
                ?? (common.effort == .quick
                    ? Self.churnOperationsQuick : Self.churnOperationsUsual))
        var progress = ProgressLine(
            stepCount: cases.reduce(0) { $0 + measurement.stepCount(of: $1) },
            secondsPerStep: roundSeconds)
        let run = try CaseRun(cases.map { PoolMeasurement.CaseResult(plan: $0) }) {
            try measurement.measure(progress: &progress, result: &$0)
        }
        progress.clear()
        let report = Report(
            run.results, host: HostFacts(common: common, memories: memories),
            interrupted: Interruption.isRequested, failure: run.failure?.message)
        try output.write(report: report.text(as: common.format))
        try run.end()
    }
}
