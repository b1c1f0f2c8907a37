import ArgumentParser
import BlockBackend
import CommandSupport
import Logging
import SystemPackage

/// `bounced blk`: a virtio-blk device on a file or block device.
struct BlkCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "blk",
        abstract: "Serves a file or block device as a virtio-blk device.",
        discussion: ServeOptions.discussion)

    @OptionGroup var options: ServeOptions

    @Option(help: "File or block device to serve.", completion: .file())
    var blkFile: String?

    @Flag(help: "Refuse writes, and open the file for reading only.")
    var readOnly = false

    @Option(help: "Queues, each with a thread: 1 to 256.")
    var numQueues = 1

    @Flag(help: "Go through the page cache instead of around it (O_DIRECT).")
    var buffered = false

    func validate() throws {
        guard blkFile != nil else { throw ValidationError("name the file to serve, by --blk-file") }
        guard (1...256).contains(numQueues) else {
            throw ValidationError("--num-queues \(numQueues) is not 1 to 256")
        }
    }

    /// What a management program can ask of this one, as the specification has it.
    static let capabilities = #"{"type": "block", "features": ["read-only", "blk-file"]}"#

    func run() throws {
        try reportingFailures(of: "bounced") {
            let logger = options.makeLogger()
            let device = try makeDevice(logger)
            let size = "\(device.storage.byteCount) bytes\(readOnly ? ", read-only" : "")"
            try options.serve(device, named: "\(blkFile ?? "") (\(size))", logger: logger)
        }
    }

    private func makeDevice(_ logger: Logger) throws -> BlockDevice {
        var storageOptions: BlockStorage.Options = []
        if readOnly { storageOptions.insert(.readOnly) }
        if buffered { storageOptions.insert(.buffered) }
        let path = FilePath(blkFile ?? "")
        let storage: BlockStorage
        do {
            storage = try BlockStorage(path: path, options: storageOptions)
        } catch {
            throw CommandFailure(error, readOnlyOption: "--read-only")
        }
        guard storage.byteCount > 0 else {
            throw CommandFailure(.noInput, "\(path) has no whole sector of 512 bytes")
        }
        var configuration = BlockDevice.Configuration()
        configuration.queueCount = numQueues
        configuration.queueSizeMax = options.queueSize
        configuration.pollMicroseconds = options.pollMicroseconds ?? 32
        return BlockDevice(storage: storage, configuration: configuration, logger: logger)
    }
}

extension BlockDevice: ServedDevice {
    var report: String {
        statistics.enumerated().map { index, queue in
            "queue \(index): \(queue.readCount) reads, \(queue.writeCount) writes, "
                + "\(queue.flushCount) flushes, \(queue.discardCount) discards and zeroes, "
                + "\(queue.failedCount) failed, \(queue.refusedCount) of them refused; "
                + "\(queue.kickCount) kicks, \(queue.callCount) calls, \(queue.waitCount) waits, "
                + "\(queue.pollHitCount) of \(queue.pollHitCount + queue.pollMissCount) polls found "
                + "work, \(queue.faultCount) faults\n"
        }.joined()
    }
}
