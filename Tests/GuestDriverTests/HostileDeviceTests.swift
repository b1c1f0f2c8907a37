import SharedMemory
import SwiotlbPool
import TestSupport
import Testing

@testable import GuestDriver
@testable import Virtqueue

/// The driver against a device that lies, played by the test, with bouncing.
struct HostileDeviceTests {
    private static let windowBase = GuestAddress(1 << 40)

    /// A driver, and the device's side of its queue.
    private struct Bench: ~Copyable {
        let guest: HostMemory
        let pool: BouncePool
        let window: MemoryMap
        var driver: BlockDriver<BounceMapper>
        var device: DeviceQueue
        var chain = DescriptorChain(capacity: 16)

        init(
            format: VirtioFeatures = [], windowByteCount: Int = 1 << 20, requestCountMax: Int = 8,
            payloadByteCountMax: Int = 65536
        ) throws {
            let guest = try HostMemory.anonymous(byteCount: 4 << 20)
            let window = try HostMemory.window(byteCount: windowByteCount)
            let pool = try BouncePool(
                window: window, at: windowBase,
                privateMemory: MemoryMap(guest, at: GuestAddress(0)))
            let layout = BlockDriverLayout(
                queueSize: 64, isPacked: format.contains(.packedRing), usesTables: false,
                requestCountMax: requestCountMax)
            let driver = try BlockDriver(
                mapper: try pool.makeMapper(),
                memory: try pool.allocateCoherent(byteCount: layout.byteCount), layout: layout,
                features: format, payloadByteCountMax: payloadByteCountMax)
            let map = MemoryMap(window, at: windowBase)
            let device = try DeviceQueue(
                driver.queueConfiguration, memoryMap: map,
                position: .start(isPacked: layout.queue.isPacked))
            self.guest = guest
            self.pool = pool
            self.window = map
            self.driver = driver
            self.device = device
        }

        var usedSlotCount: Int { pool.statistics.usedSlotCount }

        mutating func read(_ byteCount: Int = 4096, slot: Int = 0) throws -> Bool {
            let isMade = try driver.submit(
                .read, sector: 0,
                payload: GuestRange(
                    address: GuestAddress(UInt64(slot * 65536)), byteCount: byteCount),
                tag: UInt64(slot))
            _ = driver.publish()
            return isMade
        }

        /// Takes a request as the device.
        mutating func take() throws {
            let isTaken = try device.next(&chain)
            #expect(isTaken)
        }

        /// Fills what the device may write, and gives it back with a status.
        mutating func answer(status: UInt8?, byteCount: Int, fill: UInt8 = 0xD0) {
            let payload = chain[chain.count - 2]
            for offset in 0..<payload.byteCount where chain.writableCount > 1 {
                _ = window.store(
                    fill, at: GuestAddress(payload.address.rawValue + UInt64(offset)))
            }
            if let status { _ = window.store(status, at: chain[chain.count - 1].address) }
            device.use(chain.token, writtenByteCount: byteCount)
            _ = device.publish()
        }
    }

    static let formats: [VirtioFeatures] = [[], .packedRing]

