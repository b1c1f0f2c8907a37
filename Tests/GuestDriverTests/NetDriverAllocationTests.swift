import AllocationCounter
import NetBackend
import SharedMemory
import SwiotlbPool
import TestSupport
import Testing
import Virtqueue

@testable import GuestDriver

@Suite(
    .enabled(if: hasUring, "io_uring is not permitted here"),
    .enabled(if: allocation_counter_works(), "allocations cannot be counted here"),
    .enabled(if: isOptimizedBuild, "an unoptimised build allocates where the code does not"))
struct NetDriverAllocationTests {
    @Test(
        "From the driver to the device and back, nothing is allocated",
        arguments: [VirtioFeatures.netMergeableBuffers, [.netMergeableBuffers, .packedRing]])
    func loopback(features: VirtioFeatures) throws {
        let guest = try HostMemory.anonymous(byteCount: 1 << 20)
        let window = try HostMemory.window(byteCount: 1 << 20)
        let base = GuestAddress(1 << 40)
        let pool = try BouncePool(
            window: window, at: base, privateMemory: MemoryMap(guest, at: GuestAddress(0)))
        let layout = QueueLayout(size: 16, isPacked: features.contains(.packedRing))
        var transmitter = try NetTransmitter(
            mapper: try pool.makeMapper(),
            memory: try pool.allocateCoherent(byteCount: layout.byteCount), layout: layout,
            features: features,
            slots: TransmitSlots(
                memory: try pool.allocateCoherent(
                    byteCount: TransmitSlots.byteCount(queueSize: layout.size)),
                privateMemory: pool.privateMemory), partCountMax: 2)
        var receiver = try NetReceiver(
            mapper: try pool.makeMapper(),
            memory: try pool.allocateCoherent(byteCount: layout.byteCount), layout: layout,
            features: features,
            buffers: GuestRange(address: GuestAddress(1 << 19), byteCount: 16 * 1024))
        _ = receiver.publish()
        func setup(_ configuration: QueueConfiguration) -> QueueSetup {
            QueueSetup(
                configuration: configuration, memoryMap: MemoryMap(window, at: base),
                position: .start(isPacked: layout.isPacked), kick: nil, call: nil)
        }
        var device = try NetQueuePair(
            .loopback, transmit: setup(transmitter.queueConfiguration),
            receive: setup(receiver.queueConfiguration))
        // One that is copied to a slot, one that is mapped, one in pieces.
        let short = GuestRange(address: GuestAddress(0), byteCount: 100)
        let long = GuestRange(address: GuestAddress(0), byteCount: 3000)
        let pieces = [
            long.slice(offset: 0, byteCount: 12), long.slice(offset: 12, byteCount: 500),
        ]
        var failureCount = 0
        func cycle() throws {
            for _ in 0..<4 {
                if try !transmitter.send(short, tag: 0) { failureCount += 1 }
            }
            if try !transmitter.send(long, tag: 0) { failureCount += 1 }
            if try !transmitter.send(pieces.span, tag: 0) { failureCount += 1 }
            _ = transmitter.publish()
            _ = try device.turn()
            while try transmitter.nextSent() != nil {}
            while let (buffer, _) = try receiver.next() { receiver.giveBack(buffer) }
            _ = receiver.publish()
            if transmitter.inflightCount > 0 { failureCount += 1 }
        }
        for _ in 0..<100 { try cycle() }
        let before = allocation_counter_read()
        for _ in 0..<5_000 { try cycle() }
        let count = allocation_counter_read() - before
        #expect(count == 0)
        #expect(failureCount == 0)
        transmitter.abandon()
        receiver.end()
    }
}
