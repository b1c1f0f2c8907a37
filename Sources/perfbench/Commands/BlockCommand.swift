import ArgumentParser
import BlockBackend
import FoundationEssentials
import Logging
import SharedMemory
import SwiotlbPool
import SystemPackage
import Uring

/// `perfbench block`: bouncing against direct access, on a real file.
struct BlockCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "block",
        abstract:
            "Compares block I/O bounced through the window with I/O straight into guest memory.",
        discussion: """
            Every path runs once in each round, in alternating order; results are medians over rounds, \
            and ratios are computed within rounds. Latency is from the start of a request's mapping \
            (its first attempt, where the pool is full) to the end of its unmapping, copies included. A read run never opens the file for writing; a write \
            run on a file that exists needs --overwrite.

            \(ExitStatus.documentation)
            """)

    @Option(help: "File or block device to use; without it, a temporary file of 512m random bytes.")
    var file: String?

    @Option(name: .customLong("rw"), help: "Access pattern.")
    var pattern = ReadWrite.randread

    @Option(help: "Block sizes, a list; multiples of 512, at most 1m.")
    var blockSize = CommaList([ByteSize(4096), ByteSize(16384), ByteSize(65536)])

    @Option(help: "Numbers of requests under way, a list; 1 to 4096.")
    var depth = CommaList([1, 32])

    @Option(help: "Paths to compare, a list of: direct, direct-fixed, bounce, bounce-unregistered.")
    var path = CommaList(BlockPath.allCases)

    @Flag(help: "Go through the page cache instead of around it (O_DIRECT).")
    var buffered = false

    @Flag(help: "Before measuring, write through each path and read back through every other.")
    var verify = false

    @Flag(help: "Let a write run overwrite the contents of --file.")
    var overwrite = false

    @OptionGroup var common: CommonOptions

    func validate() throws {
        for size in blockSize.items {
            guard size.byteCount > 0, size.byteCount % sectorByteCount == 0 else {
                throw ValidationError("--block-size \(size) is no multiple of 512")
            }
            guard size.byteCount <= 1 << 20 else {
                throw ValidationError("--block-size \(size) is more than 1m")
            }
        }
        for depth in depth.items {
            guard depth >= 1, depth <= 4096 else {
                throw ValidationError("--depth \(depth) is not 1 to 4096")
            }
        }
        let needed = GuestBuffers.spacing(of: blockByteCountMax) * depthMax
        guard common.guestMemory.byteCount >= 2 * needed else {
            throw ValidationError(
                "--guest-memory \(common.guestMemory) is too small for \(depthMax) requests of "
                    + "\(ByteSize(blockByteCountMax)); use at least \(ByteSize(2 * needed))")
        }
        let segment = PoolGeometry.standard.segmentByteCount
        let window = (blockByteCountMax + segment - 1) / segment * segment
        guard common.window.byteCount >= window else {
            throw ValidationError(
                "--window \(common.window) is smaller than one request of "
                    + "\(ByteSize(blockByteCountMax)); use at least \(ByteSize(window))")
        }
        if writes, file != nil, !overwrite {
            throw ValidationError(
                "this run would write to \(file ?? ""), destroying its contents; "
                    + "confirm with --overwrite")
        }
    }

    func run() throws {
        try reportingFailures(measure)
    }

    private var writes: Bool { pattern.writes || verify }
    private var blockByteCountMax: Int { blockSize.items.map(\.byteCount).max() ?? 0 }
    private var depthMax: Int { depth.items.max() ?? 1 }

    private var cases: [BlockCase] {
        blockSize.items.flatMap { size in
            depth.items.map {
                BlockCase(pattern: pattern, blockByteCount: size.byteCount, depth: $0)
            }
        }
    }

    private func measure() throws {
        let output = try common.openOutput(apartFrom: file)
        Interruption.install()
        try common.checkMemory()
        // Before a temporary file is filled for nothing.
        _ = try Ring(entryCount: 1)
        var measurement = BlockMeasurement(
            paths: path.items, roundCount: common.rounds, roundSeconds: common.roundSeconds)
        var progress = ProgressLine(
            stepCount: cases.count * measurement.stepCountPerCase,
            secondsPerStep: measurement.secondsPerStep)
        defer { progress.clear() }

        let scratch = try file == nil ? makeScratchFile(progress) : nil
        let storagePath = scratch?.path ?? FilePath(file ?? "")
        let storage = try openStorage(storagePath)
        progress.clear()  // of what the libraries may have to say while they are set up
        let stand = try BlockStand(
            storage: storage, paths: path.items, depthMax: depthMax,
            blockByteCountMax: blockByteCountMax,
            memories: try Memories(common, logger: .toStandardError))
        noteRefusedRegistration(stand)
        if verify {
            progress.show("verifying")
            try Verification(stand: stand, paths: path.items, file: storagePath)
                .run(blockSize.items.map(\.byteCount))
        }

        var results: [BlockMeasurement.CaseResult] = []
        var failure: BenchFailure?
        for plan in cases where failure == nil && !Interruption.isRequested {
            var result = BlockMeasurement.CaseResult(plan: plan)
            do {
                try measurement.measure(on: stand, progress: &progress, result: &result)
            } catch let error as BenchFailure {
                failure = error
            } catch let error as SystemCallError {
                failure = BenchFailure(error)
            }
            results.append(result)
        }
        progress.clear()
        let report = Report(
            results, on: stand, paths: path.items, host: facts(stand),
            interrupted: Interruption.isRequested, failure: failure?.message)
        try output.write(report: common.format == .json ? report.json() : report.table)
        if let failure = failure ?? results.firstFailure { throw failure }
        if Interruption.isRequested { throw BenchFailure(.interrupted, "interrupted") }
        withExtendedLifetime(scratch) {}
    }

    private func makeScratchFile(_ progress: ProgressLine) throws -> ScratchFile {
        progress.show("filling a temporary file")
        // Beside the build: where the executable is.
        let executable = try? FileManager.default.destinationOfSymbolicLink(
            atPath: "/proc/self/exe")
        let scratch = try ScratchFile(
            directory: FilePath(executable ?? "./perfbench").removingLastComponent(),
            byteCount: 512 << 20)
        if Interruption.isRequested { throw BenchFailure(.interrupted, "interrupted") }
        return scratch
    }

    private func openStorage(_ path: FilePath) throws -> BlockStorage {
        var options: BlockStorage.Options = []
        if !writes { options.insert(.readOnly) }
        if buffered { options.insert(.buffered) }
        let storage = try BlockStorage(path: path, options: options)
        guard storage.byteCount >= UInt64(blockByteCountMax) else {
            throw BenchFailure(
                .noInput,
                "\(path) has \(storage.byteCount) bytes, less than one block of "
                    + "\(ByteSize(blockByteCountMax))")
        }
        return storage
    }

    private func noteRefusedRegistration(_ stand: BlockStand) {
        let refused = path.items.filter { stand.loops[$0]?.registrationRefusal != nil }
        guard !refused.isEmpty else { return }
        StandardError.write(
            "perfbench: memory could not be registered, so "
                + refused.map(\.rawValue).joined(separator: " and ")
                + " runs without fixed buffers; raise RLIMIT_MEMLOCK (ulimit -l)\n")
    }

    private func facts(_ stand: BlockStand) -> HostFacts {
        var facts = HostFacts(common: common, memories: stand.memories)
        let loops = path.items.compactMap { stand.loops[$0] }
        facts.ringFlags = loops.first?.ringFlagNames ?? []
        facts.fixedBuffers = loops.contains { $0.usesFixedBuffers }
        facts.storage = HostFacts.Storage(
            bytes: stand.storage.byteCount, direct: stand.storage.isDirect,
            blockDevice: stand.storage.isBlockDevice,
            offsetAlignment: stand.storage.alignment?.offset ?? 0,
            memoryAlignment: stand.storage.alignment?.memory ?? 0)
        return facts
    }
}
