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
    /// When a wait began, as soon as it is a long one.
    private var waitBegin: UInt64 = 0

    static let receiveQueue = 0
    static let transmitQueue = 1

    /// How long a backend may be without doing anything, in nanoseconds.
    private static let patience: UInt64 = 10_000_000_000

    /// - Parameter frontend: it has agreed on features, and sent its memory.
    init(
        _ backend: BackendProcess, _ frontend: VhostUserFrontend, transmit: QueueConfiguration,
        receive: QueueConfiguration?
    ) throws {
        let transmitKick = try EventDescriptor()
        let receiveKick = try EventDescriptor()
        if let receive {
            try frontend.startQueue(
                Self.receiveQueue, receive, at: .start(isPacked: receive.isPacked),
                kick: receiveKick, call: nil)
        }
        try frontend.startQueue(
            Self.transmitQueue, transmit, at: .start(isPacked: transmit.isPacked),
            kick: transmitKick, call: nil)
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
        let now = AdaptivePoll.now()
        if count == 0x1000 { waitBegin = now }
        guard !backend.isAlive || now - waitBegin > Self.patience else { return }
        throw CommandFailure(
            .unavailable,
            backend.isAlive
                ? "the backend did nothing with a frame within 10 s" : "the backend is gone")
    }

    mutating func end() {
        // The backend lets go of the rings before their memory is used for something else.
        _ = try? frontend.stopQueue(Self.transmitQueue)
        if hasReceiveQueue { _ = try? frontend.stopQueue(Self.receiveQueue) }
    }
}
