import ArgumentParser
import BlockBackend
import Glibc
import SharedMemory
import SwiotlbPool
import SystemPackage

/// The exit statuses of perfbench; the numbers are those of `sysexits.h` where it has one.
enum ExitStatus: Int32, CaseIterable {
    case usage = 64
    case wrongData = 65
    case noInput = 66
    case unavailable = 69
    case cannotCreate = 73
    case ioError = 74
    case noPermission = 77
    case interrupted = 130

    private var meaning: String {
        switch self {
        case .usage: "the command line asks for something that cannot be"
        case .wrongData: "--verify found data that differs"
        case .noInput: "the file does not exist, is no file, or is too small"
        case .unavailable: "the system does not permit io_uring, or lacks memory"
        case .cannotCreate: "the temporary file or the output file cannot be created"
        case .ioError: "a request failed, or the disk is full"
        case .noPermission: "the file may not be read, or not be written"
        case .interrupted: "interrupted; what was measured until then was printed"
        }
    }

    static let documentation =
        "EXIT STATUS:\n  0    everything was measured\n"
        + allCases.map { status in
            let code = "\(status.rawValue)"
            return "  \(code)" + String(repeating: " ", count: 5 - code.count) + status.meaning
        }.joined(separator: "\n")
}

/// A reason to stop, in one sentence, with the status to exit with.
struct BenchFailure: Error {
    let status: ExitStatus
    let message: String

    init(_ status: ExitStatus, _ message: String) {
        self.status = status
        self.message = message
    }
}

extension BenchFailure {
    init(_ error: StorageError) {
        let status: ExitStatus =
            switch error.reason {
            case .permissionDenied, .readOnlyFileSystem, .busy: .noPermission
            case .notFound, .isDirectory, .notStorage: .noInput
            case .directIOUnsupported: .usage
            case .systemCall: .ioError
            }
        let hint = error.reason == .directIOUnsupported ? "; use --buffered" : ""
        self.init(status, "\(error)\(hint)")
    }

    /// A system call that failed while the measurement was set up or running.
    init(_ error: SystemCallError) {
        switch (error.operation, error.errno) {
        case ("io_uring_setup", .notPermitted), ("io_uring_setup", .permissionDenied):
            self.init(
                .unavailable,
                "the system does not permit io_uring; see the sysctl kernel.io_uring_disabled, or the "
                    + "container's seccomp profile")
        case ("io_uring_setup", .noFunction):
            self.init(.unavailable, "this kernel has no io_uring; Linux 5.6 or later is needed")
        case (_, .noMemory):
            self.init(.unavailable, "out of memory (\(error))")
        default:
            self.init(.ioError, "\(error)")
        }
    }
}

extension ParsableCommand {
    /// Runs the body of a command; a failure becomes one sentence on standard error and its status.
    func reportingFailures(_ body: () throws -> Void) throws {
        do {
            try body()
        } catch let failure as BenchFailure {
            Self.exit(failure)
        } catch let error as StorageError {
            Self.exit(BenchFailure(error))
        } catch let error as SystemCallError {
            Self.exit(BenchFailure(error))
        } catch let error as Errno {
            Self.exit(BenchFailure(.ioError, "\(error)"))
        } catch let error as MapRefusal {
            Self.exit(BenchFailure(.usage, "a buffer cannot be mapped (\(error))"))
        }
    }

    private static func exit(_ failure: BenchFailure) -> Never {
        StandardError.write("perfbench: \(failure.message)\n")
        Glibc.exit(failure.status.rawValue)
    }
}
