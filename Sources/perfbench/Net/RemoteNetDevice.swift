import CommandSupport
import SharedMemory
import VhostUser
import Virtqueue

/// A device in another process, over a vhost-user socket. Neither side sleeps while frames pass.
struct RemoteNetDevice: ~Copyable, NetDeviceEnd {
    private let backend: BackendProcess
    private let frontend: VhostUserFrontend
    private let transmitKick: EventDescriptor
    private let receiveKick: EventDescriptor
    private let hasReceiveQueue: Bool
    private var patience = Patience()

    static let receiveQueue = 0
    static let transmitQueue = 1

    /// - Parameter frontend: it has agreed on features, and sent its memory.
    init(
        _ backend: BackendProcess, _ frontend: VhostUserFrontend, transmit: QueueConfiguration,
        receive: QueueConfiguration?
    ) throws {
        let transmitKick = try EventDescriptor()
        let receiveKick = try EventDescriptor()
        do {
            if let receive {
                try frontend.startQueue(
                    Self.receiveQueue, receive, at: .start(isPacked: receive.isPacked),
                    kick: receiveKick, call: nil)
            }
            try frontend.startQueue(
                Self.transmitQueue, transmit, at: .start(isPacked: transmit.isPacked),
                kick: transmitKick, call: nil)
        } catch {
            Self.stopQueues(of: frontend, hasReceiveQueue: receive != nil)
            throw error
        }
        self.backend = backend
        self.frontend = frontend
        self.transmitKick = transmitKick
        self.receiveKick = receiveKick
        hasReceiveQueue = receive != nil
    }

    var cpuTime: CPUTime { .now + backend.cpuTime }
    var drops: [String: Int]? { get throws { try backend.newDrops() } }

    mutating func advance(kicksTransmit: Bool, kicksReceive: Bool) {
        if kicksTransmit { transmitKick.signal() }
        if kicksReceive { receiveKick.signal() }
    }

    mutating func wait(_ count: Int) throws {
        AdaptivePoll.relax()
        guard count & 0xfff == 0 else { return }
        // There may be fewer processors than threads.
        AdaptivePoll.yield()
        guard backend.isAlive else { throw CommandFailure(.unavailable, "the backend is gone") }
        guard patience.isOver(isFirst: count == 0x1000) else { return }
        throw CommandFailure(
            .unavailable, "the backend did nothing with a frame within \(Patience.seconds) s")
    }

    mutating func end() {
        Self.stopQueues(of: frontend, hasReceiveQueue: hasReceiveQueue)
    }

    /// Has the backend let go of the rings, before their memory is used for something else.
    private static func stopQueues(of frontend: VhostUserFrontend, hasReceiveQueue: Bool) {
        _ = try? frontend.stopQueue(transmitQueue)
        if hasReceiveQueue { _ = try? frontend.stopQueue(receiveQueue) }
    }
}
