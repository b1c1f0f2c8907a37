import SharedMemory
import SystemPackage
import Testing
import Virtqueue

@testable import VhostUser

/// What a frontend can say about memory, and what becomes of queues meanwhile.
@Suite struct VhostUserRegionTableTests {
    private func makeStand() throws -> BackendStand {
        let stand = try BackendStand()
        #expect(try stand.send(.setProtocolFeatures(.all)) == 0)
        #expect(try stand.send(.setFeatures([.version1, .protocolFeatures])) == 0)
        return stand
    }

    @Test func regionsAreMappedInTheOrderOfTheirDescriptors() throws {
        let stand = try BackendStand()
        let (first, second) = (
            try GuestMemory(), try GuestMemory(byteCount: 8192, at: GuestAddress(0x9000_0000))
        )
        first.memory.store(1 as UInt8, at: 77)
        second.memory.store(2 as UInt8, at: 77)
        let frontend = try stand.negotiated()
        try frontend.setMemory(try MemoryMap([second.region, first.region]))
        try frontend.startQueue(
            0, first.configuration(), at: .start(isPacked: false), kick: nil, call: nil)
        let map = try #require(stand.device.setup(0)?.memoryMap)
        #expect(
            map.regions.map(\.guestAddress) == [GuestMemory.address, GuestAddress(0x9000_0000)])
        #expect(map.regions.map(\.byteCount) == [1 << 20, 8192])
        #expect(map.regions[0].memory.load(UInt8.self, at: 77) == 1)
        #expect(map.regions[1].memory.load(UInt8.self, at: 77) == 2)
    }

    @Test func offsetsNeedNotBeAtAPage() throws {
        let stand = try makeStand()
        let guest = try GuestMemory()
        guest.memory.store(9 as UInt8, at: 5000)
        var description = guest.description
        description.mmapOffset = 4996
        description.byteCount -= 4996
        #expect(try stand.send(.setMemoryTable([description]), [guest.descriptor]) == 0)
        try stand.startRing(guest, EventDescriptor())
        let region = try #require(stand.device.setup(0)?.memoryMap.regions.first)
        #expect(region.byteCount == (1 << 20) - 4996)
        #expect(region.memory.load(UInt8.self, at: region.memoryOffset + 4) == 9)
    }

    @Test func eightRegionsFitIntoATableAndMoreIntoSlots() throws {
        let stand = try BackendStand()
        let memories = try (0..<20).map {
            try GuestMemory(byteCount: 0x10000, at: GuestAddress(UInt64($0 + 1) << 20))
        }
        let frontend = try stand.negotiated()
        #expect(try frontend.memorySlotCount() == 509)
        try frontend.setMemory(try MemoryMap(memories.map(\.region)))
        #expect(memories.allSatisfy { $0.mappingCount == 2 })
        try frontend.setMemory(try MemoryMap(memories.prefix(8).map(\.region)))
        #expect(memories.map(\.mappingCount) == (0..<20).map { $0 < 8 ? 2 : 1 })
        #expect(memories.map(\.descriptorCount) == (0..<20).map { $0 < 8 ? 2 : 1 })
    }

    @Test func slotsComeAndGo() throws {
        let stand = try BackendStand()
        let (first, second) = (
            try GuestMemory(), try GuestMemory(byteCount: 8192, at: GuestAddress(0x9000_0000))
        )
        let frontend = try stand.negotiated()
        try frontend.addRegion(first.region)
        try frontend.addRegion(second.region)
        #expect(first.mappingCount == 2)
        try frontend.removeRegion(first.region)
        #expect(first.mappingCount == 1)
        #expect(first.descriptorCount == 1)
        #expect(second.mappingCount == 2)
        try frontend.addRegion(first.region)
        #expect(first.mappingCount == 2)
    }

    @Test func slotsEnd() throws {
        let stand = try makeStand()
        let guest = try GuestMemory(byteCount: 4096)
        for index in 0..<UInt64(RegionTable.slotCount + 1) {
            var description = guest.description
            description.guestAddress += index << 20
            description.userAddress += index << 20
            let answer = try stand.send(.addRegion(description), [guest.descriptor])
            #expect(answer == (index < 509 ? 0 : 1))
        }
        #expect(guest.mappingCount == 510)
        #expect(stand.finish() == nil)
        #expect(guest.mappingCount == 1)
        #expect(guest.descriptorCount == 1)
    }

    @Test func regionIsRemovedByBothAddressesAndItsLength() throws {
        let stand = try makeStand()
        let guest = try GuestMemory()
        let description = guest.description
        #expect(try stand.send(.addRegion(description), [guest.descriptor]) == 0)
        for field in [
            \RegionDescription.guestAddress, \.userAddress, \.byteCount,
        ] as [WritableKeyPath<RegionDescription, UInt64>] {
            var other = description
            other[keyPath: field] += 4096
            #expect(try stand.send(.removeRegion(other)) != 0)
        }
        #expect(guest.mappingCount == 2)
        var other = description
        other.mmapOffset = 4096
        #expect(try stand.send(.removeRegion(other)) == 0)
        #expect(guest.mappingCount == 1)
        #expect(try stand.send(.removeRegion(description)) != 0)
    }

    @Test func descriptorOfARegionToRemoveIsClosed() throws {
        let stand = try makeStand()
        let guest = try GuestMemory()
        #expect(try stand.send(.addRegion(guest.description), [guest.descriptor]) == 0)
        #expect(guest.descriptorCount == 2)
        #expect(try stand.send(.removeRegion(guest.description), [guest.descriptor]) == 0)
        #expect(guest.descriptorCount == 1)
        // Also where there is nothing to remove.
        #expect(try stand.send(.removeRegion(guest.description), [guest.descriptor]) != 0)
        #expect(guest.descriptorCount == 1)
    }

    @Test func queuesGoOnInChangedMemory() throws {
        let stand = try BackendStand()
        let (guest, more) = (
            try GuestMemory(), try GuestMemory(byteCount: 8192, at: GuestAddress(0x9000_0000))
        )
        let frontend = try stand.negotiated()
        try frontend.setMemory(guest.map)
        for index in 0..<2 {
            try frontend.startQueue(
                index, guest.configuration(index), at: .start(isPacked: false),
                kick: EventDescriptor(),
                call: nil)
        }
        _ = stand.device.takeCalls()
        stand.device.setProgress(5)
        try frontend.addRegion(more.region)
        #expect(stand.device.takeCalls() == [.stop(0), .stop(1), .start(0), .start(1)])
        for index in 0..<2 {
            let setup = try #require(stand.device.setup(index))
            #expect(setup.memoryMap.regions.count == 2)
            #expect(setup.position.available == 5)
            #expect(setup.startsUnkicked)
        }
    }

    @Test func ringWaitsWhileItsMemoryIsAway() throws {
        let stand = try BackendStand()
        let guest = try GuestMemory()
        let frontend = try stand.negotiated()
        try frontend.addRegion(guest.region)
        try frontend.startQueue(
            0, guest.configuration(), at: .start(isPacked: false), kick: EventDescriptor(),
            call: nil)
        stand.device.setProgress(5)
        _ = stand.device.takeCalls()
        try frontend.removeRegion(guest.region)
        #expect(stand.device.takeCalls() == [.stop(0)])
        try frontend.addRegion(guest.region)
        #expect(stand.device.takeCalls() == [.start(0)])
        #expect(stand.device.setup(0)?.position.available == 5)
    }

    @Test func changeThatFailsLeavesQueuesRunning() throws {
        let stand = try makeStand()
        let guest = try GuestMemory()
        #expect(try stand.send(.setMemoryTable([guest.description]), [guest.descriptor]) == 0)
        try stand.startRing(guest, EventDescriptor())
        _ = stand.device.takeCalls()
        var empty = guest.description
        empty.byteCount = 0
        #expect(try stand.send(.setMemoryTable([empty]), [guest.descriptor]) != 0)
        #expect(try stand.send(.addRegion(guest.description), [guest.descriptor]) != 0)
        #expect(stand.device.takeCalls() == [])
        #expect(guest.mappingCount == 2)
        #expect(guest.descriptorCount == 2)
    }
}
