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
    private let ends: NetEnds

    init(memories: Memories, setting: NetQueueSetting, ends: NetEnds) throws {
        self.memories = memories
        self.setting = setting
        self.ends = ends
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
        FrameMemory(memories.guest, format(plan), queueSize: setting.size)
    }

    /// What frames of a case are: on a TAP device, those that are longer than one packet may be are segmented
    /// by it.
    private func format(_ plan: NetCase) -> FrameFormat {
        plan.sink == .tap && plan.frameByteCount > EthernetFrame.headerByteCount + ends.mtu
            ? FrameFormat(segmented: plan.frameByteCount, mtu: ends.mtu)
            : FrameFormat(plain: plan.frameByteCount)
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
        try check(features, for: frames.format, plan.direction)
        let layout = setting.layout(features: features)
        let tap = ends.taps[lane.via]
        let feed =
            plan.direction.receives
            ? try tap.map {
                FrameFeed(
                    try PacketSocket(interface: $0.name, receives: false), frames.format)
            } : nil
        let transmitter = try NetTransmitter(
            mapper: try makeMapper(),
            memory: try pool.allocateCoherent(byteCount: layout.byteCount), layout: layout,
            features: features, slots: try makeSlots(lane, layout))
        var receiver: NetReceiver<Mapper>?
        if plan.direction.receives {
            receiver = try NetReceiver(
                mapper: try makeMapper(),
                memory: try pool.allocateCoherent(byteCount: layout.byteCount), layout: layout,
                features: features, buffers: frames.receive)
        }
        let (transmit, receive) = (
            transmitter.queueConfiguration, receiver?.queueConfiguration
        )
        do {
            if let backend = ends.backend, let frontend {
                let device = try RemoteNetDevice(
                    backend, frontend, transmit: transmit, receive: receive)
                var loop = FrameLoop(
                    transmitter: transmitter, receiver: receiver.take(), device: device,
                    frames: frames, queueSize: layout.size, sends: plan.direction.transmits,
                    feed: feed)
                return try carryOut(task, plan, lane, &loop, &latencies)
            }
            let device = LocalNetDevice(
                try NetQueuePair(
                    ends.connection, transmit: queueSetup(transmit, lane),
                    receive: receive.map { queueSetup($0, lane) }))
            var loop = FrameLoop(
                transmitter: transmitter, receiver: receiver.take(), device: device,
                frames: frames, queueSize: layout.size, sends: plan.direction.transmits, feed: feed)
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
                try verify(frameCount, plan, lane, &loop)
            }
            sample.drops = try loop.device.drops
            if sample.refusedCount > 0 {
                sample.drops?["no room in the TAP device", default: 0] += sample.refusedCount
            }
            loop.end()
            return sample
        } catch {
            loop.end()
            throw error
        }
    }

    /// Sends frames both ways, as far as there are any, and has them compared; a TAP device's interface is
    /// to count as many as were sent.
    private func verify<Mapper: DMAMapper & ~Copyable, Device: NetDeviceEnd & ~Copyable>(
        _ frameCount: Int, _ plan: NetCase, _ lane: NetLane, _ loop: inout FrameLoop<Mapper, Device>
    ) throws {
        guard let tap = ends.taps[lane.via], loop.sends else {
            return try loop.verify(frameCount: frameCount, burst: plan.burst, lane: lane)
        }
        let count = tap.receivedCount
        try loop.verify(
            frameCount: frameCount, burst: plan.burst, lane: lane,
            arrivals: try PacketSocket(interface: tap.name, receives: true))
        let arrived = tap.receivedCount - count
        guard arrived == frameCount || Interruption.isRequested else {
            throw CommandFailure(
                .wrongData,
                "verify: interface \(tap.name) has counted \(arrived) of \(frameCount) frames of "
                    + "\(plan.frameByteCount) bytes \(lane.description)")
        }
    }

    /// Whether the backend does what frames need.
    private func check(
        _ features: VirtioFeatures, for format: FrameFormat, _ direction: NetDirection
    ) throws {
        guard
            direction.transmits && !features.isSuperset(of: format.transmitFeatures)
                || direction.receives && !features.isSuperset(of: format.receiveFeatures)
        else { return }
        throw CommandFailure(
            .unavailable,
            "the backend does not segment, which frames of \(format.byteCount) bytes take on a TAP "
                + "device; use --frame-size up to \(EthernetFrame.headerByteCount + ends.mtu)")
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
        guard let backend = ends.backend else { return nil }
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
