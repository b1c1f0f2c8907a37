import BasicContainers
import BlockBackend
import GuestDriver
import NetBackend
import SharedMemory
import SwiotlbPool
import Virtqueue

/// What probes run on, each on one of its own. Their loops begin and end with a ``ProbeMark``.
struct ProbeStand {
    private let guestMap: MemoryMap
    private let windowMap: MemoryMap
    private let pool: BouncePool
    private let guest: HostMemory

    static let byteCount = 4096
    private static let memoryByteCount = 1 << 20

    init() throws {
        guest = try HostMemory.anonymous(byteCount: Self.memoryByteCount)
        let window = try HostMemory.window(byteCount: Self.memoryByteCount)
        guestMap = MemoryMap(guest, at: GuestBuffers.base)
        windowMap = MemoryMap(window, at: Memories.windowBase)
        pool = try BouncePool(window: window, at: Memories.windowBase, privateMemory: guestMap)
    }

    private static var buffer: GuestRange {
        GuestRange(address: GuestBuffers.base, byteCount: byteCount)
    }

    func map(_ count: Int, _ direction: DMADirection, usedByteCount: Int) throws {
        var mapper = try pool.makeMapper()
        ProbeMark.set()
        for _ in 0..<count {
            let mapping = try mapper.map(Self.buffer, direction)
            mapper.unmap(mapping, usedByteCount: usedByteCount)
        }
        ProbeMark.set()
    }

    func mapList(_ count: Int) throws {
        var mapper = try pool.makeMapper()
        let buffers = RigidArray(
            capacity: 4,
            copying: (0..<4).map {
                GuestRange(
                    address: GuestAddress(UInt64($0 * 2 * Self.byteCount)),
                    byteCount: Self.byteCount)
            })
        var mappings = RigidArray<DMAMapping>(capacity: buffers.count)
        ProbeMark.set()
        for _ in 0..<count {
            try mapper.map(buffers.span, .fromDevice, into: &mappings)
            while let mapping = mappings.popLast() { mapper.unmap(mapping, usedByteCount: 0) }
        }
        ProbeMark.set()
    }

    func sync(_ count: Int) throws {
        var mapper = try pool.makeMapper()
        let mapping = try mapper.map(Self.buffer, .bidirectional)
        ProbeMark.set()
        for _ in 0..<count {
            mapper.syncForDevice(mapping, offset: 128, byteCount: 64)
            mapper.syncForCPU(mapping, offset: 128, byteCount: 64)
        }
        ProbeMark.set()
        mapper.unmap(mapping, usedByteCount: 0)
    }

    func walk(_ count: Int, isPacked: Bool, decodes: Bool) throws {
        var features: VirtioFeatures = [.version1, .accessPlatform, .eventIndex]
        if isPacked { features.insert(.packedRing) }
        let layout = BlockDriverLayout(
            queueSize: 16, isPacked: isPacked, usesTables: false, requestCountMax: 4)
        var driver = try BlockDriver(
            mapper: try pool.makeMapper(),
            memory: try pool.allocateCoherent(byteCount: layout.byteCount), layout: layout,
            features: features, payloadByteCountMax: Self.byteCount)
        var device = try DeviceQueue(
            driver.queueConfiguration, memoryMap: windowMap, position: .start(isPacked: isPacked))
        let decoder = try BlockRequestDecoder(memoryMap: windowMap, segmentCountMax: 1)
        var chain = DescriptorChain(capacity: 4)
        var segments = RigidArray(
            repeating: BlockSegment(sector: 0, sectorCount: 0, flags: 0), count: 1)
        ProbeMark.set()
        for _ in 0..<count {
            let isMade = try driver.submit(.read, sector: 8, payload: Self.buffer, tag: 0)
            _ = driver.publish()
            let isSeen = try device.next(&chain)
            let token = chain.token
            if decodes {
                let request = try decoder.decode(&chain, segments: &segments, at: 0)
                precondition(request.kind == .read, "what was made is what is decoded")
            }
            device.use(token, writtenByteCount: 1)
            _ = device.publish()
            let isEnded = try driver.nextCompletion() != nil
            precondition(isMade && isSeen && isEnded, "a request goes there and back")
        }
        ProbeMark.set()
    }

    func send(_ count: Int) throws {
        let setting = NetQueueSetting(size: 16, isPacked: false, hasOffloads: false)
        let layout = setting.layout(features: setting.features)
        var frames = FrameMemory(guest, FrameFormat(plain: 1514), queueSize: setting.size)
        var transmitter = try NetTransmitter(
            mapper: try pool.makeMapper(),
            memory: try pool.allocateCoherent(byteCount: layout.byteCount), layout: layout,
            features: setting.features,
            slots: TransmitSlots(
                memory: try pool.allocateCoherent(
                    byteCount: TransmitSlots.byteCount(queueSize: layout.size)),
                privateMemory: pool.privateMemory))
        let queue = transmitter.queueConfiguration
        var pair = try NetQueuePair(
            .drop,
            transmit: QueueSetup(
                configuration: queue, memoryMap: windowMap,
                position: .start(isPacked: queue.isPacked), kick: nil, call: nil), receive: nil)
        ProbeMark.set()
        for _ in 0..<count {
            let isSent = try transmitter.send(frames.transmit.next(), tag: 0)
            _ = transmitter.publish()
            _ = try pair.turn()
            let isDone = try transmitter.nextSent() != nil
            precondition(isSent && isDone, "a frame is sent and forgotten")
        }
        ProbeMark.set()
        pair.end()
    }
}
