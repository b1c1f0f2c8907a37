import SharedMemory
import TestSupport
import Testing

@testable import SwiotlbPool

/// Tokens and quarantine (invariants 17, 20 and 21 of swiotlb.md).
@Suite struct BounceMapperTokenTests {
    let fixture: PoolFixture

    init() throws {
        fixture = try PoolFixture()
        fixture.memory.fill(at: 0, byteCount: 1 << 20, with: 0x11)
    }

    /// Why a token is refused; `nil` where it was redeemed, and its mapping ended.
    private func fault(_ mapper: inout BounceMapper, _ token: MappingToken) -> TokenFault? {
        do throws(TokenFault) {
            mapper.unmap(try mapper.redeem(token), usedByteCount: 0)
            return nil
        } catch {
            return error
        }
    }

    private func releaseFault(
        _ mapper: inout BounceMapper, _ token: MappingToken
    ) -> TokenFault? {
        do throws(TokenFault) {
            try mapper.release(quarantined: token)
            return nil
        } catch {
            return error
        }
    }

    @Test func redeemedMappingIsTheOneThatWasParked() throws {
        var mapper = try fixture.pool.makeMapper(
            constraints: DMAConstraints(minimumAlignmentMask: 4095))
        var other = try fixture.pool.makeMapper()
        for direction in [DMADirection.toDevice, .fromDevice, .bidirectional] {
            let mapping = try mapper.map(fixture.buffer(1003, 5000), direction)
            let (buffer, device, slots) = (mapping.buffer, mapping.deviceRange, mapping.slots)
            let token = mapper.park(mapping)
            #expect(fixture.usedSlotCount == slots.count)
            let back = try other.redeem(MappingToken(rawValue: token.rawValue))
            #expect(back.buffer == buffer && back.deviceRange == device && back.slots == slots)
            #expect(back.direction == direction && !back.isList)
            fixture.window.fill(
                at: fixture.windowOffset(device), byteCount: 5000, with: 0x77)
            other.unmap(back)
            let copied = direction != .toDevice
            #expect(fixture.memory.bytes(at: 1003, byteCount: 1)[0] == (copied ? 0x77 : 0x11))
        }
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func doubledReplayedAndStaleTokensAreRefusedWithoutEffect() throws {
        var mapper = try fixture.pool.makeMapper()
        let token = mapper.park(try mapper.map(fixture.buffer(0, 4096), .fromDevice))
        let mapping = try mapper.redeem(token)
        #expect(fault(&mapper, token) == .stale, "doubled")
        let again = mapper.park(mapping)
        #expect(again != token)
        #expect(fault(&mapper, token) == .stale, "of an earlier time")
        #expect(fault(&mapper, again) == nil)
        #expect(fault(&mapper, again) == .stale, "ended")
        // The same slots, another mapping (ABA).
        let next = mapper.park(try mapper.map(fixture.buffer(0, 4096), .fromDevice))
        #expect(next.slot == token.slot)
        #expect(fault(&mapper, token) == .stale)
        #expect(fault(&mapper, again) == .stale)
        #expect(fixture.usedSlotCount == 2)
        #expect(fault(&mapper, next) == nil)
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func tokenOfAMappingThatIsNotParkedIsRefused() throws {
        var mapper = try fixture.pool.makeMapper()
        let mapping = try mapper.map(fixture.buffer(0, 1), .toDevice)
        let invented = MappingToken(
            slot: mapping.firstSlot, generation: mapping.state.generation, pool: mapping.state.pool)
        #expect(fault(&mapper, invented) == .stale)
        #expect(releaseFault(&mapper, invented) == .stale)
        mapper.unmap(mapping)
    }

    @Test func tokensOfOtherPoolsAndSlotsThatAreNotThereAreRefused() throws {
        let other = try PoolFixture()
        var mapper = try fixture.pool.makeMapper()
        var stranger = try other.pool.makeMapper()
        let token = mapper.park(try mapper.map(fixture.buffer(0, 1), .toDevice))
        let theirs = stranger.park(try stranger.map(other.buffer(0, 1), .toDevice))
        #expect(fault(&stranger, token) == .otherPool)
        #expect(fault(&mapper, theirs) == .otherPool)
        for slot in [256, 257, 0xff_ffff] {
            let invented = MappingToken(slot: slot, generation: 0, pool: token.pool)
            #expect(fault(&mapper, invented) == .outOfRange)
        }
        #expect(fault(&mapper, MappingToken(rawValue: 0)) == .otherPool, "of no pool")
        #expect(fault(&mapper, token) == nil)
        #expect(fault(&stranger, theirs) == nil)
    }

    @Test func inventedTokensAreRefused() throws {
        var generator = SeededGenerator()
        var mapper = try fixture.pool.makeMapper()
        let boxes = try (0..<20).map { _ in try mapper.box(fixture.buffer(0, 5000)) }
        let tokens = boxes[..<10].map { mapper.park($0.take()) }
        let raw = Set(tokens.map(\.rawValue))
        var accepted = 0
        for round in 0..<20_000 {
            var value = generator.next()
            // Nearly right: every part but one or two bits.
            if round % 2 == 0 {
                value = tokens[generator.below(10)].rawValue ^ 1 << (value % 64)
                if round % 4 == 0 { value ^= 1 << (generator.next() % 64) }
            }
            if raw.contains(value) { continue }
            if fault(&mapper, MappingToken(rawValue: value)) == nil { accepted += 1 }
        }
        #expect(accepted == 0, "seed \(generator.seed)")
        #expect(fixture.usedSlotCount == 60)
        for token in tokens { #expect(fault(&mapper, token) == nil) }
        for box in boxes[10...] { mapper.end(box) }
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func tokenIsItsParts() {
        let token = MappingToken(slot: 0xab_cdef, generation: 0x1234_5678, pool: 0x9f)
        #expect(token.rawValue == 0x1234_5678_9fab_cdef)
        #expect(token.slot == 0xab_cdef && token.generation == 0x1234_5678 && token.pool == 0x9f)
    }

    @Test func quarantinedSlotsStayInUseAndNothingIsCopiedBack() throws {
        var mapper = try fixture.pool.makeMapper()
        let mapping = try mapper.map(fixture.buffer(0, 4096), .bidirectional)
        let device = mapping.deviceRange
        let token = mapper.quarantine(mapping)
        #expect(fixture.pool.statistics.quarantinedSlotCount == 2)
        #expect(fixture.usedSlotCount == 2)
        // The device still writes, and completes late.
        fixture.window.fill(at: fixture.windowOffset(device), byteCount: 4096, with: 0x77)
        let rest = try (0..<127).map { _ in try mapper.box(fixture.buffer(8192, 4096)) }
        #expect(rest.allSatisfy { $0.device.address != device.address })
        #expect(mapper.refusal(fixture.buffer(0, 1)) == .exhausted(freeSlotCount: 0))
        #expect(fault(&mapper, token) == .quarantined)
        try mapper.release(quarantined: token)
        #expect(releaseFault(&mapper, token) == .stale, "released before")
        #expect(fault(&mapper, token) == .stale)
        #expect(fixture.memory.bytes(at: 0, byteCount: 4096).allSatisfy { $0 == 0x11 })
        let again = try mapper.box(fixture.buffer(0, 4096))
        #expect(again.device == device)
        for box in rest + [again] { mapper.end(box) }
        let statistics = fixture.pool.statistics
        #expect(statistics.usedSlotCount == 0 && statistics.quarantinedSlotCount == 0)
        #expect(statistics.mapCount == statistics.unmapCount)
    }

    @Test func parkedMappingIsQuarantinedByItsToken() throws {
        var mapper = try fixture.pool.makeMapper()
        let token = mapper.park(try mapper.map(fixture.buffer(0, 4096), .fromDevice))
        #expect(releaseFault(&mapper, token) == .stale, "it is not in quarantine")
        try mapper.quarantine(token)
        #expect(throws: TokenFault.quarantined) { try mapper.quarantine(token) }
        #expect(fixture.pool.statistics.quarantinedSlotCount == 2)
        #expect(fault(&mapper, token) == .quarantined)
        try mapper.release(quarantined: token)
        #expect(throws: TokenFault.stale) { try mapper.quarantine(token) }
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func mappingsOfADeadBackendAreQuarantinedAndReleasedByOwner() throws {
        let dead = try fixture.pool.makeOwner(name: "dead")
        var mapper = try fixture.pool.makeMapper(owner: dead)
        var other = try fixture.pool.makeMapper()
        let kept = other.park(try other.map(fixture.buffer(0, 1), .toDevice))
        let tokens = try (0..<5).map { _ in
            mapper.park(try mapper.map(fixture.buffer(0, 5000), .fromDevice))
        }
        let held = try mapper.map(fixture.buffer(0, 1), .toDevice)
        #expect(fixture.pool.quarantineParked(of: dead) == 5)
        #expect(fixture.pool.quarantineParked(of: dead) == 0)
        #expect(tokens.allSatisfy { fault(&mapper, $0) == .quarantined })
        #expect(fixture.pool.statistics.quarantinedSlotCount == 15)
        #expect(fixture.pool.leakReport(of: dead).filter(\.isQuarantined).count == 5)
        #expect(fixture.pool.releaseQuarantine(of: fixture.pool.defaultOwner) == 0)
        #expect(fixture.pool.releaseQuarantine(of: dead) == 5)
        #expect(tokens.allSatisfy { releaseFault(&mapper, $0) == .stale })
        let statistics = fixture.pool.statistics
        #expect(statistics.quarantinedSlotCount == 0 && statistics.usedSlotCount == 2)
        #expect(statistics.unmapCount == 5)
        mapper.unmap(held)
        #expect(fault(&other, kept) == nil)
        #expect(fixture.usedSlotCount == 0)
    }
}
