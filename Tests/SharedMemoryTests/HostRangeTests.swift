import Testing

@testable import SharedMemory

@Suite struct HostRangeTests {
    let range = HostRange(address: 1000, byteCount: 100)

    @Test(arguments: [0, 1, 99, 100])
    func dropFirstKeepsTheEnd(count: Int) {
        let rest = range.dropFirst(count)
        #expect(rest.address == 1000 + UInt64(count))
        #expect(rest.byteCount == 100 - count)
    }

    @Test func prefixIsClampedToTheRange() {
        #expect(range.prefix(40) == HostRange(address: 1000, byteCount: 40))
        #expect(range.prefix(101) == range)
        #expect(range.prefix(-1).byteCount == 0)
    }

    @Test func rangesThatTouchAreJoined() {
        let next = HostRange(address: 1100, byteCount: 5)
        #expect(range.isFollowed(by: next))
        #expect(range.joined(with: next) == HostRange(address: 1000, byteCount: 105))
        #expect(!range.isFollowed(by: HostRange(address: 1101, byteCount: 5)))
        #expect(!next.isFollowed(by: range))
    }

    @Test func droppingMoreThanThereIsTraps() async {
        await #expect(processExitsWith: .failure) {
            _ = HostRange(address: 0, byteCount: 4).dropFirst(5)
        }
    }

    @Test func joiningRangesThatDoNotTouchTraps() async {
        await #expect(processExitsWith: .failure) {
            let range = HostRange(address: 0, byteCount: 4)
            _ = range.joined(with: HostRange(address: 5, byteCount: 1))
        }
    }
}
