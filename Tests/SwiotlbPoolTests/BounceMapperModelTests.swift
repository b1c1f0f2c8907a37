import SharedMemory
import TestSupport
import Testing

@testable import SwiotlbPool

/// Random sequences of calls against a model that knows every byte and the owner of every slot.
@Suite struct BounceMapperModelTests {
    struct Setting: Sendable {
        var kept: UInt64 = 0
        var start: UInt64 = 0
        var areas = 1
        var slots = 300
    }

    @Test(arguments: [
        Setting(), Setting(kept: 511, areas: 2), Setting(kept: 4095, areas: 2, slots: 384),
        Setting(start: 4095), Setting(kept: 65535, start: 4095, slots: 500),
        Setting(kept: 4095, start: 65535, areas: 3, slots: 512),
    ])
    func randomCallsEqualABytewiseModel(setting: Setting) throws {
        var model = try PoolModel(setting)
        for _ in 0..<34_000 {
            model.step()
            if let failure = model.failure {
                Issue.record("\(failure), seed \(model.seed), step \(model.stepCount)")
                break
            }
        }
        model.finish()
        #expect(model.failure == nil, "seed \(model.seed)")
        #expect(model.mapCount > 1000 && model.refusalCount > 100, "seed \(model.seed)")
    }
}

private struct PoolModel: ~Copyable {
    private static let memoryByteCount = 1 << 18

    let seed: UInt64
    private(set) var failure: String?
    private(set) var stepCount = 0
    private(set) var mapCount = 0
    private(set) var refusalCount = 0

    private let fixture: PoolFixture
    private let constraints: DMAConstraints
    private var first: BounceMapper
    private var second: BounceMapper
    private var generator = SeededGenerator()
    private var live: [MappingBox] = []
    /// Which slots are free, and what the window and the private memory must hold.
    private var isFree: [Bool]
    private let window: ByteModel
    private let memory = ByteModel(byteCount: PoolModel.memoryByteCount)

    init(_ setting: BounceMapperModelTests.Setting) throws {
        seed = generator.seed
        fixture = try PoolFixture(
            slotCount: setting.slots, areaCount: setting.areas,
            memoryByteCount: Self.memoryByteCount)
        constraints = DMAConstraints(
            minimumAlignmentMask: setting.kept, allocationAlignmentMask: setting.start)
        first = fixture.pool.makeMapper(area: 0, constraints: constraints)
        second = fixture.pool.makeMapper(
            area: fixture.pool.areaCount - 1, constraints: constraints)
        isFree = [Bool](repeating: true, count: setting.slots)
        window = ByteModel(byteCount: setting.slots * slotByteCount)
    }

    mutating func step() {
        stepCount += 1
        switch generator.below(10) {
        case 0..<4: map()
        case 4..<6: unmap()
        case 6: deviceWrites()
        case 7: driverWrites()
        case 8: sync()
        default: if generator.below(100) == 0 { checkEverything() }
        }
    }

    mutating func finish() {
        checkEverything()
        while !live.isEmpty { unmap() }
        checkEverything()
        if fixture.usedSlotCount != 0 { failure = "slots are left over" }
    }

    private mutating func map() {
        let most = first.maximumMappingByteCount
        let count = min(
            most, 1 + generator.below([100, 5000, 20_000, most][generator.below(4)]))
        let offset = generator.below(Self.memoryByteCount - count + 1)
        let direction: DMADirection =
            [.toDevice, .fromDevice, .bidirectional][generator.below(3)]
        let buffer = fixture.buffer(offset, count)
        let rule = PlacementRule(
            address: buffer.address.rawValue, byteCount: count, constraints: constraints)
        let result =
            generator.below(2) == 0
            ? first.attempt(buffer, direction) : second.attempt(buffer, direction)
        let base = fixture.pool.windowAddress.rawValue
        switch result {
        case .failure(let reason):
            refusalCount += 1
            if rule.fits(isFree, windowAddress: base) { failure = "\(reason) though it fits" }
            if !reason.isTemporary { failure = "\(reason)" }
        case .success(let box):
            mapCount += 1
            let slots = box.slots.first..<box.slots.first + box.slots.count
            let start = base + UInt64(box.slots.first * slotByteCount)
            if slots.count != rule.slotCount { failure = "\(slots.count) slots" }
            if slots.upperBound > isFree.count { failure = "outside the window" }
            guard failure == nil else { return }
            if slots.contains(where: { !isFree[$0] }) { failure = "slots had an owner" }
            if !rule.allows(startAt: start) { failure = "misplaced at \(start)" }
            if box.device.address.rawValue != start + rule.offset { failure = "wrong offset" }
            if slots.lowerBound / 128 != (slots.upperBound - 1) / 128 { failure = "segment" }
            for slot in slots { isFree[slot] = false }
            if direction != .fromDevice {
                window.store(
                    memory.load(at: offset, byteCount: count), at: fixture.windowOffset(box.device))
            }
            live.append(box)
            check(box)
        }
    }

