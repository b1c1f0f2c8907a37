import CommandSupport
import VhostUser

extension ExitStatus {
    static let documentation = documentation(
        success: "told to stop (SIGTERM, SIGINT), or --fd was a connection and has ended",
        [
            .usage: "the command line asks for something that cannot be",
            .noInput:
                "the file to serve does not exist, or it or the TAP device is none that can be served",
            .unavailable:
                "the system does not permit io_uring, has no TAP devices, or lacks memory",
            .cannotCreate: "the socket cannot be made, or somebody serves it already",
            .ioError: "a system call failed that should not",
            .noPermission: "the file or the TAP device may not be used, or is in use",
        ])
}

extension CommandFailure {
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
