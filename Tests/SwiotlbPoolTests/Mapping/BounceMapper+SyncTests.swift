import SharedMemory
import TestSupport
import Testing

@testable import SwiotlbPool

/// What is copied, when, and nothing else (invariants 9 to 14 and 18 of swiotlb.md): mirrors
/// `swiotlb_bounce`, `swiotlb_sync_single_for_device` and `swiotlb_sync_single_for_cpu`.
@Suite struct BounceMapperSyncTests {
    let fixture: PoolFixture
    let windowByteCount = 256 * slotByteCount

    init() throws {
        fixture = try PoolFixture()
        fixture.window.fill(at: 0, byteCount: windowByteCount, with: 0xcc)
        fixture.memory.fill(at: 0, byteCount: 1 << 20, with: 0x11)
    }

    private func memory(_ offset: Int, _ byteCount: Int) -> [UInt8] {
        fixture.memory.bytes(at: offset, byteCount: byteCount)
    }

    /// The window but for the part at `offset` must still hold what `init` wrote.
    private func windowIsUntouched(except part: Range<Int>) -> Bool {
        let bytes = fixture.window.bytes(at: 0, byteCount: windowByteCount)
        return bytes[..<part.lowerBound].allSatisfy { $0 == 0xcc }
            && bytes[part.upperBound...].allSatisfy { $0 == 0xcc }
    }