    private mutating func unmap() {
        guard !live.isEmpty else { return }
        let box = live.remove(at: generator.below(live.count))
        let count = box.buffer.byteCount
        let used = [count, generator.below(count + 1), 0, count + 5, -3][generator.below(5)]
        if generator.below(2) == 0 {
            first.end(box, usedByteCount: used)
        } else {
            second.end(box, usedByteCount: used)
        }
        if box.direction != .toDevice { copyOut(box, 0, max(0, min(used, count))) }
        for slot in box.slots.first..<box.slots.first + box.slots.count { isFree[slot] = true }
        check(box)
    }

    private mutating func sync() {
        guard !live.isEmpty else { return }
        let box = live[generator.below(live.count)]
        let offset = generator.below(box.buffer.byteCount + 1)
        let count = generator.below(box.buffer.byteCount - offset + 1)
        if generator.below(2) == 0 {
            box.syncForDevice(&first, offset: offset, byteCount: count)
            if box.direction != .fromDevice {
                let bytes = memory.load(at: memoryOffset(box) + offset, byteCount: count)
                window.store(bytes, at: fixture.windowOffset(box.device) + offset)
            }
        } else {
            box.syncForCPU(&second, offset: offset, byteCount: count)
            if box.direction != .toDevice { copyOut(box, offset, count) }
        }
        check(box)
    }

    /// The device writes a part of a mapping, whatever its direction.
    private mutating func deviceWrites() {
        guard !live.isEmpty else { return }
        let box = live[generator.below(live.count)]
        let bytes = generator.bytes(generator.below(min(box.buffer.byteCount, 3000) + 1))
        let offset =
            fixture.windowOffset(box.device)
            + generator.below(box.buffer.byteCount - bytes.count + 1)
        fixture.window.store(bytes.span, at: offset)
        window.store(bytes, at: offset)
    }

    private mutating func driverWrites() {
        let bytes = generator.bytes(1 + generator.below(3000))
        let offset = generator.below(Self.memoryByteCount - bytes.count)
        fixture.memory.store(bytes.span, at: offset)
        memory.store(bytes, at: offset)
    }

    private func memoryOffset(_ box: MappingBox) -> Int {
        Int(box.buffer.address.rawValue - PoolFixture.memoryAddress)
    }

    private func copyOut(_ box: MappingBox, _ offset: Int, _ count: Int) {
        memory.store(
            window.load(at: fixture.windowOffset(box.device) + offset, byteCount: count),
            at: memoryOffset(box) + offset)
    }

    /// Both sides of one mapping, and how many slots are free.
    private mutating func check(_ box: MappingBox) {
        let (memoryStart, windowStart) = (memoryOffset(box), fixture.windowOffset(box.device))
        let count = box.buffer.byteCount
        if !memory.matches(fixture.memory.bytes(at: memoryStart, byteCount: count), at: memoryStart)
        {
            failure = "private memory differs"
        }
        if !window.matches(fixture.window.bytes(at: windowStart, byteCount: count), at: windowStart)
        {
            failure = "the window differs"
        }
    }

    /// Every byte and every slot.
    private mutating func checkEverything() {
        if !memory.matches(fixture.memory.bytes(at: 0, byteCount: Self.memoryByteCount)) {
            failure = "private memory differs somewhere"
        }
        if !window.matches(fixture.window.bytes(at: 0, byteCount: fixture.window.byteCount)) {
            failure = "the window differs somewhere"
        }
        for (segment, free) in fixture.freeSlots.enumerated() {
            for bit in 0..<128 {
                let slot = segment * 128 + bit
                let expected = slot < isFree.count && isFree[slot]
                if (free >> UInt128(bit) & 1 == 1) != expected { failure = "slot \(slot)" }
            }
        }
    }
}
