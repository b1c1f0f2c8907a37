import NetBackend
import SharedMemory
import SwiotlbPool
import TestSupport
import Testing
import Uring
import Virtqueue

@testable import GuestDriver

/// Frames from private memory through the window to a device that sends them back, and into private memory.
@Suite(.enabled(if: hasUring, "io_uring is not permitted here"))
struct NetDriverTests {
    @Test(
        "What is sent is received, whichever buffers it needs",
        arguments: [VirtioFeatures.netMergeableBuffers, [.netMergeableBuffers, .packedRing]],
        [false, true])
    func loopback(features: VirtioFeatures, hasSlots: Bool) throws {
        let guest = try HostMemory.anonymous(byteCount: 1 << 20)
        let window = try HostMemory.window(byteCount: 1 << 20)
        let base = GuestAddress(1 << 40)
        let pool = try BouncePool(
            window: window, at: base, privateMemory: MemoryMap(guest, at: GuestAddress(0)))
        let layout = QueueLayout(size: 64, isPacked: features.contains(.packedRing))
        var transmitter = try NetTransmitter(
            mapper: try pool.makeMapper(),
            memory: try pool.allocateCoherent(byteCount: layout.byteCount), layout: layout,
            features: features,
            slots: hasSlots
                ? TransmitSlots(
                    memory: try pool.allocateCoherent(
                        byteCount: TransmitSlots.byteCount(queueSize: layout.size)),
                    privateMemory: pool.privateMemory) : nil, partCountMax: 3)
        var receiver = try NetReceiver(
            mapper: try pool.makeMapper(),
            memory: try pool.allocateCoherent(byteCount: layout.byteCount), layout: layout,
            features: features,
            buffers: GuestRange(address: GuestAddress(1 << 19), byteCount: 64 * 1024))
        _ = receiver.publish()
        let map = MemoryMap(window, at: base)
        func setup(_ configuration: QueueConfiguration) -> QueueSetup {
            QueueSetup(
                configuration: configuration, memoryMap: map,
                position: .start(isPacked: layout.isPacked), kick: nil, call: nil)
        }
        var device = try NetQueuePair(
            .loopback, transmit: setup(transmitter.queueConfiguration),
            receive: setup(receiver.queueConfiguration))
        let mapCount = pool.statistics.mapCount
        var random = SeededGenerator(seed: 23)
        for round in 0..<300 {
            let frame = random.bytes(Int.random(in: 14...4000, using: &random))
            let bytes = [UInt8](repeating: 0, count: NetHeader.byteCount) + frame
            guest.store(bytes.span, at: 7)
            let whole = GuestRange(address: GuestAddress(7), byteCount: bytes.count)
            let cut = Int.random(in: 1..<bytes.count, using: &random)
            let pieces = [
                whole.slice(offset: 0, byteCount: cut),
                whole.slice(offset: cut, byteCount: bytes.count - cut),
            ]
            let isSent =
                round % 2 == 0
                ? try transmitter.send(whole, tag: 5)
                : try transmitter.send(pieces.span, tag: 5)
            #expect(isSent)
            _ = transmitter.publish()
            #expect(try device.turn())
            #expect(try transmitter.nextSent() == 5)
            let sentCount = pool.statistics.mapCount
            var received: [UInt8] = []
            while let (buffer, byteCount) = try receiver.next() {
                received += guest.bytes(
                    at: 1 << 19 + buffer * receiver.bufferByteCount, byteCount: byteCount)
                receiver.giveBack(buffer)
            }
            _ = receiver.publish()
            // Buffers to receive into were mapped before: what comes is copied out by a sync.
            #expect(pool.statistics.mapCount == sentCount)
            #expect(Array(received.dropFirst(NetHeader.byteCount)) == frame)
            #expect(Int(received[10]) == (bytes.count + 1023) / 1024)
        }
        #expect(pool.statistics.mapCount > mapCount)
        transmitter.abandon()
        receiver.end()
    }

