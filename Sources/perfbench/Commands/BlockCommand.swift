import ArgumentParser
import BlockBackend
import CommandSupport
import Glibc
import Logging
import SharedMemory
import SwiotlbPool
import SystemPackage
import Uring
import Virtqueue

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

    @Option(
        help: """
            File or block device to use; without it, a temporary file of 512m random bytes: in $TMPDIR, the \
            current directory or /var/tmp, the first that is on a disk and can be written to.
            """,
        completion: .file())
    var file: String?

    @Option(name: .customLong("rw"), help: "Access pattern.")
    var pattern = ReadWrite.randread

    @Option(help: "Block sizes, a list such as 4k,64KiB; multiples of 512, at most 1m.")
    var blockSize = CommaList([ByteSize(4096), ByteSize(16384), ByteSize(65536)])

    @Option(help: "Numbers of requests under way, a list; 1 to 4096.")
    var depth = CommaList([1, 32])

    @Option(
        help: """
            Paths to compare, a list of: direct, direct-fixed, bounce, bounce-unregistered (default: all \
            that --via has).
            """)
    var path: CommaList<BlockPath>?

    @Option(
        help: """
            Ways to the storage, a list of: engine (no queue), virtqueue (both sides of one in this \
            process), vhost-user (the backend is another process).
            """)
    var via = CommaList([BlockVia.engine])

    @Option(
        help: """
            Unix socket of a vhost-user-blk backend to use with --via vhost-user; without it, bounced is \
            started, which is looked for beside this program.
            """, completion: .file())
    var socket: String?

    @Flag(help: "Use packed virtqueues, where the backend has them, instead of split ones.")
    var packed = false

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
                let next = ByteSize(max((size.byteCount + 511) / 512 * 512, 512))
                throw ValidationError("--block-size \(size) is no multiple of 512; use \(next)")
            }
            guard size.byteCount <= 1 << 20 else {
                throw ValidationError("--block-size \(size) is more than 1m; use 1m or less")
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
        guard !lanes.isEmpty else {
            throw ValidationError(
                "no path of --path is there --via \(via.items.map(\.rawValue).joined(separator: ",")); "
                    + "use --path direct,bounce")
        }
        guard socket == nil || via.items.contains(.vhostUser) else {
            throw ValidationError(
                "--socket is of use with --via vhost-user only; add that, or leave it out")
        }
        guard !packed || via.items.contains(where: { $0 != .engine }) else {
            throw ValidationError(
                "--packed is of use with --via virtqueue or vhost-user only; add one, or leave it out"
            )
        }
        guard !buffered || socket == nil || hasLocalLanes else {
            throw ValidationError(
                "--buffered is of no use with --socket: the backend there opens its storage by itself; "
                    + "leave it out")
        }
        if writes, let socket, !overwrite {
            throw ValidationError(
                "this run would write to the storage behind \(socket), destroying its contents; "
                    + "confirm with --overwrite")
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

    /// What is compared: every path that every way has.
    private var lanes: [BlockLane] {
        via.items.flatMap { via in
            (path?.items ?? via.paths).filter { via.paths.contains($0) }
                .map { BlockLane(via: via, path: $0) }
        }
    }

    private var hasLocalLanes: Bool { via.items.contains { $0 != .vhostUser } }

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
        let pace = common.pace(stepCountPerRound: cases.count * lanes.count)
        var measurement = BlockMeasurement(
            lanes: lanes, roundCount: pace.roundCount, roundSeconds: pace.roundSeconds)
        var progress = ProgressLine(
            stepCount: cases.count * measurement.stepCountPerCase,
            secondsPerStep: measurement.secondsPerStep)
        defer { progress.clear() }

        let needsFile = hasLocalLanes || socket == nil
        let scratch = try needsFile && file == nil ? makeScratchFile(progress) : nil
        let storagePath = scratch?.path ?? file.map { FilePath($0) }
        let storage = try storagePath.map { try openStorage($0) }
        let backend = try makeBackend(serving: storagePath)
        // What the paths of a run have in common.
        let byteCount = try min(
            storage?.byteCount ?? .max, backend?.storageByteCount() ?? .max)
        guard byteCount >= UInt64(blockByteCountMax) else {
            throw CommandFailure(
                .noInput,
                "\(storagePath?.string ?? socket ?? "") has \(byteCount) bytes, less than one block of "
                    + "\(ByteSize(blockByteCountMax)); use a smaller --block-size, or another --file"
            )
        }
        progress.clear()  // of what the libraries may have to say while they are set up
        let stand = try BlockStand(
            storage: storage, backend: backend, storageByteCount: byteCount, lanes: lanes,
            depthMax: depthMax, blockByteCountMax: blockByteCountMax, isPacked: packed,
            memories: try Memories(
                common, sharesGuest: backend != nil, logger: .toStandardError))
        noteRefusedRegistration(stand)
        if verify {
            progress.show("verifying")
            var verification = Verification(
                stand: stand, lanes: lanes, file: storagePath)
            try verification.run(blockSize.items.map(\.byteCount))
        }

        let run = try CaseRun(cases.map { BlockMeasurement.CaseResult(plan: $0) }) {
            try measurement.measure(on: stand, progress: &progress, result: &$0)
        }
        progress.clear()
        let report = Report(
            run.results, on: stand, lanes: lanes, host: facts(stand, storage),
            interrupted: Interruption.isRequested, failure: run.failure?.message)
        try output.write(report: report.text(as: common.format))
        if run.failure == nil, let failure = run.results.firstFailure { throw failure }
        try run.end()
        withExtendedLifetime(scratch) {}
    }

    private func makeScratchFile(_ progress: ProgressLine) throws -> ScratchFile {
        progress.show("filling a temporary file")
        let scratch = try ScratchFile()
        if Interruption.isRequested { throw CommandFailure(.interrupted, "interrupted") }
        return scratch
    }

    private func openStorage(_ path: FilePath) throws -> BlockStorage {
        var options: BlockStorage.Options = []
        if !writes { options.insert(.readOnly) }
        if buffered { options.insert(.buffered) }
        return try BlockStorage(path: path, options: options)
    }

    /// The other process, where one is asked for.
    private func makeBackend(serving path: FilePath?) throws -> BackendProcess? {
        guard via.items.contains(.vhostUser) else { return nil }
        if let socket { return try BackendProcess(socket: FilePath(socket)) }
        let setting = BlockQueueSetting(
            isPacked: packed, requestCountMax: depthMax, payloadByteCountMax: blockByteCountMax)
        return try BackendProcess(
            serving: (path ?? FilePath("")).seenByOthers, readOnly: !writes, buffered: buffered,
            queueSize: setting.queueSizeMax)
    }

    private func noteRefusedRegistration(_ stand: BlockStand) {
        let refused = lanes.filter { stand.loops[$0]?.facts.registrationRefusal != nil }
        guard !refused.isEmpty else { return }
        StandardError.write(
            "perfbench: memory could not be registered, so "
                + refused.map(\.description).joined(separator: " and ")
                + " runs without fixed buffers; raise RLIMIT_MEMLOCK (ulimit -l)\n")
    }

    private func facts(_ stand: BlockStand, _ storage: BlockStorage?) -> HostFacts {
        var facts = HostFacts(common: common, memories: stand.memories)
        let loops = lanes.compactMap { stand.loops[$0]?.facts }
        facts.ringFlags = loops.first { !$0.ringFlagNames.isEmpty }?.ringFlagNames ?? []
        facts.fixedBuffers = loops.contains { $0.usesFixedBuffers }
        facts.storage = storage.map {
            HostFacts.Storage(
                bytes: $0.byteCount, direct: $0.isDirect, blockDevice: $0.isBlockDevice,
                offsetAlignment: $0.alignment?.offset ?? 0,
                memoryAlignment: $0.alignment?.memory ?? 0)
        }
        return facts
    }
}
