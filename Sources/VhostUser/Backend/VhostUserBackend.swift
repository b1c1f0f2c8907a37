public import Logging
public import SharedMemory
import Synchronization
public import SystemPackage
public import Virtqueue

/// Serves a virtio device to vhost-user frontends, one at a time.
///
/// It is the control plane only: rings and payloads are the device's, on threads of its own. Each
/// connection begins with nothing set, and leaves next to nothing behind: at its end queues are
/// stopped, what was under way is given back, memory and descriptors are let go. What the driver has
/// set in the configuration space stays until the device is reset, for a driver does not notice when
/// its frontend connects anew.
///
/// **Threading.** ``serve(_:until:)`` blocks: it wants a thread of its own. Everything else may be
/// called from any thread.
///
/// Source: the vhost-user specification.
public final class VhostUserBackend: Sendable {
    let device: any VirtioDevice
    /// What is offered to frontends.
    let protocolFeatures: ProtocolFeatures
    let logger: Logger

    /// What the frontend of the moment can be sent.
    private struct Frontend {
        var channel: BackendChannel?
        var protocolFeatures: ProtocolFeatures = []
    }

    private let frontend = Mutex(Frontend())
    /// Held while a request is under way on the channel, so that answers cannot be mixed up.
    private let channelTurn = Mutex(())
    private let isServing = Atomic(false)

    /// What is offered unless told otherwise: everything but the status. A frontend that has it
    /// resets the device whenever a virtual machine pauses (QEMU 7.2 does), and with that what the
    /// driver set in its configuration.
    public static let protocolFeaturesByDefault = ProtocolFeatures.all.subtracting(.status)

    /// - Parameters:
    ///   - device: what is served. The log of written pages is offered if it has
    ///     `VirtioFeatures.logAll`, to be told the MTU if it has one, to announce a driver if it can.
    ///   - protocolFeatures: what is offered.
    ///   - logger: told of the beginning and the end of each connection, and of the first error of
    ///     each kind on it.
    public init(
        device: any VirtioDevice,
        protocolFeatures: ProtocolFeatures = VhostUserBackend.protocolFeaturesByDefault,
        logger: Logger = Logger(label: "VhostUser")
    ) {
        self.device = device
        var protocolFeatures = protocolFeatures
        if !device.features.contains(.logAll) { protocolFeatures.remove(.logDescriptor) }
        if device.mtuMax == nil { protocolFeatures.remove(.mtu) }
        if !device.canAnnounce { protocolFeatures.remove(.announcement) }
        self.protocolFeatures = protocolFeatures
        self.logger = logger
    }

    /// Serves one frontend, until it closes the connection or `stop` is signalled.
    ///
    /// - Parameters:
    ///   - socket: the connection. Ownership passes to the call, also when this throws.
    ///   - stop: ends the call soon after it was signalled; it stays signalled. While queues are
    ///     drained it is not looked at.
    /// - Throws: why the connection was given up. The next frontend can be served all the same.
    /// - Precondition: no other frontend is being served.
    public func serve(
        _ socket: FileDescriptor, until stop: EventDescriptor
    ) throws(VhostUserError) {
        let wasServing = isServing.exchange(true, ordering: .acquiringAndReleasing)
        precondition(!wasServing, "a device has one frontend at a time")
        defer { isServing.store(false, ordering: .releasing) }
        let session = BackendSession(
            backend: self, socket: try MessageSocket(adopting: socket), stop: stop)
        logger.info("frontend connected")
        let end = session.run()
        frontend.withLock { $0 = Frontend() }
        switch end {
        case .closed, .stopped: logger.info("frontend disconnected: \(end)")
        default:
            logger.error("frontend disconnected: \(end)")
            throw end
        }
    }

    /// Tells the frontend that the configuration space of the device has changed.
    ///
    /// Do not call it on a thread that ``serve(_:until:)`` waits for with a timeout given.
    ///
    /// - Parameter milliseconds: how long to wait for the frontend's word that it has seen to it;
    ///   `nil` to ask for none. Frontends that give none are not waited for; one that should have
    ///   and did not is sent no more, until it gives another channel; nor is one that sends what was not
    ///   asked for.
    /// - Returns: whether there is a frontend that takes such messages, and it was told.
    @discardableResult
    public func notifyConfigurationChange(acknowledgedWithin milliseconds: Int? = nil) -> Bool {
        let frontend = frontend.withLock { $0 }
        guard let channel = frontend.channel, frontend.protocolFeatures.contains(.configuration)
        else { return false }
        let needsReply =
            milliseconds != nil && frontend.protocolFeatures.contains(.replyAcknowledgement)
        return channelTurn.withLock { _ in
            do throws(VhostUserError) {
                return try channel.send(
                    .configurationChanged, needsReply: needsReply,
                    Patience(milliseconds: milliseconds ?? 0))
            } catch {
                // An answer that comes late would be taken for that to the next request. That there
                // was no room to send, without any waiting, is no such harm.
                if needsReply || error != .timedOut { giveUp(channel) }
                return false
            }
        }
    }

    /// Uses a channel no more, unless the frontend has given another since.
    private func giveUp(_ channel: BackendChannel) {
        frontend.withLock {
            if $0.channel === channel { $0.channel = nil }
        }
    }

    /// Gives a channel up where something has come on it that nobody has asked for, or it has ended.
    func giveUpUnlessQuiet(_ channel: BackendChannel) {
        // Who waits for an answer takes it first.
        channelTurn.withLock { _ in
            if !channel.isQuiet { giveUp(channel) }
        }
    }

    /// What is used to send requests to the frontend, if it has given that.
    var channel: BackendChannel? { frontend.withLock { $0.channel } }

    func setChannel(_ channel: BackendChannel) {
        frontend.withLock { $0.channel = channel }
    }

    func setProtocolFeatures(_ features: ProtocolFeatures) {
        frontend.withLock { $0.protocolFeatures = features }
    }
}
