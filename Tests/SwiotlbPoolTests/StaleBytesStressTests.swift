import BasicContainers
import SharedMemory
import TestSupport
import Testing

@testable import SwiotlbPool

/// What one mapping has left in the window never reaches another's buffer, or another owner's,
/// where a policy promises so; however much the device says it wrote (invariants 10 and 14 of
/// swiotlb.md).
///
/// Each thread is one owner, with two bytes of its own: what it writes and what its device writes.
/// No other byte may ever turn up in its buffers, and none in its slots that the policy has
/// cleared. Many sizes that are no multiple of a slot, lists, pads, reservations, coherent memory,
/// quarantine, and mappings that another owner's mapper ends.
@Suite struct StaleBytesStressTests {
    @Test(arguments: [
        StalePolicy(copyBack: .prefill, scrub: .never),
        StalePolicy(copyBack: .clamped, scrub: .onFree),
        StalePolicy(copyBack: .clamped, scrub: .onOwnerChange),
        StalePolicy(copyBack: .trusted, scrub: .onOwnerChange),
    ])
    func bytesOfOthersNeverTurnUp(policy: StalePolicy) throws {
        let fixture = try PoolFixture(slotCount: 128, memoryByteCount: 4 << 18) {
            $0.copyBack = policy.copyBack
            $0.scrub = policy.scrub
            $0.extentCountMax = 2
        }
        // What memory held before the pool had it is nobody's business either.
        if policy.scrub == .onOwnerChange {
            fixture.window.fill(at: 0, byteCount: fixture.window.byteCount, with: 0xee)
        }
        let seed = SeededGenerator().seed
        let owners = try (0..<4).map { try fixture.pool.makeOwner(name: "owner \($0)") }
        onThreads(4) { thread in
            do {
                var owner = try StaleOwner(fixture, policy, thread, owners[thread], seed)
                for _ in 0..<scaled(600) { try owner.step() }
            } catch {
                Issue.record("\(error), seed \(seed)")
            }
        }
        #expect(fixture.usedSlotCount == 0, "seed \(seed)")
        let statistics = fixture.pool.statistics
        print(
            "\(policy): mapped \(statistics.mapCount), spilled \(statistics.spillCount),",
            "scrubbed \(statistics.scrubbedByteCount) bytes")
    }

    /// The test can fail: without a policy, the bytes of others do turn up.
    @Test func withoutAPolicyTheyDo() throws {
        let fixture = try PoolFixture(slotCount: 128)
        var first = try fixture.pool.makeMapper(owner: fixture.pool.makeOwner(name: "first"))
        var second = try fixture.pool.makeMapper(owner: fixture.pool.makeOwner(name: "second"))
        fixture.memory.fill(at: 0, byteCount: 100_000, with: 0x11)
        first.end(try first.box(fixture.buffer(0, segmentByteCount)))
        second.end(try second.box(fixture.buffer(200_000, 2000), .fromDevice))
        #expect(fixture.memory.bytes(at: 200_000, byteCount: 2000).isUniform(0x11))
    }
}

struct StalePolicy: Sendable, CustomTestStringConvertible {
    let copyBack: CopyBackPolicy
    let scrub: ScrubPolicy

    var testDescription: String { "\(copyBack), \(scrub)" }

    /// Whether slots that the device sees hold no byte of others.
    var clearsSlots: Bool { scrub != .never }
    /// Whether an owner may meet what it has left in a slot itself.
    var mayMeetOwn: Bool { scrub == .onOwnerChange }
}

/// An owner, its buffers, and its device, which reports more than it writes.
private struct StaleOwner: ~Copyable {
    private let fixture: PoolFixture
    private let policy: StalePolicy
    private let seed: UInt64
    private let owner: PoolOwner
    private let others: [UInt8]
    private let own: UInt8
    private let device: UInt8
    private let start: Int
    private var generator: SeededGenerator
    private var mapper: BounceMapper
    /// Of the pool's default owner, to end mappings by.
    private var stranger: BounceMapper
    private var mappings = RigidArray<DMAMapping>(capacity: 4)

    init(
        _ fixture: PoolFixture, _ policy: StalePolicy, _ thread: Int, _ owner: PoolOwner,
        _ seed: UInt64
    ) throws {
        let constraints = [
            DMAConstraints(), DMAConstraints(minimumAlignmentMask: 511),
            DMAConstraints(allocationAlignmentMask: 4095),
            DMAConstraints(minimumAlignmentMask: 4095, allocationAlignmentMask: 8191),
        ]
        let mapper = try fixture.pool.makeMapper(owner: owner, constraints: constraints[thread])
        stranger = try fixture.pool.makeMapper()
        self.mapper = mapper
        self.fixture = fixture
        self.policy = policy
        self.seed = seed
        self.owner = owner
        own = UInt8(0x10 + thread)
        device = UInt8(0x80 + thread)
        others =
            [0xee]
            + (0..<4).filter { $0 != thread }.flatMap { [UInt8(0x10 + $0), UInt8(0x80 + $0)] }
        start = thread << 18
        generator = SeededGenerator(seed: seed &+ UInt64(thread))
        fixture.memory.fill(at: start, byteCount: 1 << 18, with: own)
    }

