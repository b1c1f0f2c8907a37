import ArgumentParser
import BlockBackend
import CommandSupport
import Glibc
import Logging
import SharedMemory
import SystemPackage
import Uring
import VhostUser
import Virtqueue

/// `bounced blk`: a virtio-blk device on a file or block device.
struct BlkCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "blk",
        abstract: "Serves a file or block device as a virtio-blk device.",
        discussion: """
            Frontends are served one after another. A frontend that breaks the protocol loses its \
            connection, a queue whose driver breaks the rules stops; each is said once in the log, on \
            standard error. SIGTERM and SIGINT end what is under way and exit; SIGUSR1 prints statistics \
            on standard error.

            \(ExitStatus.documentation)
            """)

    @Option(help: "Unix socket to listen on.")
    var socketPath: String?

    @Option(
        help: "Descriptor of a socket that this process was started with, listening or connected.")
    var fd: Int32?

    @Option(help: "File or block device to serve.")
    var blkFile: String?

    @Flag(help: "Refuse writes, and open the file for reading only.")
    var readOnly = false

    @Option(help: "Queues, each with a thread: 1 to 256.")
    var numQueues = 1

    @Option(help: "Descriptors of a queue at most: a power of two, 2 to 32768.")
    var queueSize = 1024

    @Flag(help: "Go through the page cache instead of around it (O_DIRECT).")
    var buffered = false

    @Option(
        help: "How long an idle queue looks for requests before it sleeps, at most; 0 not at all.")
    var pollMicroseconds = 32

    @Flag(help: "Print what this program can do, as JSON, and exit.")
    var printCapabilities = false

    func validate() throws {
        if printCapabilities { return }
        guard (socketPath == nil) != (fd == nil) else {
            throw ValidationError("name one socket, by --socket-path or by --fd")
        }
        if socketPath == "" { throw ValidationError("--socket-path is empty") }
        guard blkFile != nil else { throw ValidationError("name the file to serve, by --blk-file") }
        if let fd, fd < 0 { throw ValidationError("--fd \(fd) is no descriptor") }
        guard (1...256).contains(numQueues) else {
            throw ValidationError("--num-queues \(numQueues) is not 1 to 256")
        }
        guard queueSize >= 2, QueueConfiguration.isValid(size: queueSize) else {
            throw ValidationError("--queue-size \(queueSize) is no power of two from 2 to 32768")
        }
        guard (0...1_000_000).contains(pollMicroseconds) else {
            throw ValidationError("--poll-microseconds \(pollMicroseconds) is not 0 to 1000000")
        }
    }

    func run() throws {
        if printCapabilities {
            print(Self.capabilities)
        } else {
            try reportingFailures(of: "bounced", serve)
        }
    }

    /// What a management program can ask of this one, as the specification has it.
    static let capabilities = #"{"type": "block", "features": ["read-only", "blk-file"]}"#

    private func serve() throws {
        let logger = Logger(
            label: "bounced", factory: { StreamLogHandler.standardError(label: $0) })
        let device = try makeDevice(logger)
        let signals = try Signals { StandardError.write(device.report) }
        try HostMemory.surviveLoss()
        DescriptorLimit.raise()
        // Before anybody is promised anything.
        _ = try Ring(entryCount: 1)
        let listener = try makeListener()
        let backend = VhostUserBackend(device: device, logger: logger)
        logger.info(
            "serving \(blkFile ?? "") (\(device.storage.byteCount) bytes\(readOnly ? ", read-only" : "")) on \(socketName)"
        )
        do {
            try listener.serve(with: backend, until: signals.stop)
        } catch {
            // A connection that was given up, which the log has; otherwise the socket itself.
            if case .system(let error) = error { throw CommandFailure(error) }
        }
        StandardError.write(device.report)
    }

    private func makeDevice(_ logger: Logger) throws -> BlockDevice {
        var options: BlockStorage.Options = []
        if readOnly { options.insert(.readOnly) }
        if buffered { options.insert(.buffered) }
        let path = FilePath(blkFile ?? "")
        let storage: BlockStorage
        do {
            storage = try BlockStorage(path: path, options: options)
        } catch {
            throw CommandFailure(error, readOnlyOption: "--read-only")
        }
        guard storage.byteCount > 0 else {
            throw CommandFailure(.noInput, "\(path) has no whole sector of 512 bytes")
        }
        var configuration = BlockDevice.Configuration()
        configuration.queueCount = numQueues
        configuration.queueSizeMax = queueSize
        configuration.pollMicroseconds = pollMicroseconds
        return BlockDevice(storage: storage, configuration: configuration, logger: logger)
    }

    private var socketName: String { socketPath ?? "descriptor \(fd ?? -1)" }

    private func makeListener() throws -> VhostUserListener {
        do {
            if let fd { return try VhostUserListener(adopting: FileDescriptor(rawValue: fd)) }
            return try VhostUserListener(path: FilePath(socketPath ?? ""))
        } catch {
            throw CommandFailure(error, socket: socketName)
        }
    }
}

extension BlockDevice {
    /// What each queue has done, a line each.
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