    @Test(
        "A buffer that is not with the device", arguments: formats, [9, 63, 64, 0xFFFF] as [UInt16])
    func unknownBuffer(format: VirtioFeatures, id: UInt16) throws {
        var bench = try Bench(format: format)
        let before = bench.usedSlotCount
        #expect(try bench.read())
        #expect(try bench.read(slot: 1))
        try bench.take()
        bench.chain.token.id = id
        bench.answer(status: 0, byteCount: 4097)
        #expect(throws: QueueFault.unknownBuffer(id: Int(id))) {
            _ = try bench.driver.nextCompletion()
        }
        // Nothing of it is copied out, and everything is let go.
        bench.driver.abandon()
        #expect(bench.usedSlotCount == before)
        #expect(bench.guest.bytes(at: 0, byteCount: 8192).allSatisfy { $0 == 0 })
    }

    @Test("More than there was room for", arguments: formats, [4098, 8192, 0xFFFF_FFFF])
    func usedTooLong(format: VirtioFeatures, byteCount: Int) throws {
        var bench = try Bench(format: format)
        #expect(try bench.read())
        try bench.take()
        bench.answer(status: 0, byteCount: byteCount)
        #expect(throws: QueueFault.usedLengthOutOfRange(byteCount: byteCount)) {
            _ = try bench.driver.nextCompletion()
        }
        bench.driver.abandon()
    }

    @Test("A status that does not exist, or was not written", arguments: formats)
    func badStatus(format: VirtioFeatures) throws {
        var bench = try Bench(format: format)
        for status in [nil, 3, 0x80, 0xFF] as [UInt8?] {
            #expect(try bench.read())
            try bench.take()
            bench.answer(status: status, byteCount: 4097)
            let end = try #require(try bench.driver.nextCompletion())
            #expect(end.status == .ioError)
        }
        for status in [BlockStatus.ok, .ioError, .unsupported] {
            #expect(try bench.read())
            try bench.take()
            bench.answer(status: status.rawValue, byteCount: 4097)
            let end = try #require(try bench.driver.nextCompletion())
            #expect(end.status == status)
        }
    }

    @Test(
        "Success that falls short is an error, and only what was written is copied out",
        arguments: formats, [0, 1, 511, 4095])
    func shortSuccess(format: VirtioFeatures, byteCount: Int) throws {
        var bench = try Bench(format: format)
        bench.guest.fill(at: 0, byteCount: 4096, with: 0x11)
        #expect(try bench.read())
        try bench.take()
        bench.answer(status: 0, byteCount: byteCount)
        let end = try #require(try bench.driver.nextCompletion())
        #expect(end.status == .ioError && end.writtenByteCount == byteCount)
        let bytes = bench.guest.bytes(at: 0, byteCount: 4096)
        #expect(bytes[..<byteCount].allSatisfy { $0 == 0xD0 })
        #expect(bytes[byteCount...].allSatisfy { $0 == 0x11 })
    }

    @Test("What a device says of a write is of no consequence")
    func usedOfAWrite() throws {
        var bench = try Bench()
        let payload = GuestRange(address: GuestAddress(0), byteCount: 4096)
        for byteCount in [0, 1] {
            #expect(try bench.driver.submit(.write, sector: 0, payload: payload, tag: 5))
            _ = bench.driver.publish()
            try bench.take()
            bench.answer(status: 0, byteCount: byteCount)
            let end = try #require(try bench.driver.nextCompletion())
            #expect(end.status == .ok && end.tag == 5 && end.writtenByteCount == 0)
        }
    }

    @Test("A refusal for want of slots leaves nothing mapped, and passes")
    func exhaustion() throws {
        var bench = try Bench(
            windowByteCount: 1 << 20, requestCountMax: 16, payloadByteCountMax: 1 << 20)
        let payload = GuestRange(address: GuestAddress(0), byteCount: 512 << 10)
        let before = bench.usedSlotCount
        #expect(try bench.driver.submit(.read, sector: 0, payload: payload, tag: 0))
        let held = bench.usedSlotCount
        #expect(held > before)
        for _ in 0..<100 {
            do throws(MapRefusal) {
                _ = try bench.driver.submit(.read, sector: 0, payload: payload, tag: 1)
                Issue.record("there is no room for a second one")
            } catch {
                #expect(error.isTemporary)
            }
            #expect(bench.usedSlotCount == held)
        }
        let count = bench.driver.inflightCount
        #expect(count == 1)
        _ = bench.driver.publish()
        try bench.take()
        bench.device.use(bench.chain.token, writtenByteCount: 0)
        _ = bench.device.publish()
        let end = try #require(try bench.driver.nextCompletion())
        #expect(end.status == .ioError)
        #expect(bench.usedSlotCount == before)
        #expect(try bench.driver.submit(.read, sector: 0, payload: payload, tag: 2))
        bench.driver.abandon()
        #expect(bench.usedSlotCount == before)
    }

    @Test func aPayloadThatIsTooLongNeverFits() throws {
        var bench = try Bench(payloadByteCountMax: 4096)
        let before = bench.usedSlotCount
        let payload = GuestRange(address: GuestAddress(0), byteCount: 1 << 20)
        do throws(MapRefusal) {
            _ = try bench.driver.submit(.write, sector: 0, payload: payload, tag: 1)
            Issue.record("the payload is too long")
        } catch {
            #expect(!error.isTemporary)
        }
        #expect(bench.usedSlotCount == before)
    }

    @Test("Full is false, with nothing mapped, by requests and by descriptors", arguments: [8, 40])
    func full(requestCountMax: Int) throws {
        var bench = try Bench(requestCountMax: requestCountMax)
        // Three descriptors of 64 each.
        let count = min(requestCountMax, 21)
        for slot in 0..<count { #expect(try bench.read(512, slot: slot)) }
        let held = bench.usedSlotCount
        #expect(try !bench.read(512, slot: count))
        #expect(bench.usedSlotCount == held)
        let isFull = bench.driver.isFull
        #expect(isFull == (requestCountMax == 8))
        bench.driver.abandon()
    }
}
