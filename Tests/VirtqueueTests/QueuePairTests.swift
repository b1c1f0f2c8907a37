import SharedMemory
import TestSupport
import Testing

@testable import Virtqueue

/// Both sides of a queue against each other, and against a model in plain arrays.
struct QueuePairTests {
    struct Setting: CustomStringConvertible, Sendable {
        var size: Int
        var features: VirtioFeatures
        var tableLength = 0

        var description: String {
            "\(size) \(features.contains(.packedRing) ? "packed" : "split")"
                + (features.contains(.eventIndex) ? " event-index" : "")
                + (features.contains(.inOrder) ? " in-order" : "")
                + (tableLength > 0 ? " indirect \(tableLength)" : "")
        }

        static var all: [Setting] {
            var settings: [Setting] = []
            for format in [VirtioFeatures(), .packedRing] {
                for event in [VirtioFeatures(), .eventIndex] {
                    for order in [VirtioFeatures(), .inOrder] {
                        for size in [1, 2, 8, 256] {
                            let features = format.union(event).union(order)
                            settings.append(Setting(size: size, features: features))
                            settings.append(
                                Setting(
                                    size: size, features: features.union(.indirectDescriptors),
                                    tableLength: min(size, 5)))
                        }
                    }
                }
                settings.append(Setting(size: 32768, features: format.union(.eventIndex)))
            }
            return settings
        }
    }

    @Test(arguments: Setting.all) func anySequenceGivesBackWhatWasMadeAvailable(
        setting: Setting
    ) throws {
        var pair = try QueuePair(
            size: setting.size, features: setting.features, tableLength: setting.tableLength)
        var random = SeededGenerator(seed: 42)
        var nextTag: UInt64 = 0
        /// Added and not shown, shown and not taken, taken and not used, used and not shown, shown.
        var added: [(UInt64, TestBuffer)] = []
        var shown: [(UInt64, TestBuffer)] = []
        var taken: [(UInt64, TestBuffer, ChainToken)] = []
        var used: [UInt64: Int] = [:]
        var returned: [UInt64: Int] = [:]
        var returnedCount = 0
        let inOrder = setting.features.contains(.inOrder)
        let steps = setting.size > 1000 ? 200_000 : 8_000
        for _ in 0..<steps {
            switch Int.random(in: 0..<6, using: &random) {
            case 0, 1:
                let buffer = TestBuffer.random(
                    partCountMax: min(setting.size, 5), using: &random)
                let isAdded = pair.driver.add(
                    buffer.parts.span, readableCount: buffer.readableCount, tag: nextTag)
                if isAdded { added.append((nextTag, buffer)) }
                if pair.driver.inflightCount == 0 { #expect(isAdded) }
                nextTag += 1
            case 2:
                _ = pair.driver.publish()
                shown += added
                added = []
            case 3:
                let isTaken = try pair.device.next(&pair.chain)
                try #require(isTaken == !shown.isEmpty)
                if isTaken {
                    let (tag, buffer) = shown.removeFirst()
                    try #require(pair.chain.buffer == buffer)
                    #expect(pair.chain.writableByteCount == buffer.writableByteCount)
                    taken.append((tag, buffer, pair.chain.token))
                }
            case 4:
                guard !taken.isEmpty else { continue }
                let index = inOrder ? 0 : Int.random(in: 0..<taken.count, using: &random)
                let (tag, buffer, token) = taken.remove(at: index)
                let count = [
                    0, buffer.writableByteCount,
                    Int.random(in: 0...buffer.writableByteCount, using: &random),
                ].randomElement(using: &random)!
                pair.device.use(token, writtenByteCount: count)
                used[tag] = count
            default:
                if Bool.random(using: &random) {
                    _ = pair.device.publish()
                    returned.merge(used) { _, _ in
                        Issue.record("a buffer came twice")
                        return 0
                    }
                    used = [:]
                }
                while let buffer = try pair.driver.nextUsed() {
                    try #require(
                        returned.removeValue(forKey: buffer.tag) == buffer.writtenByteCount)
                    returnedCount += 1
                }
                #expect(returned.isEmpty)
            }
        }
        #expect(returnedCount > steps / 40)
        #expect(
            pair.driver.inflightCount == added.count + shown.count + taken.count + used.count)
        #expect(pair.device.inflightCount == taken.count)
    }

    /// Whoever sleeps after it has asked for a notification, and found nothing, is woken.
    @Test(arguments: Setting.all.filter { $0.size <= 256 && $0.tableLength == 0 })
    func nobodySleepsThroughANotification(setting: Setting) throws {
        var pair = try QueuePair(size: setting.size, features: setting.features)
        var random = SeededGenerator(seed: 7)
        var deviceSleeps = false
        var driverSleeps = false
        var kicks = 0
        var idle = 0
        let one = [GuestRange(address: GuestAddress(0), byteCount: 1)]
        var taken: [ChainToken] = []
        for _ in 0..<20_000 {
            if !driverSleeps {
                for _ in 0..<Int.random(in: 0...2, using: &random) {
                    _ = pair.driver.add(one.span, readableCount: 1, tag: 0)
                }
                if pair.driver.publish(), deviceSleeps {
                    deviceSleeps = false
                    kicks += 1
                }
                while try pair.driver.nextUsed() != nil {}
                if Bool.random(using: &random) {
                    driverSleeps = !pair.driver.enableCalls()
                } else {
                    pair.driver.disableCalls()
                }
            }
            if !deviceSleeps {
                while try pair.device.next(&pair.chain) { taken.append(pair.chain.token) }
                while !taken.isEmpty, Int.random(in: 0..<8, using: &random) > 0 {
                    pair.device.use(taken.removeFirst(), writtenByteCount: 0)
                }
                if pair.device.publish(), driverSleeps { driverSleeps = false }
                if taken.isEmpty, Bool.random(using: &random) {
                    deviceSleeps = !pair.device.enableKicks()
                } else {
                    pair.device.disableKicks()
                }
            }
            if driverSleeps, deviceSleeps {
                // Fine only where nothing is left to do for either.
                try #require(pair.driver.inflightCount == 0 && !pair.device.hasNext)
                driverSleeps = false
                idle += 1
            }
        }
        #expect(kicks > 100 && idle > 100)
    }
}
