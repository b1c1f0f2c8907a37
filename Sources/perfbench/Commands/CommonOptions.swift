import ArgumentParser
import CommandSupport
import SwiotlbPool
import SystemPackage

/// The options of every measuring command.
struct CommonOptions: ParsableArguments {
    static let guestMemoryByteCount = 256 << 20
    static let windowByteCount = 64 << 20

    @Option(help: "Memory of the guest that buffers are spread over, such as 256m or 1GiB.")
    var guestMemory = ByteSize(guestMemoryByteCount)

    @Option(help: "Size of the window that payloads bounce through, such as 64m or 1GiB.")
    var window = ByteSize(windowByteCount)

    @Flag(help: "Ask for huge pages for guest memory and window.")
    var hugePages = false

    @Flag var effort: Effort?

    @Option(
        help: """
            Rounds that are counted (default: \(Pace.usual.roundCount)). A warm-up comes before them: one \
            round, and more, up to a quarter as many, while a path gets faster by a tenth from one to the next.
            """)
    var rounds: Int?

    @Option(
        help: """
            Seconds that each path is measured in a round (default: \(Pace.usual.roundSeconds)).
            """)
    var roundSeconds: Double?

    @Option(help: OutputFormat.help)
    var format = OutputFormat.table

    @Option(help: "Write results to this file instead of standard output.", completion: .file())
    var output: String?

    @OptionGroup var build: BuildOptions

    func validate() throws {
        if let rounds, !(1...10_000).contains(rounds) {
            throw ValidationError("--rounds must be 1 to 10000")
        }
        if let roundSeconds, !(0.001...3600).contains(roundSeconds) {
            throw ValidationError("--round-seconds must be 0.001 to 3600")
        }
        if let effort, rounds != nil || roundSeconds != nil {
            throw ValidationError(
                "--\(effort.rawValue) says itself how long to measure; leave out --rounds and "
                    + "--round-seconds, or --\(effort.rawValue)")
        }
        let segment = PoolGeometry.standard.segmentByteCount
        for (name, size, unit) in [
            ("--guest-memory", guestMemory, 4096), ("--window", window, segment),
        ] {
            guard size.byteCount >= unit, size.byteCount % unit == 0 else {
                throw ValidationError("\(name) must be a positive multiple of \(ByteSize(unit))")
            }
            guard size.byteCount <= 1 << 40 else {
                throw ValidationError("\(name) must be at most 1024g")
            }
        }
    }

    /// How often and how long each path is measured.
    ///
    /// - Parameters:
    ///   - stepCountPerRound: how many paths of how many cases there are.
    ///   - share: the part of a round's seconds that a path is measured.
    func pace(stepCountPerRound: Int, share: Double = 1) -> Pace {
        switch effort {
        case .quick: .quick(stepCountPerRound: stepCountPerRound, share: share)
        case .thorough: .thorough
        case nil:
            Pace(
                roundCount: rounds ?? Pace.usual.roundCount,
                roundSeconds: roundSeconds ?? Pace.usual.roundSeconds)
        }
    }

    /// Refuses the one format that has a place for block results only.
    func checkFormat(of workload: String) throws {
        guard format != .fio else {
            throw ValidationError(
                "--format fio has no place for results of perfbench \(workload); use csv or json")
        }
    }

    /// Opens the place that results go to, before anything is measured. What a file holds is
    /// replaced only by ``FileDescriptor/write(report:)``.
    ///
    /// - Parameter input: a file that must not be the same one.
    func openOutput(apartFrom input: String? = nil) throws(CommandFailure) -> FileDescriptor {
        try Self.openOutput(output, apartFrom: input)
    }

    /// - Parameters:
    ///   - output: a file; `nil` for standard output.
    ///   - input: a file that must not be the same one.
    static func openOutput(
        _ output: String?, apartFrom input: String? = nil
    ) throws(CommandFailure) -> FileDescriptor {
        guard let output else { return .standardOutput }
        if let input, FilePath(input).isSameFile(as: FilePath(output)) {
            throw CommandFailure(
                .usage, "--output \(output) is the same file as \(input); name another")
        }
        do {
            return try FileDescriptor.open(
                FilePath(output), .writeOnly, options: [.create, .closeOnExec],
                permissions: [.ownerReadWrite, .groupRead, .otherRead])
        } catch {
            throw CommandFailure(
                .cannotCreate,
                "the output file \(output) cannot be written (\(error)); name another place by --output"
            )
        }
    }

    /// Refuses to allocate what the system has not got: a window is memory of nobody in particular,
    /// and other processes would be ended for it.
    func checkMemory() throws {
        let wanted = guestMemory.byteCount + window.byteCount
        guard let available = AvailableMemory.byteCount(), wanted > available else { return }
        throw CommandFailure(
            .unavailable,
            "guest memory and window need \(ByteSize(wanted)), and the system has "
                + "\(available >> 20)m available; use smaller --guest-memory and --window")
    }
}

extension FilePath {
    /// Whether two paths lead to one file, however they are written.
    fileprivate func isSameFile(as other: FilePath) -> Bool {
        guard let left = try? stat(), let right = try? other.stat() else { return false }
        return left.deviceID == right.deviceID && left.inode == right.inode
    }
}