    @Test(arguments: [DMADirection.toDevice, .fromDevice, .bidirectional])
    func mapAndUnmapCopyAsTheDirectionSays(direction: DMADirection) throws {
        var mapper = try fixture.pool.makeMapper(
            constraints: DMAConstraints(minimumAlignmentMask: 511))
        let box = try mapper.box(fixture.buffer(1003, 3000), direction)
        let offset = fixture.windowOffset(box.device)
        #expect(windowIsUntouched(except: offset..<offset + 3000))
        let copiedIn = direction != .fromDevice
        #expect(
            fixture.window.bytes(at: offset, byteCount: 3000)
                == [UInt8](repeating: copiedIn ? 0x11 : 0xcc, count: 3000))
        fixture.window.fill(at: offset, byteCount: 3000, with: 0x77)
        mapper.end(box)
        let copiedOut = direction != .toDevice
        #expect(
            memory(1002, 3002)
                == [0x11] + [UInt8](repeating: copiedOut ? 0x77 : 0x11, count: 3000) + [0x11])
    }

    @Test(arguments: [
        (used: 0, copied: 0), (1, 1), (2048, 2048), (2999, 2999), (3000, 3000), (3001, 3000),
        (Int.max, 3000), (-1, 0), (Int.min, 0),
    ])
    func unmapCopiesBackNoMoreThanWasUsedAndMapped(used: Int, copied: Int) throws {
        for direction in [DMADirection.fromDevice, .bidirectional] {
            fixture.memory.fill(at: 0, byteCount: 8192, with: 0x11)
            var mapper = try fixture.pool.makeMapper()
            let box = try mapper.box(fixture.buffer(100, 3000), direction)
            fixture.window.fill(at: 0, byteCount: windowByteCount, with: 0x77)
            mapper.end(box, usedByteCount: used)
            let expected =
                [UInt8](repeating: 0x11, count: 100) + [UInt8](repeating: 0x77, count: copied)
                + [UInt8](repeating: 0x11, count: 8192 - 100 - copied)
            #expect(memory(0, 8192) == expected)
        }
        #expect(fixture.usedSlotCount == 0)
    }

    @Test func partialSyncForDeviceTouchesExactlyItsRange() throws {
        var mapper = try fixture.pool.makeMapper()
        for direction in [DMADirection.toDevice, .bidirectional] {
            let box = try mapper.box(fixture.buffer(0, 9000), direction)
            let start = fixture.windowOffset(box.device)
            fixture.window.fill(at: 0, byteCount: windowByteCount, with: 0xcc)
            fixture.memory.fill(at: 0, byteCount: 9000, with: 0x22)
            box.syncForDevice(&mapper, offset: 2000, byteCount: 5001)
            #expect(windowIsUntouched(except: start + 2000..<start + 7001))
            #expect(
                fixture.window.bytes(at: start + 2000, byteCount: 5001)
                    == [UInt8](repeating: 0x22, count: 5001))
            mapper.end(box, usedByteCount: 0)
        }
    }

    @Test func partialSyncForCPUTouchesExactlyItsRange() throws {
        var mapper = try fixture.pool.makeMapper()
        for direction in [DMADirection.fromDevice, .bidirectional] {
            fixture.memory.fill(at: 0, byteCount: 10_000, with: 0x11)
            let box = try mapper.box(fixture.buffer(500, 9000), direction)
            fixture.window.fill(at: 0, byteCount: windowByteCount, with: 0x77)
            box.syncForCPU(&mapper, offset: 2000, byteCount: 5001)
            let expected =
                [UInt8](repeating: 0x11, count: 2500) + [UInt8](repeating: 0x77, count: 5001)
                + [UInt8](repeating: 0x11, count: 2499)
            #expect(memory(0, 10_000) == expected)
            mapper.end(box, usedByteCount: 0)
            #expect(memory(0, 10_000) == expected)
        }
    }

    @Test func syncForDeviceOfAMappingFromTheDeviceNeverChangesTheWindow() throws {
        var mapper = try fixture.pool.makeMapper()
        let box = try mapper.box(fixture.buffer(0, 9000), .fromDevice)
        box.syncForDevice(&mapper, offset: 0, byteCount: 9000)
        // As a driver that polls does: look, and lend the buffer out again.
        box.syncForCPU(&mapper, offset: 0, byteCount: 4)
        box.syncForDevice(&mapper, offset: 0, byteCount: 4)
        #expect(windowIsUntouched(except: 0..<0))
        mapper.end(box, usedByteCount: 0)
    }

    @Test func syncForCPUOfAMappingToTheDeviceNeverChangesTheBuffer() throws {
        var mapper = try fixture.pool.makeMapper()
        let box = try mapper.box(fixture.buffer(0, 9000), .toDevice)
        fixture.window.fill(at: 0, byteCount: windowByteCount, with: 0x77)
        box.syncForCPU(&mapper, offset: 0, byteCount: 9000)
        mapper.end(box)
        #expect(memory(0, 9001).allSatisfy { $0 == 0x11 })
    }

    @Test func syncOfNothingAtTheEndIsAllowed() throws {
        var mapper = try fixture.pool.makeMapper()
        let box = try mapper.box(fixture.buffer(0, 10), .bidirectional)
        box.syncForDevice(&mapper, offset: 10, byteCount: 0)
        box.syncForCPU(&mapper, offset: 10, byteCount: 0)
        mapper.end(box)
        #expect(fixture.pool.statistics.copiedInByteCount == 10)
    }

    @Test func syncForDevicePastTheEndTraps() async {
        await #expect(processExitsWith: .failure) {
            let fixture = try PoolFixture()
            var mapper = try fixture.pool.makeMapper()
            let box = try mapper.box(fixture.buffer(0, 10), .fromDevice)
            box.syncForDevice(&mapper, offset: 1, byteCount: 10)
        }
    }

    @Test func syncForCPUPastTheEndTraps() async {
        await #expect(processExitsWith: .failure) {
            let fixture = try PoolFixture()
            var mapper = try fixture.pool.makeMapper()
            let box = try mapper.box(fixture.buffer(0, 10), .toDevice)
            box.syncForCPU(&mapper, offset: 11, byteCount: 0)
        }
    }

    @Test func buffersMayCrossRegionsOfPrivateMemory() throws {
        let low = try HostMemory.anonymous(byteCount: 4096)
        let high = try HostMemory.anonymous(byteCount: 8192)
        let map = try MemoryMap([
            MemoryMap.Region(guestAddress: GuestAddress(0x2000), memory: high),
            MemoryMap.Region(guestAddress: GuestAddress(0x1000), memory: low),
        ])
        let pool = try BouncePool(
            window: fixture.window, at: GuestAddress(0), privateMemory: map)
        var mapper = try pool.makeMapper(constraints: DMAConstraints(minimumAlignmentMask: 4095))
        low.fill(at: 0, byteCount: 4096, with: 1)
        high.fill(at: 0, byteCount: 8192, with: 2)
        let box = try mapper.box(
            GuestRange(address: GuestAddress(0x1f00), byteCount: 4096), .bidirectional)
        let offset = Int(box.device.address.rawValue)
        #expect(offset % 4096 == 0xf00)
        #expect(
            fixture.window.bytes(at: offset, byteCount: 4096)
                == [UInt8](repeating: 1, count: 256) + [UInt8](repeating: 2, count: 3840))
        fixture.window.fill(at: offset, byteCount: 4096, with: 9)
        mapper.end(box, usedByteCount: 300)
        #expect(low.bytes(at: 3839, byteCount: 257) == [1] + [UInt8](repeating: 9, count: 256))
        #expect(high.bytes(at: 0, byteCount: 45) == [UInt8](repeating: 9, count: 44) + [2])
        let reason = mapper.refusal(
            GuestRange(address: GuestAddress(0x1f00), byteCount: 0x2101))
        #expect(reason == .outsidePrivateMemory)
    }

    @Test(arguments: [(-1, 1), (0, -1), (.min, 1), (1, .max), (.max, .max)])
    func syncOutsideTheMappingTraps(offset: Int, byteCount: Int) async {
        await #expect(processExitsWith: .failure) { [offset, byteCount] in
            let fixture = try PoolFixture()
            var mapper = try fixture.pool.makeMapper()
            let box = try mapper.box(fixture.buffer(0, 10), .bidirectional)
            box.syncForDevice(&mapper, offset: offset, byteCount: byteCount)
        }
    }
}
