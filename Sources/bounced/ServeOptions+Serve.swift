import CommandSupport
import Logging
import SharedMemory
import Uring
import VhostUser
import Virtqueue

/// A device, and what there is to say of it.
protocol ServedDevice: VirtioDevice {
    /// What each queue has done, a line each.
    var report: String { get }
}

extension ServeOptions {
    /// Serves a device until the process is told to stop, or the one connection that it was started with
    /// has ended.
    ///
    /// - Parameters:
    ///   - name: what is served, for the log.
    ///   - changes: whom the device tells that its configuration space has changed.
    func serve(
        _ device: some ServedDevice, named name: String, changes: ConfigurationChanges? = nil,
        logger: Logger
    ) throws {
        let signals = try Signals { StandardError.write(device.report) }
        try HostMemory.surviveLoss()
        DescriptorLimit.raise()
        // Before anybody is promised anything.
        _ = try Ring(entryCount: 1)
        let listener = try makeListener()
        let backend = VhostUserBackend(device: device, logger: logger)
        changes?.follow(backend)
        logger.info("serving \(name) on \(socketName)")
        do {
            try listener.serve(with: backend, until: signals.stop)
        } catch {
            // A connection that was given up, which the log has; otherwise the socket itself.
            if case .system(let error) = error { throw CommandFailure(error) }
        }
        StandardError.write(device.report)
    }
}
