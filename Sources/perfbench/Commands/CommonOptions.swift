import ArgumentParser
import CommandSupport
import SwiotlbPool
import SystemPackage

/// How results are printed.
enum OutputFormat: String, CaseIterable, ExpressibleByArgument {
    case table
    case json
}

/// The options of every measuring command.
struct CommonOptions: ParsableArguments {
    @Option(help: "Memory of the guest that buffers are spread over.")
    var guestMemory = ByteSize(256 << 20)

    @Option(help: "Size of the window that payloads bounce through.")
    var window = ByteSize(64 << 20)

    @Flag(help: "Ask for huge pages for guest memory and window.")
    var hugePages = false

    @Option(
        help: """
            Rounds that are counted. A warm-up comes before them: one round, and more, up to a quarter as \
            many, while a path gets faster by a tenth from one to the next.
            """)
    var rounds = 12

    @Option(help: "Seconds that each path is measured in a round.")
    var roundSeconds = 0.12

    @Option(help: "How results are printed.")
    var format = OutputFormat.table

    @Option(help: "Write results to this file instead of standard output.")
    var output: String?

    @Flag(help: "Measure though this is a debug build, which says nothing about release builds.")
    var allowDebug = false

    func validate() throws {
        guard rounds >= 1, rounds <= 10_000 else {
            throw ValidationError("--rounds must be 1 to 10000")
        }
        guard roundSeconds >= 0.001, roundSeconds <= 3600 else {
            throw ValidationError("--round-seconds must be 0.001 to 3600")
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
        #if DEBUG
        guard allowDebug else {
            throw ValidationError(
                "this is a debug build, whose figures mean nothing; build with 'swift build -c release'"
                    + " or insist with --allow-debug")
        }
        #endif
    }

    /// Opens the place that results go to, before anything is measured. What a file holds is
    /// replaced only by ``FileDescriptor/write(report:)``.
    ///
    /// - Parameter input: a file that must not be the same one.
    func openOutput(apartFrom input: String? = nil) throws -> FileDescriptor {
        if let output, let input, FilePath(input).isSameFile(as: FilePath(output)) {
            throw CommandFailure(.usage, "--output \(output) is the file that is measured")
        }
        return try Self.openOutput(output)
    }

    /// - Parameter output: a file; `nil` for standard output.
    static func openOutput(_ output: String?) throws(CommandFailure) -> FileDescriptor {
        guard let output else { return .standardOutput }
        do {
            return try FileDescriptor.open(
                FilePath(output), .writeOnly, options: [.create, .closeOnExec],
                permissions: [.ownerReadWrite, .groupRead, .otherRead])
        } catch {
            throw CommandFailure(
                .cannotCreate, "the output file \(output) cannot be written (\(error))")
        }
    }

    /// Refuses to allocate what the system has not got: a window is memory of nobody in particular,
    /// and other processes would be ended for it.
    func checkMemory() throws {
        let wanted = guestMemory.byteCount + window.byteCount
        guard let available = AvailableMemory.byteCount, wanted > available else { return }
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
