import BlockBackend
import SharedMemory
import SwiotlbPool
import SystemPackage
import TestSupport
import Testing
import Virtqueue

@testable import GuestDriver

/// The driver against the device, both in this thread, on a real file.
struct BlockDriverTests {
    struct Setting: CustomStringConvertible, Sendable {
        var features: VirtioFeatures
        var bounces: Bool
        var description: String {
            "\(features.contains(.packedRing) ? "packed" : "split")"
                + (features.contains(.eventIndex) ? " event-index" : "")
                + (features.contains(.indirectDescriptors) ? " indirect" : "")
                + (bounces ? " bounce" : " direct")
        }

        static var all: [Setting] {
            var settings: [Setting] = []
            for format in [VirtioFeatures(), .packedRing] {
                for event in [VirtioFeatures(), .eventIndex] {
                    for indirect in [VirtioFeatures(), .indirectDescriptors] {
                        for bounces in [false, true] {
                            settings.append(
                                Setting(
                                    features: [format, event, indirect, .blockFlush],
                                    bounces: bounces))
                        }
                    }
                }
            }
            return settings
        }
    }

    static let guestBase = GuestAddress(0)
    static let windowBase = GuestAddress(1 << 40)

    @Test(arguments: Setting.all) func whatIsWrittenIsReadBack(setting: Setting) throws {
        let file = try TemporaryFile([UInt8](repeating: 0, count: 1 << 20))
        let storage = try BlockStorage(
            path: FilePath("/proc/self/fd/\(file.descriptor.rawValue)"), options: .buffered)
        let guest = try HostMemory.anonymous(byteCount: 1 << 20)
        let window = try HostMemory.window(byteCount: 4 << 20)
        let guestMap = MemoryMap(guest, at: Self.guestBase)
        let pool = try BouncePool(window: window, at: Self.windowBase, privateMemory: guestMap)
        if setting.bounces {
            try exercise(
                setting, mapper: try pool.makeMapper(), pool: pool, storage: storage, guest: guest,
                deviceMap: MemoryMap(window, at: Self.windowBase))
        } else {
            let map = try MemoryMap([
                MemoryMap.Region(guestAddress: Self.guestBase, memory: guest),
                MemoryMap.Region(guestAddress: Self.windowBase, memory: window),
            ])
            try exercise(
                setting, mapper: IdentityMapper(), pool: pool, storage: storage, guest: guest,
                deviceMap: map)
        }
        #expect(pool.statistics.usedSlotCount == 0)
        withExtendedLifetime(file) {}
    }

    private func exercise<Mapper: DMAMapper & ~Copyable>(
        _ setting: Setting, mapper: consuming Mapper, pool: BouncePool, storage: BlockStorage,
        guest: HostMemory, deviceMap: MemoryMap
    ) throws {
        let layout = BlockDriverLayout(
            queueSize: 64, isPacked: setting.features.contains(.packedRing),
            usesTables: setting.features.contains(.indirectDescriptors), requestCountMax: 16)
        var driver = try BlockDriver(
            mapper: mapper,
            memory: try pool.allocateCoherent(byteCount: layout.byteCount), layout: layout,
            features: setting.features, payloadByteCountMax: 65536)
        var device = try BlockQueue(
            storage: storage,
            setup: QueueSetup(
                configuration: driver.queueConfiguration, memoryMap: deviceMap,
                position: .start(isPacked: layout.queue.isPacked), kick: nil, call: nil))
        var random = SeededGenerator(seed: 1)
        var model = [UInt8](repeating: 0, count: Int(storage.byteCount))
        for step in 0..<200 {
            var expected: [(tag: UInt64, buffer: GuestRange, bytes: [UInt8])] = []
            for slot in 0..<Int.random(in: 1...16, using: &random) {
                // Sixteen places of 64 KiB, in the guest and in the file.
                let count = 512 * Int.random(in: 1...128, using: &random)
                let base = slot * 65536
                let buffer = GuestRange(address: GuestAddress(UInt64(base)), byteCount: count)
                let isWrite = Bool.random(using: &random)
                if isWrite {
                    let bytes = random.bytes(count)
                    guest.store(bytes.span, at: base)
                    model.replaceSubrange(base..<base + count, with: bytes)
                }
                let isSubmitted = try driver.submit(
                    isWrite ? .write : .read, sector: UInt64(base / 512), payload: buffer,
                    tag: UInt64(slot))
                #expect(isSubmitted)
                expected.append(
                    (UInt64(slot), buffer, Array(model[base..<base + count])))
            }
            _ = driver.publish()
            var ended = 0
            while ended < expected.count {
                _ = try device.fetch()
                try device.submitAndWait(minimumCompletionCount: 0)
                _ = device.reap()
                _ = device.publish()
                while let completion = try driver.nextCompletion() {
                    #expect(completion.status == .ok, "step \(step)")
                    ended += 1
                }
            }
            for (_, buffer, bytes) in expected {
                let found = guest.bytes(
                    at: Int(buffer.address.rawValue), byteCount: buffer.byteCount)
                try #require(found == bytes, "step \(step)")
            }
        }
        #expect(device.statistics.readCount > 100 && device.statistics.writeCount > 100)
    }
}
