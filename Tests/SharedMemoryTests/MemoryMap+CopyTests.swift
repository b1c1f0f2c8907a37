import SharedMemory
import TestSupport
import Testing

@Suite struct MemoryMapCopyTests {
    let low: HostMemory
    let high: HostMemory
    let window: HostMemory
    let map: MemoryMap

    init() throws {
        low = try HostMemory.anonymous(byteCount: 4096)
        high = try HostMemory.anonymous(byteCount: 4096)
        window = try HostMemory.anonymous(byteCount: 16384)
        map = try MemoryMap([
            MemoryMap.Region(guestAddress: GuestAddress(0x1000), memory: low),
            // Adjacent to the first in the guest; the last part of its memory.
            MemoryMap.Region(guestAddress: GuestAddress(0x2000), memory: high, memoryOffset: 1024),
            MemoryMap.Region(
                guestAddress: GuestAddress(0x2c00), memory: high, byteCount: 512),
        ])
    }

    /// A part of the window. The suite keeps its memory, which is what the calls are unsafe about.
    private func window(_ offset: Int, _ byteCount: Int) -> HostRange {
        window.hostRange(offset: offset, byteCount: byteCount)
    }

    private func range(_ address: UInt64, _ byteCount: Int) -> GuestRange {
        GuestRange(address: GuestAddress(address), byteCount: byteCount)
    }

    @Test func copyIntoAMemoryCollectsTheRegions() {
        var generator = SeededGenerator()
        let first = generator.bytes(4096)
        let second = generator.bytes(4096)
        low.store(first.span, at: 0)
        high.store(second.span, at: 0)
        window.fill(at: 0, byteCount: 16384, with: 0xee)
        let count = 0x100 + 3072 + 512
        // SAFETY: the suite keeps the window.
        let done = unsafe map.copy(range(0x1f00, count), into: window(7, count))
        #expect(done)
        let expected = first.suffix(0x100) + second.suffix(3072) + second.prefix(512)
        #expect(
            window.bytes(at: 7, byteCount: expected.count) == Array(expected),
            "seed \(generator.seed)")
        #expect(window.bytes(at: 6, byteCount: 1) == [0xee])
        #expect(window.bytes(at: 7 + expected.count, byteCount: 1) == [0xee])
    }

    @Test func copyFromAMemorySpreadsOverTheRegions() {
        var generator = SeededGenerator()
        let bytes = generator.bytes(0x100 + 3072 + 512)
        window.store(bytes.span, at: 100)
        low.fill(at: 0, byteCount: 4096, with: 1)
        high.fill(at: 0, byteCount: 4096, with: 2)
        // SAFETY: the suite keeps the window.
        let done = unsafe map.copy(
            from: window(100, bytes.count), to: range(0x1f00, bytes.count))
        #expect(done)
        #expect(low.bytes(at: 0, byteCount: 3840) == [UInt8](repeating: 1, count: 3840))
        #expect(low.bytes(at: 3840, byteCount: 256) == Array(bytes.prefix(256)))
        #expect(high.bytes(at: 1024, byteCount: 3072) == Array(bytes.dropFirst(256).prefix(3072)))
        #expect(high.bytes(at: 0, byteCount: 512) == Array(bytes.suffix(512)))
        #expect(high.bytes(at: 512, byteCount: 512) == [UInt8](repeating: 2, count: 512))
    }

    @Test(arguments: [(0xfff as UInt64, 2), (0x2dff, 2), (0x2e00, 1), (.max, 2), (0, 1)])
    func copiesOfARangeWithAByteOutsideSaySo(address: UInt64, byteCount: Int) {
        // SAFETY: the suite keeps the window.
        let (there, back) = unsafe (
            map.copy(range(address, byteCount), into: window(0, 16384)),
            map.copy(from: window(0, 16384), to: range(address, byteCount))
        )
        #expect(!there && !back)
    }

    @Test func copiesOfNothingDoNothing() {
        // SAFETY: no byte is touched.
        let (there, back) = unsafe (
            map.copy(range(0x1000, 0), into: .empty), map.copy(from: .empty, to: range(0x1000, 0))
        )
        #expect(there && back)
    }

    @Test func longerTargetsAndSourcesAreUsedFromTheirStart() {
        window.fill(at: 0, byteCount: 16384, with: 0xee)
        low.fill(at: 0, byteCount: 4096, with: 1)
        // SAFETY: the suite keeps the window.
        let there = unsafe map.copy(range(0x1000, 5), into: window(10, 100))
        #expect(there)
        #expect(window.bytes(at: 9, byteCount: 7) == [0xee, 1, 1, 1, 1, 1, 0xee])
        // SAFETY: the same.
        let back = unsafe map.copy(from: window(14, 100), to: range(0x1000, 2))
        #expect(back)
        #expect(low.bytes(at: 0, byteCount: 3) == [1, 0xee, 1])
    }

    @Test func rangePastTheEndOfTheAddressSpaceIsNotCopied() throws {
        let map = try MemoryMap([
            MemoryMap.Region(guestAddress: GuestAddress(.max - 4095), memory: low),
            MemoryMap.Region(guestAddress: GuestAddress(0), memory: high),
        ])
        // SAFETY: the suite keeps the window.
        let done = unsafe map.copy(range(.max, 2), into: window(0, 2))
        #expect(!done)
    }

    @Test func copyIntoTooShortATargetTraps() async {
        await #expect(processExitsWith: .failure) {
            let memory = try HostMemory.anonymous(byteCount: 8192)
            let window = try HostMemory.anonymous(byteCount: 8192)
            let map = MemoryMap(memory, at: GuestAddress(0))
            // SAFETY: the call traps before it touches anything.
            _ = unsafe map.copy(
                GuestRange(address: GuestAddress(0), byteCount: 4097),
                into: window.hostRange(offset: 0, byteCount: 4096))
        }
    }

    @Test func copyFromTooShortASourceTraps() async {
        await #expect(processExitsWith: .failure) {
            let memory = try HostMemory.anonymous(byteCount: 8192)
            let window = try HostMemory.anonymous(byteCount: 8192)
            let map = MemoryMap(memory, at: GuestAddress(0))
            // SAFETY: the call traps before it touches anything.
            _ = unsafe map.copy(
                from: window.hostRange(offset: 0, byteCount: 4095),
                to: GuestRange(address: GuestAddress(0), byteCount: 4096))
        }
    }
}
