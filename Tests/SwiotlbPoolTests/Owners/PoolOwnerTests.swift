import Testing

@testable import SwiotlbPool

@Suite struct PoolOwnerTests {
    @Test func quotaIsTakenUpToItsLast() {
        let owner = PoolOwner(name: "one", quotaSlotCount: 10, number: 1)
        #expect(owner.take(7))
        #expect(!owner.take(4))
        #expect(owner.refusal == .quotaReached(quotaSlotCount: 10, usedSlotCount: 7))
        #expect(owner.take(3))
        #expect(!owner.take(1))
        owner.give(10)
        #expect(!owner.take(11))
        #expect(!owner.take(.max))
        #expect(owner.take(10))
    }

    @Test func ownerWithoutAQuotaTakesAnything() {
        let owner = PoolOwner(name: "one", quotaSlotCount: nil, number: 1)
        #expect(owner.take(.max) && owner.take(.max))
        owner.give(1)
    }

    @Test func slotsRememberWhoHadThem() {
        let owners = SlotOwners(slotLimit: 8)
        let run = SlotRun(first: 2, count: 3)
        #expect(owners.change(run, to: 0), "a stranger's bytes")
        #expect(!owners.change(run, to: 0))
        #expect(!owners.change(SlotRun(first: 2, count: 1), to: 0))
        #expect(owners.change(SlotRun(first: 4, count: 1), to: 7))
        #expect(owners.change(run, to: 0), "one of three")
        owners.set(run, SlotOwners.nobody)
        #expect(!owners.change(run, to: 7), "zeroes are nobody's")
        #expect(owners.change(SlotRun(first: 1, count: 2), to: 7))
    }
}