    mutating func step() throws {
        switch generator.below(10) {
        case 0..<5: single()
        case 5..<7: list()
        case 7: reservation()
        case 8: ring()
        default: try quarantine()
        }
    }

    private mutating func newBuffer() -> GuestRange {
        fixture.buffer(start + generator.below(9000), 1 + generator.below(9000))
    }

    private mutating func newDirection() -> DMADirection {
        [.toDevice, .fromDevice, .fromDevice, .bidirectional][generator.below(4)]
    }

    private mutating func single() {
        let buffer = newBuffer()
        guard case .success(let box) = mapper.attempt(buffer, newDirection()) else { return }
        finish(box.take())
    }

    private mutating func list() {
        let buffers = (0..<1 + generator.below(5)).map { number in
            fixture.buffer(start + number * 9000, 1 + generator.below(5000))
        }
        do throws(MapRefusal) {
            try mapper.map(buffers.span, newDirection(), into: &mappings)
        } catch {
            return
        }
        while !mappings.isEmpty { finish(mappings.removeLast()) }
    }

    private mutating func reservation() {
        guard let request = try? mapper.request(for: newBuffer(), newDirection()) else { return }
        let outcome = OutcomeBox()
        guard (try? fixture.pool.reserve(request, outcome.body)) != nil,
            case .granted(let reservation) = outcome.wait(),
            let box = try? MappingBox(mapper.map(reservation))
        else { return fail("a reservation was not granted") }
        finish(box.take())
    }

    private mutating func ring() {
        let byteCount = 1 + generator.below(9000)
        guard
            let ring = try? fixture.pool.allocateCoherent(byteCount: byteCount)
        else { return }
        if !ring.memory.bytes(at: ring.memoryOffset, byteCount: byteCount).isUniform(0) {
            fail("coherent memory is not zeroed")
        }
        ring.memory.fill(at: ring.memoryOffset, byteCount: byteCount, with: own)
    }

    private mutating func quarantine() throws {
        guard case .success(let box) = mapper.attempt(newBuffer(), .bidirectional) else { return }
        fixture.deviceFill(box.device, byteCount: box.device.byteCount, with: device)
        let token = mapper.quarantine(box.take())
        // The completion comes after all, or never.
        if generator.below(2) == 0 {
            try stranger.release(quarantined: token)
        } else {
            fixture.pool.releaseQuarantine(of: owner)
        }
        if !fixture.memory.bytes(at: start, byteCount: 1 << 18).isUniform(own) {
            fail("a quarantined mapping changed the driver's memory")
        }
    }

    /// Plays the device, which writes a part and reports all; then looks at what came of it.
    private mutating func finish(_ mapping: consuming DMAMapping) {
        checkSlots(mapping)
        let (range, direction, isList) = (mapping.deviceRange, mapping.direction, mapping.isList)
        let byteCount = range.byteCount
        let written = direction == .toDevice ? 0 : generator.below(byteCount + 1)
        fixture.deviceFill(range, byteCount: written, with: device)
        let buffer = mapping.buffer
        let isTrusted = policy.copyBack == .trusted
        let report = generator.below(2) == 0 && !isTrusted ? Int.max : byteCount
        if generator.below(4) == 0 {
            stranger.unmap(mapping, usedByteCount: report)
        } else {
            mapper.unmap(mapping, usedByteCount: report)
        }
        check(
            fixture.memory.bytes(at: start, byteCount: 60_000),
            unwritten: isList || direction != .fromDevice
                ? nil
                : fixture.memory.bytes(
                    at: Int(buffer.address.rawValue - PoolFixture.memoryAddress) + written,
                    byteCount: byteCount - written))
        fixture.memory.fill(at: start, byteCount: 60_000, with: own)
    }

    /// - Parameter unwritten: what the device reported without having written it.
    private func check(_ bytes: [UInt8], unwritten: [UInt8]?) {
        if others.contains(where: { bytes.has($0) }) { fail("bytes of another owner turned up") }
        guard let unwritten else { return }
        if policy.copyBack == .prefill {
            if !unwritten.isUniform(own) { fail("what the device did not write has changed") }
        } else if policy.scrub == .onFree {
            if !unwritten.isUniform(0) { fail("bytes of an earlier mapping turned up") }
        }
    }

    /// Looks at the whole run, pads and slot tails included, as the device can.
    private func checkSlots(_ mapping: borrowing DMAMapping) {
        guard policy.clearsSlots else { return }
        let run = mapping.slots
        let bytes = fixture.deviceBytes(
            GuestRange(
                address: GuestAddress(
                    fixture.pool.windowAddress.rawValue + UInt64(run.first * slotByteCount)),
                byteCount: run.count * slotByteCount))
        if others.contains(where: { bytes.has($0) }) { fail("another owner's bytes are in a slot") }
        if !policy.mayMeetOwn, bytes.has(device) {
            fail("bytes of an earlier mapping are in a slot")
        }
    }

    private func fail(_ what: String) {
        Issue.record("\(what): \(policy.testDescription), \(owner.name), seed \(seed)")
    }
}
