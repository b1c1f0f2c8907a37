import CommandSupport
import GuestDriver
import NetBackend
import SharedMemory
import SwiotlbPool
import VhostUser
import Virtqueue

/// A card that is to be driven: what for, and by which way.
struct GuestCardPlan {
    let path: NetPath
    let queueSize: Int
    let windowByteCount: Int

    /// What is asked for; a backend may have less.
    private static let features: VirtioFeatures =
        VirtioFeatures([.version1, .accessPlatform, .eventIndex, .netMergeableBuffers])
        .union(.netHostOffloads).union(.netGuestOffloads)

    /// Drives a card of a backend's until the process is told to stop.
    ///
    /// - Parameter begun: called when frames can pass.
    /// - Returns: what the card has done.
    func run(
        _ device: TapDevice, on backend: BackendProcess, begun: () -> Void
    ) throws -> GuestStatistics {
        let frames = try GuestFrames(queueSize: queueSize)
        let memories = Memories(
            guest: frames.memory, window: try .window(byteCount: windowByteCount))
        let pool = try BouncePool(
            window: memories.window, at: Memories.windowBase, privateMemory: memories.guestMap)
        let tap = GuestTap(device, partCountMax: queueSize)
        do {
            let frontend = try backend.connect()
            try frontend.negotiate(
                features: Self.features, protocolFeatures: BackendProcess.protocolFeatures)
            guard frontend.features.contains(.netMergeableBuffers) else {
                throw CommandFailure(
                    .unavailable, "the backend has no mergeable receive buffers")
            }
            try tap.leaveWork(to: frontend.features)
            switch path {
            case .direct:
                try frontend.setMemory(memories.wholeMap)
                return try run(backend, frontend, tap, frames, pool, begun) { IdentityMapper() }
            case .bounce:
                try frontend.setMemory(memories.windowMap)
                return try run(backend, frontend, tap, frames, pool, begun) {
                    try pool.makeMapper()
                }
            }
        } catch let error as VhostUserError {
            throw CommandFailure(.unavailable, "the backend cannot be used: \(error)")
        } catch is PoolError {
            throw windowTooSmall
        } catch let error as NetReceiverFailure {
            guard case .queue(let fault) = error else { throw windowTooSmall }
            throw CommandFailure(.ioError, "the queues cannot be set up: \(fault)")
        } catch let error as QueueFault {
            throw CommandFailure(.ioError, "the backend broke the rules of a queue: \(error)")
        }
    }

    private var windowTooSmall: CommandFailure {
        CommandFailure(
            .usage,
            "--window \(ByteSize(windowByteCount)) is too small for queues of \(queueSize) frames; use a "
                + "larger one")
    }

    private func run<Mapper: DMAMapper & ~Copyable>(
        _ backend: BackendProcess, _ frontend: VhostUserFrontend, _ tap: GuestTap,
        _ frames: GuestFrames, _ pool: BouncePool, _ begun: () -> Void,
        _ makeMapper: () throws -> Mapper
    ) throws -> GuestStatistics {
        let features = frontend.features
        let layout = QueueLayout(size: queueSize, isPacked: false)
        var slots: TransmitSlots?
        if path == .bounce {
            slots = TransmitSlots(
                memory: try pool.allocateCoherent(
                    byteCount: TransmitSlots.byteCount(queueSize: queueSize)),
                privateMemory: pool.privateMemory)
        }
        let transmitter = try NetTransmitter(
            mapper: try makeMapper(),
            memory: try pool.allocateCoherent(byteCount: layout.byteCount), layout: layout,
            features: features, slots: slots.take())
        let receiver = try NetReceiver(
            mapper: try makeMapper(),
            memory: try pool.allocateCoherent(byteCount: layout.byteCount), layout: layout,
            features: features, buffers: frames.receive)
        let events = try GuestEvents(frames: tap.fileDescriptor)
        let queues = [
            (receiver.queueConfiguration, events.receiveKick, events.receiveCall),
            (transmitter.queueConfiguration, events.transmitKick, events.transmitCall),
        ]
        var card = GuestCard(
            transmitter: transmitter, receiver: receiver, tap: tap, frames: frames, events: events)
        defer { card.end() }
        for (index, (configuration, kick, call)) in queues.enumerated() {
            try frontend.startQueue(
                index, configuration, at: .start(isPacked: false), kick: kick, call: call)
        }
        // Before memory is let go, the backend lets go of the rings.
        defer { for index in queues.indices { _ = try? frontend.stopQueue(index) } }
        begun()
        while !Interruption.isRequested {
            guard try !card.turn(), !card.wait() else { continue }
            guard backend.isAlive else { throw CommandFailure(.unavailable, "the backend is gone") }
        }
        return card.statistics
    }
}