    @Test("A frame that an empty pool has no room for can be sent when there is")
    func emptyPool() throws {
        let guest = try HostMemory.anonymous(byteCount: 1 << 20)
        let window = try HostMemory.window(byteCount: 1 << 18)
        let base = GuestAddress(1 << 40)
        let pool = try BouncePool(
            window: window, at: base, privateMemory: MemoryMap(guest, at: GuestAddress(0)))
        let layout = QueueLayout(size: 64, isPacked: false)
        var transmitter = try NetTransmitter(
            mapper: try pool.makeMapper(),
            memory: try pool.allocateCoherent(byteCount: layout.byteCount), layout: layout,
            features: [])
        var device = try NetQueuePair(
            .drop,
            transmit: QueueSetup(
                configuration: transmitter.queueConfiguration,
                memoryMap: MemoryMap(window, at: base),
                position: .start(isPacked: false), kick: nil, call: nil),
            receive: nil)
        let frame = GuestRange(address: GuestAddress(0), byteCount: 60_000)
        var tags: [UInt64] = []
        // Four at most are in the window at once.
        for tag in 0..<20 as Range<UInt64> {
            while true {
                do throws(MapRefusal) {
                    let isSent = try transmitter.send(frame, tag: tag)
                    #expect(isSent)
                    break
                } catch {
                    try #require(error.isTemporary && transmitter.inflightCount > 0)
                    _ = transmitter.publish()
                    #expect(try device.turn())
                    while let tag = try transmitter.nextSent() { tags.append(tag) }
                }
            }
        }
        let refusals = pool.statistics.refusals
        #expect(refusals[.exhausted] + refusals[.fragmented] > 0)
        _ = transmitter.publish()
        while try device.turn() {}
        while let tag = try transmitter.nextSent() { tags.append(tag) }
        #expect(tags == Array(0..<20))
        #expect(device.statistics.transmit.frameCount == 20)
        transmitter.abandon()
        device.end()
    }

    @Test(
        "A short frame takes nothing of the pool, a long one and one that is nowhere do not fit a slot"
    )
    func slots() throws {
        let guest = try HostMemory.anonymous(byteCount: 1 << 16)
        let window = try HostMemory.window(byteCount: 1 << 20)
        let pool = try BouncePool(
            window: window, at: GuestAddress(1 << 40),
            privateMemory: MemoryMap(guest, at: GuestAddress(0)))
        let layout = QueueLayout(size: 4, isPacked: false)
        var transmitter = try NetTransmitter(
            mapper: try pool.makeMapper(),
            memory: try pool.allocateCoherent(byteCount: layout.byteCount), layout: layout,
            features: [],
            slots: TransmitSlots(
                memory: try pool.allocateCoherent(
                    byteCount: TransmitSlots.byteCount(queueSize: layout.size)),
                privateMemory: pool.privateMemory))
        let before = pool.statistics.mapCount
        for byteCount in [12, 100, TransmitSlots.slotByteCount] {
            let isSent = try transmitter.send(
                GuestRange(address: GuestAddress(7), byteCount: byteCount), tag: 0)
            #expect(isSent)
        }
        #expect(pool.statistics.mapCount == before)
        let outside = GuestRange(address: GuestAddress(1 << 30), byteCount: 100)
        #expect(throws: MapRefusal.self) { try transmitter.send(outside, tag: 0) }
        let isSent = try transmitter.send(
            GuestRange(address: GuestAddress(7), byteCount: TransmitSlots.slotByteCount + 1), tag: 0
        )
        #expect(isSent)
        #expect(pool.statistics.mapCount > before)
        transmitter.abandon()
    }

    @Test("A full queue, and a buffer that cannot be mapped, leave nothing mapped")
    func refusals() throws {
        let guest = try HostMemory.anonymous(byteCount: 1 << 16)
        let window = try HostMemory.window(byteCount: 1 << 20)
        let pool = try BouncePool(
            window: window, at: GuestAddress(1 << 40),
            privateMemory: MemoryMap(guest, at: GuestAddress(0)))
        let layout = QueueLayout(size: 4, isPacked: false)
        var transmitter = try NetTransmitter(
            mapper: try pool.makeMapper(),
            memory: try pool.allocateCoherent(byteCount: layout.byteCount), layout: layout,
            features: [], partCountMax: 2)
        let good = GuestRange(address: GuestAddress(0), byteCount: 100)
        let bad = GuestRange(address: GuestAddress(1 << 30), byteCount: 100)
        #expect(throws: MapRefusal.self) { try transmitter.send(bad, tag: 0) }
        let both = [good, bad]
        #expect(throws: MapRefusal.self) { try transmitter.send(both.span, tag: 0) }
        let pair = [good, good]
        for _ in 0..<2 {
            let isSent = try transmitter.send(pair.span, tag: 0)
            #expect(isSent)
        }
        for _ in 0..<3 {
            let isSent = try transmitter.send(good, tag: 0)
            #expect(!isSent)
        }
        transmitter.abandon()
    }
}

let hasUring: Bool = {
    do {
        _ = try Ring(entryCount: 1)
        return true
    } catch {
        return false
    }
}()
