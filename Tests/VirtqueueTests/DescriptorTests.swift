import SharedMemory
import Testing

@testable import Virtqueue

struct DescriptorTests {
    @Test func fieldsOfASplitDescriptor() {
        let descriptor = Descriptor(address: 1, word: 0x4444_3333_2222_1111)
        #expect(descriptor.byteCount == 0x2222_1111)
        #expect(descriptor.splitFlags == 0x3333)
        #expect(descriptor.splitNext == 0x4444)
        let range = GuestRange(address: GuestAddress(9), byteCount: 0xffff_ffff)
        #expect(Descriptor(range, flags: 2, next: 5).word == 0x0005_0002_ffff_ffff)
        #expect(Descriptor(range, flags: 2, next: 5).range == range)
    }

    @Test func fieldsOfAPackedDescriptor() {
        let descriptor = Descriptor(address: 1, word: 0x4444_3333_2222_1111)
        #expect(descriptor.packedID == 0x3333)
        #expect(descriptor.packedFlags == 0x4444)
        let range = GuestRange(address: GuestAddress(9), byteCount: 7)
        #expect(Descriptor(range, id: 2, flags: 0x8081).word == 0x8081_0002_0000_0007)
    }

    @Test func positionsGoRoundAndChangeTheirBit() {
        for size in [1, 2, 4, 32768] {
            for start in Set([0, size / 2, size - 1]) {
                for count in Set([0, 1, size / 2, size]) where count <= size {
                    var position = PackedPosition(rawValue: UInt16(start) | 0x8000)
                    position.advance(by: count, size: size)
                    #expect(Int(position.index) == (start + count) % size)
                    #expect(position.wrap == (start + count < size))
                }
            }
        }
    }

    @Test(arguments: [0, 1, 0x7fff, 0x8000, 0xffff] as [UInt16]) func positionsAsNumbers(
        value: UInt16
    ) {
        #expect(PackedPosition(rawValue: value).rawValue == value)
    }

    @Test func flagsOfALap() {
        let first = PackedPosition(rawValue: 0x8000)
        let second = PackedPosition(rawValue: 0)
        #expect(first.availableFlags == Lap.firstAvailable && first.usedFlags == Lap.firstUsed)
        #expect(second.availableFlags == Lap.secondAvailable && second.usedFlags == Lap.secondUsed)
    }

    @Test func eventsAcrossTheEndOfTheNumbers() {
        #expect(hasPassed(event: 65535, new: 0, old: 65535))
        #expect(!hasPassed(event: 0, new: 0, old: 65535))
        #expect(hasPassed(event: 0, new: 1, old: 65535))
        #expect(!hasPassed(event: 65534, new: 1, old: 65535))
        #expect(!hasPassed(event: 7, new: 7, old: 7))
    }
}
