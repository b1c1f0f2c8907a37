import ArgumentParser
import BlockBackend
import Glibc
import SharedMemory
import SystemPackage
import VhostUser

/// The exit statuses of bounced; the numbers are those of `sysexits.h`.
enum ExitStatus: Int32, CaseIterable {
    case usage = 64
    case noInput = 66
    case unavailable = 69
    case cannotCreate = 73
    case ioError = 74
    case noPermission = 77

    private var meaning: String {
        switch self {
        case .usage: "the command line asks for something that cannot be"
        case .noInput: "the file to serve does not exist, or is none that can be served"
        case .unavailable: "the system does not permit io_uring, or lacks memory"
        case .cannotCreate: "the socket cannot be made, or somebody serves it already"
        case .ioError: "a system call failed that should not"
        case .noPermission: "the file to serve may not be read, or not be written"
        }
    }

    static let documentation =
        "EXIT STATUS:\n  0    told to stop (SIGTERM, SIGINT), or --fd was a connection and has ended\n"
        + allCases.map { "  \($0.rawValue)   \($0.meaning)" }.joined(separator: "\n")
}

/// A reason not to begin, or to stop, in one sentence, with the status to exit with.
struct Failure: Error {
    let status: ExitStatus
    let message: String

    init(_ status: ExitStatus, _ message: String) {
        self.status = status
        self.message = message
    }

    init(_ error: StorageError) {
        let status: ExitStatus =
            switch error.reason {
            case .permissionDenied, .readOnlyFileSystem, .busy: .noPermission
            case .notFound, .isDirectory, .notStorage: .noInput
            case .directIOUnsupported: .usage
            case .systemCall: .ioError
            }
        let hint =
            switch error.reason {
            case .directIOUnsupported: "; use --buffered"
            case .readOnlyFileSystem: "; use --read-only"
            default: ""
            }
        self.init(status, "\(error)\(hint)")
    }

    /// A system call that failed while something was set up.
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

    /// A socket that cannot be made or taken.
    init(_ error: VhostUserError, socket: String) {
        switch error {
        case .pathInUse:
            self.init(
                .cannotCreate, "\(error): somebody serves it already, or it is no socket")
        case .notASocket: self.init(.usage, "\(socket) is no Unix stream socket")
        default: self.init(.cannotCreate, "\(socket) cannot be listened on (\(error))")
        }
    }
}

extension ParsableCommand {
    /// Runs the body of a command; a failure becomes one sentence on standard error and its status.
    func reportingFailures(_ body: () throws -> Void) throws {
        do {
            try body()
        } catch let failure as Failure {
            Self.exit(failure)
        } catch let error as StorageError {
            Self.exit(Failure(error))
        } catch let error as SystemCallError {
            Self.exit(Failure(error))
        }
    }

    private static func exit(_ failure: Failure) -> Never {
        StandardError.write("bounced: \(failure.message)\n")
        Glibc.exit(failure.status.rawValue)
    }
}

/// Standard error, unbuffered.
enum StandardError {
    static func write(_ text: String) {
        // Nobody can be told that telling failed.
        _ = try? FileDescriptor.standardError.writeAll(text.utf8)
    }
}
