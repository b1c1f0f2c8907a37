import SharedMemory
import SystemPackage
import TestSupport
import Testing

@Suite struct HostMemoryWordsTests {
    /// A window and a second mapping of it, as a peer would have.
    let window: HostMemory
    let peer: HostMemory

    init() throws {
        window = try HostMemory.window(byteCount: 8192)
        peer = try HostMemory.mapped(
            #require(window.fileDescriptor).duplicate(), offset: 0, byteCount: 8192)
    }

    @Test func bytesAreWords() { expectWords(UInt8.self, 0x81) }
    @Test func halfWordsAreWords() { expectWords(UInt16.self, 0x8182) }
    @Test func fourByteWordsAreWords() { expectWords(UInt32.self, 0x8182_8384) }
    @Test func eightByteWordsAreWords() { expectWords(UInt64.self, 0x8182_8384_8586_8788) }

    /// Stores and loads at the first and the last place, in both orderings, through both mappings.
    private func expectWords<Word: SharedWord>(_: Word.Type, _ value: Word) {
        let size = MemoryLayout<Word>.size
        for offset in [0, size, 4096 - size, 4096, 8192 - size] {
            window.fill(at: 0, byteCount: 8192, with: 0)
            window.store(value, at: offset)
            #expect(peer.load(Word.self, at: offset) == value)
            #expect(peer.loadAcquiring(Word.self, at: offset) == value)
            let bytes = peer.bytes(at: 0, byteCount: 8192)
            var little = value
            for index in 0..<size {
                #expect(bytes[offset + index] == UInt8(truncatingIfNeeded: little))
                little = size == 1 ? 0 : little >> 8
            }
            // Nothing else was touched.
            #expect(bytes.count { $0 != 0 } == size)
            peer.storeReleasing(~value, at: offset)
            #expect(window.load(Word.self, at: offset) == ~value)
            #expect(window.loadAcquiring(Word.self, at: offset) == ~value)
        }
    }

    @Test func whatWasStoredBeforeAReleaseIsSeenAfterTheAcquire() {
        let window = window
        let peer = peer
        onThreads(2) { thread in
            if thread == 0 {
                for round in 1...2000 as ClosedRange<UInt32> {
                    window.store(UInt64(round) &* 3, at: 4096)
                    window.storeReleasing(round, at: 0)
                    while window.loadAcquiring(UInt32.self, at: 64) != round {}
                }
            } else {
                for round in 1...2000 as ClosedRange<UInt32> {
                    while peer.loadAcquiring(UInt32.self, at: 0) != round {}
                    let payload = peer.load(UInt64.self, at: 4096)
                    // Once for all: recording an expectation each round is slow.
                    if payload != UInt64(round) &* 3 {
                        Issue.record("round \(round) saw \(payload)")
                    }
                    peer.storeReleasing(round, at: 64)
                }
            }
        }
        #expect(window.load(UInt32.self, at: 64) == 2000)
    }

    @Test func misalignedWordTraps() async {
        await #expect(processExitsWith: .failure) {
            _ = try HostMemory.anonymous(byteCount: 4096).load(UInt32.self, at: 2)
        }
    }

    @Test func misalignedStoreTraps() async {
        await #expect(processExitsWith: .failure) {
            try HostMemory.anonymous(byteCount: 4096).store(1 as UInt16, at: 1)
        }
    }

    @Test func wordPastTheEndTraps() async {
        await #expect(processExitsWith: .failure) {
            _ = try HostMemory.anonymous(byteCount: 4096).loadAcquiring(UInt64.self, at: 4096)
        }
    }

    @Test func wordBeforeTheStartTraps() async {
        await #expect(processExitsWith: .failure) {
            try HostMemory.anonymous(byteCount: 4096).storeReleasing(1 as UInt8, at: -1)
        }
    }
}
