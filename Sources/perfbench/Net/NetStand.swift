import CommandSupport
import GuestDriver
import NetBackend
import SharedMemory
import SwiotlbPool
import VhostUser
import Virtqueue

/// Everything that a net measurement runs on: guest memory, the window and its pool, and the other process.
///
/// Drivers and queues are made anew for each round: a backend serves one frontend at a time.
final class NetStand {
    let memories: Memories
    private let pool: BouncePool
    private let setting: NetQueueSetting
    /// The process behind lanes by vhost-user.
    private let backend: BackendProcess?

    init(memories: Memories, setting: NetQueueSetting, backend: BackendProcess?) throws {
        self.memories = memories
        self.setting = setting
        self.backend = backend
        pool = try BouncePool(
            window: memories.window, at: Memories.windowBase, privateMemory: memories.guestMap)
    }

    /// What a lane is to do.
    enum Task {
        /// Move frames for a time, then one at a time for another.
        case measure(seconds: Double, latencySeconds: Double)
        /// Send so many frames and compare what comes back.
        case verify(frameCount: Int)
    }

    /// The buffers of a case, as they are in guest memory.
    func frames(_ plan: NetCase) -> FrameMemory {
        FrameMemory(
            memories.guest, frameByteCount: plan.frameByteCount, queueSize: setting.size)
    }

    /// - Parameter latencies: of frames there and back, in nanoseconds.
    /// - Returns: what was measured, if anything was.
    func perform(
        _ task: Task, _ plan: NetCase, on lane: NetLane, latencies: inout LatencyHistogram
    ) throws -> NetSample {
        do {
            switch lane.path {
            case .direct:
                return try perform(task, plan, lane, &latencies) { IdentityMapper() }
            case .bounce:
                return try perform(task, plan, lane, &latencies) { [pool] in try pool.makeMapper() }
            }
        } catch let error as VhostUserError {
            throw CommandFailure(.unavailable, "the backend cannot be used: \(error)")
        } catch let error as QueueStartFailure {
            throw CommandFailure(.unavailable, "the device cannot be started: \(error)")
        } catch let error as NetFault {
            throw CommandFailure(.ioError, "the device gave up: \(error)")
        } catch let error as QueueFault {
            throw CommandFailure(.ioError, "the device broke the rules of a queue: \(error)")
        }
    }

    private func perform<Mapper: DMAMapper & ~Copyable>(
        _ task: Task, _ plan: NetCase, _ lane: NetLane, _ latencies: inout LatencyHistogram,
        _ makeMapper: () throws -> Mapper
    ) throws -> NetSample {
        let features: VirtioFeatures
        let frontend: VhostUserFrontend?
        switch lane.via {
        case .virtqueue:
            features = setting.features
            frontend = nil
        case .vhostUser:
            frontend = try connect(lane)
            features = frontend?.features.intersection(setting.features) ?? setting.features
        }
        let frames = frames(plan)
        let layout = setting.layout(features: features)
        let transmitter = try NetTransmitter(
            mapper: try makeMapper(),
            memory: try pool.allocateCoherent(byteCount: layout.byteCount), layout: layout,
            features: features, slots: try makeSlots(lane, layout))
        var receiver: NetReceiver<Mapper>?
        if plan.sink == .loopback {
            receiver = try NetReceiver(
                mapper: try makeMapper(),
                memory: try pool.allocateCoherent(byteCount: layout.byteCount), layout: layout,
                features: features, buffers: frames.receive)
        }
        let (transmit, receive) = (
            transmitter.queueConfiguration, receiver?.queueConfiguration
        )
        do {
            if let backend, let frontend {
                let device = try RemoteNetDevice(
                    backend, frontend, transmit: transmit, receive: receive)
                var loop = FrameLoop(
                    transmitter: transmitter, receiver: receiver.take(), device: device,
                    frames: frames, queueSize: layout.size)
                return try carryOut(task, plan, lane, &loop, &latencies)
            }
            let device = LocalNetDevice(
                try NetQueuePair(
                    plan.sink.connection, transmit: queueSetup(transmit, lane),
                    receive: receive.map { queueSetup($0, lane) }))
            var loop = FrameLoop(
                transmitter: transmitter, receiver: receiver.take(), device: device,
                frames: frames, queueSize: layout.size)
            return try carryOut(task, plan, lane, &loop, &latencies)
        } catch {
            receiver?.end()
            throw error
        }
    }

    private func carryOut<Mapper: DMAMapper & ~Copyable, Device: NetDeviceEnd & ~Copyable>(
        _ task: Task, _ plan: NetCase, _ lane: NetLane, _ loop: inout FrameLoop<Mapper, Device>,
        _ latencies: inout LatencyHistogram
    ) throws -> NetSample {
        do {
            var sample = NetSample()
            switch task {
            case .measure(let seconds, let latencySeconds):
                sample = try loop.run(burst: plan.burst, seconds: seconds)
                try loop.measureLatency(seconds: latencySeconds, into: &latencies)
            case .verify(let frameCount):
                try loop.verify(frameCount: frameCount, burst: plan.burst, lane: lane)
            }
            sample.drops = try loop.device.drops
            loop.end()
            return sample
        } catch {
            loop.end()
            throw error
        }
    }

    /// Where short frames are bounced to.
    private func makeSlots(_ lane: NetLane, _ layout: QueueLayout) throws -> TransmitSlots? {
        guard lane.path == .bounce else { return nil }
        return TransmitSlots(
            memory: try pool.allocateCoherent(
                byteCount: TransmitSlots.byteCount(queueSize: layout.size)),
            privateMemory: pool.privateMemory)
    }

    private func connect(_ lane: NetLane) throws -> VhostUserFrontend? {
        guard let backend else { return nil }
        let frontend = try backend.connect()
        try frontend.negotiate(
            features: setting.features, protocolFeatures: BackendProcess.protocolFeatures)
        try frontend.setMemory(deviceMap(lane))
        return frontend
    }

    private func queueSetup(_ queue: QueueConfiguration, _ lane: NetLane) -> QueueSetup {
        QueueSetup(
            configuration: queue, memoryMap: deviceMap(lane),
            position: .start(isPacked: queue.isPacked), kick: nil, call: nil)
    }

    /// What a device sees: the window, in which rings are on every path, and on direct ones all of guest
    /// memory.
    private func deviceMap(_ lane: NetLane) -> MemoryMap {
        lane.path == .bounce ? memories.windowMap : memories.wholeMap
    }
}

extension NetSink {
    fileprivate var connection: NetConnection {
        switch self {
        case .drop: .drop
        case .loopback: .loopback
        }
    }
}
