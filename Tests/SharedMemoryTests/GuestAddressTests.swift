import SharedMemory
import Testing

@Suite struct GuestAddressTests {
    @Test func addressesAreOrderedAsUnsignedNumbers() {
        #expect(GuestAddress(1) < GuestAddress(2))
        #expect(GuestAddress(1 << 63) > GuestAddress(1))
        #expect(!(GuestAddress(7) < GuestAddress(7)))
        #expect(GuestAddress(rawValue: 9) == GuestAddress(9))
    }

    @Test func descriptionIsHexadecimal() {
        #expect(GuestAddress(.max).description == "0xffffffffffffffff")
    }

    @Test func sliceMovesTheStartAndTakesTheLength() {
        let range = GuestRange(address: GuestAddress(100), byteCount: 10)
        #expect(
            range.slice(offset: 3, byteCount: 7)
                == GuestRange(address: GuestAddress(103), byteCount: 7))
        #expect(
            range.slice(offset: 10, byteCount: 0)
                == GuestRange(address: GuestAddress(110), byteCount: 0))
    }

    @Test func sliceOfAHostileRangeDoesNotTrap() {
        let range = GuestRange(address: GuestAddress(.max), byteCount: .max)
        let rest = range.slice(offset: 2, byteCount: .max - 2)
        #expect(rest == GuestRange(address: GuestAddress(1), byteCount: .max - 2))
    }

    @Test func sliceThatLeavesTheRangeTraps() async {
        await #expect(processExitsWith: .failure) {
            _ = GuestRange(address: GuestAddress(0), byteCount: 4).slice(offset: 1, byteCount: 4)
        }
    }

    @Test func negativeLengthTraps() async {
        await #expect(processExitsWith: .failure) {
            _ = GuestRange(address: GuestAddress(0), byteCount: -1)
        }
    }
}
