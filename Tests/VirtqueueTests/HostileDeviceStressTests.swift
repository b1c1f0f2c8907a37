import BasicContainers
import SharedMemory
import Synchronization
import TestSupport
import Testing

@testable import Virtqueue

/// A device that writes anything anywhere into the rings, at any time.
struct HostileDeviceStressTests {
    private static let features: [VirtioFeatures] = [
        [], [.eventIndex, .inOrder], .packedRing, [.packedRing, .eventIndex, .inOrder],
    ]

    /// Uses something in a way that may be right.
    private static func use(
        _ layout: QueueLayout, _ memory: HostMemory, _ driver: borrowing DriverQueue,
        _ random: inout SeededGenerator
    ) {
        let isRight = driver.isInOrder && random.below(16) > 0
        let id = isRight ? Int(driver.order[driver.oldest]) : random.below(8)
        let place = driver.packedUsed
        if layout.isPacked {
            let word = UInt64(id) << 32 | UInt64(place.usedFlags | 2) << 48 | 1000
            memory.store(word, at: 16 * Int(place.index) + 8)
        } else {
            memory.store(UInt32(id), at: layout.deviceOffset + 4 + 8 * (Int(driver.used) % 8))
            memory.store(driver.used &+ 1, at: layout.deviceOffset + 2)
        }
    }

    /// - Returns: how many queues have failed, and how many buffers came back.
    private static func run(
        _ layout: QueueLayout, _ memory: HostMemory, _ features: VirtioFeatures
    ) throws -> (Int, Int) {
        var random = SeededGenerator(seed: 3)
        var faultCount = 0
        var returnedCount = 0
        for _ in 0..<400 {
            var driver = try DriverQueue(
                layout, at: RawRing.base, features: features,
                memoryMap: MemoryMap(memory, at: RawRing.base))
            let parts = [GuestRange](
                repeating: GuestRange(address: GuestAddress(0x1000), byteCount: 1000), count: 3)
            do throws(QueueFault) {
                for _ in 0..<40 {
                    let count = 1 + random.below(3)
                    _ = driver.add(parts.span.extracting(first: count), readableCount: 0, tag: 7)
                    if random.below(2) == 0 { _ = driver.publish() }
                    if random.below(8) == 0 { _ = driver.enableCalls() }
                    if random.below(8) == 0 { driver.disableCalls() }
                    use(layout, memory, driver, &random)
                    while let buffer = try driver.nextUsed() {
                        precondition(buffer.tag == 7 && buffer.writtenByteCount <= 3000)
                        returnedCount += 1
                    }
                    precondition(driver.inflightCount >= 0 && driver.inflightCount <= layout.size)
                    precondition(driver.freeDescriptorCount <= layout.size)
                }
            } catch {
                faultCount += 1
            }
        }
        return (faultCount, returnedCount)
    }

    @Test(arguments: features) func driverOnRingsThatChange(features: VirtioFeatures) throws {
        let layout = QueueLayout(size: 8, isPacked: features.contains(.packedRing))
        let memory = try HostMemory.anonymous(byteCount: layout.byteCount + 4096)
        memory.fill(at: layout.byteCount, byteCount: 4096, with: 0xaa)
        let isDone = Atomic(false)
        let counts = Mutex((0, 0))
        onThreads(2) { index in
            if index == 0 {
                var random = SeededGenerator(seed: 4)
                while !isDone.load(ordering: .relaxed) {
                    for _ in 0..<32 {
                        // A used index or entry, or a used descriptor, that may be right.
                        let id = UInt32(random.below(9))
                        let offset = layout.isPacked ? 0 : layout.deviceOffset
                        if layout.isPacked {
                            let flags = UInt64([0x8080, 0x8082, 0, 2][random.below(4)])
                            let word = UInt64(random.below(3200)) | UInt64(id) << 32 | flags << 48
                            memory.store(word, at: 16 * random.below(8) + 8)
                        } else {
                            if random.below(16) == 0 {
                                memory.store(UInt16(random.below(20)), at: offset + 2)
                            }
                            memory.store(id, at: offset + 4 + 8 * random.below(8))
                            memory.store(
                                UInt32(random.below(3200)), at: offset + 8 + 8 * random.below(8))
                        }
                        memory.store(
                            UInt8(truncatingIfNeeded: random.next()),
                            at: random.below(layout.byteCount))
                    }
                }
            } else {
                let result = (try? Self.run(layout, memory, features)) ?? (0, 0)
                counts.withLock { $0 = result }
                isDone.store(true, ordering: .relaxed)
            }
        }
        let (faultCount, returnedCount) = counts.withLock { $0 }
        #expect(
            faultCount > 10 && returnedCount > 5,
            "\(faultCount) faults, \(returnedCount) returned")
        #expect(
            memory.bytes(at: layout.byteCount, byteCount: 4096).allSatisfy { $0 == 0xaa })
    }
}
