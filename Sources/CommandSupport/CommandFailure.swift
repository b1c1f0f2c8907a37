package import ArgumentParser
package import BlockBackend
import Glibc
package import NetBackend
package import SharedMemory
import SystemPackage

/// A reason not to begin, or to stop, in one sentence, with the status to exit with.
package struct CommandFailure: Error {
    package let status: ExitStatus
    package let message: String

    package init(_ status: ExitStatus, _ message: String) {
        self.status = status
        self.message = message
    }

    /// Storage that cannot be opened.
    ///
    /// - Parameter readOnlyOption: what to type for a file that can be read only, if there is such an
    ///   option.
    package init(_ error: StorageError, readOnlyOption: String? = nil) {
        let status: ExitStatus =
            switch error.reason {
            case .permissionDenied, .readOnlyFileSystem, .busy: .noPermission
            case .notFound, .isDirectory, .notStorage: .noInput
            case .directIOUnsupported: .usage
            case .systemCall: .ioError
            }
        let option: String? =
            switch error.reason {
            case .directIOUnsupported: "--buffered"
            case .readOnlyFileSystem: readOnlyOption
            default: nil
            }
        self.init(status, "\(error)" + (option.map { "; use \($0)" } ?? ""))
    }

    /// A TAP device that cannot be used.
    package init(_ error: TapError) {
        let status: ExitStatus =
            switch error.reason {
            case .invalidName: .usage
            case .unsupported: .unavailable
            case .permissionDenied, .inUse: .noPermission
            case .otherKind: .noInput
            case .systemCall: .ioError
            }
        self.init(status, "\(error)")
    }

    /// A system call that failed.
    package init(_ error: SystemCallError) {
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
    ///
    /// - Parameter program: what the sentence begins with.
    package func reportingFailures(of program: String, _ body: () throws -> Void) throws {
        let failure: CommandFailure
        do {
            return try body()
        } catch let error as CommandFailure {
            failure = error
        } catch let error as StorageError {
            failure = CommandFailure(error)
        } catch let error as TapError {
            failure = CommandFailure(error)
        } catch let error as SystemCallError {
            failure = CommandFailure(error)
        } catch {
            failure = CommandFailure(.ioError, "\(error)")
        }
        StandardError.write("\(program): \(failure.message)\n")
        Glibc.exit(failure.status.rawValue)
    }
}
