import ArgumentParser
import CommandSupport
import SwiotlbPool

extension ExitStatus {
    static let documentation = documentation(
        success: "everything was measured",
        [
            .usage: "the command line asks for something that cannot be",
            .wrongData: "--verify found data that differs",
            .noInput: "the file or TAP device does not exist, is none, or is too small",
            .unavailable:
                "the system does not permit io_uring, lacks memory, has no TAP devices, or that of --tap is "
                + "down",
            .cannotCreate: "the temporary file or the output file cannot be created",
            .ioError: "a request failed, or the disk is full",
            .noPermission:
                "the file may not be read, or not be written; TAP devices may not be made or used",
            .interrupted: "interrupted; what was measured until then was printed",
        ])

    static let guestDocumentation = documentation(
        success: "told to stop",
        [
            .usage: "the command line asks for what cannot be, or the window is too small",
            .noInput: "nobody listens at the socket, or the name is that of another interface",
            .unavailable: "the backend cannot be used, or is gone; or there are no TAP devices",
            .ioError: "the TAP device is gone, or the backend broke a rule",
            .noPermission: "the TAP device may not be used, or is in use",
        ])

    /// Of commands that compare.
    static let gateDocumentation = documentation(
        success: "nothing has changed",
        [
            .regression: "something got worse",
            .improvement: "something got better, and nothing worse: the baseline may be raised",
            .usage: "the command line asks for something that cannot be",
            .wrongData: "a file holds something else, or is damaged",
            .noInput: "a file or program does not exist",
            .unavailable: "nothing can be measured here",
            .cannotCreate: "a file cannot be created",
            .ioError: "a run failed, or the disk is full",
            .interrupted: "interrupted; what was measured until then was printed",
        ])
}

extension ParsableCommand {
    /// Runs the body of a command; a failure becomes one sentence on standard error and its status.
    func reportingFailures(_ body: () throws -> Void) throws {
        try reportingFailures(of: "perfbench") {
            do {
                try body()
            } catch let error as MapRefusal {
                throw CommandFailure(.usage, "a buffer cannot be mapped (\(error))")
            }
        }
    }
}
