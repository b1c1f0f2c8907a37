import SharedMemory
import SystemPackage
import Testing

@testable import BlockBackend

@Suite struct BlockAlignmentTests {
    @Test("A range of the storage is admitted where offset and length are multiples of the block")
    func admitsFileRange() {
        let alignment = BlockAlignment(memory: 4, offset: 4096)
        #expect(alignment.admits(fileOffset: 0, byteCount: 4096))
        #expect(alignment.admits(fileOffset: 8192, byteCount: 0))
        #expect(alignment.admits(fileOffset: 1 << 62, byteCount: 1 << 40))
        #expect(!alignment.admits(fileOffset: 512, byteCount: 4096))
        #expect(!alignment.admits(fileOffset: 4096, byteCount: 512))
        #expect(!alignment.admits(fileOffset: 512, byteCount: 3584))
        #expect(!alignment.admits(fileOffset: UInt64.max, byteCount: 4096))
    }

    @Test(
        "A range of memory is admitted by its address, and by its length in blocks of the storage")
    func admitsMemoryRange() throws {
        let memory = try HostMemory.anonymous(byteCount: 16384)
        let alignment = BlockAlignment(memory: 4, offset: 512)
        #expect(alignment.admits(memory.hostRange(offset: 0, byteCount: 512)))
        #expect(alignment.admits(memory.hostRange(offset: 4, byteCount: 1024)))
        #expect(!alignment.admits(memory.hostRange(offset: 2, byteCount: 512)))
        #expect(!alignment.admits(memory.hostRange(offset: 4, byteCount: 516)))
        let strict = BlockAlignment(memory: 512, offset: 4096)
        #expect(strict.admits(memory.hostRange(offset: 512, byteCount: 4096)))
        #expect(!strict.admits(memory.hostRange(offset: 512, byteCount: 512)))
        #expect(!strict.admits(memory.hostRange(offset: 256, byteCount: 4096)))
    }

    @Test("The fall-back is a page, which no device of today wants more than")
    func fallback() {
        #expect(BlockAlignment.fallback == BlockAlignment(memory: 4096, offset: 4096))
    }

    @Test("Direct I/O on a disk's file is probed to blocks of at most a page")
    func probesDisk() throws {
        try Place.diskDirect.withStorage(byteCount: 8192) { storage, _ in
            let alignment = try #require(storage.alignment)
            #expect([512, 1024, 2048, 4096].contains(alignment.offset))
            #expect(alignment.memory <= 4096)
        }
    }

    @Test("Direct I/O on tmpfs is probed to an alignment under which a page always passes")
    func probesTmpfs() throws {
        try Place.tmpfsDirect.withStorage(byteCount: 8192) { storage, _ in
            let alignment = try #require(storage.alignment)
            #expect(alignment.admits(fileOffset: 4096, byteCount: 4096))
            #expect(alignment.memory <= 4096)
        }
    }

    @Test("A device with sectors of 4096 bytes is probed to blocks of 4096 bytes")
    func probesLoopDevice() throws {
        try Place.loopDirect.withStorage(byteCount: 1 << 20) { storage, _ in
            #expect(storage.alignment?.offset == 4096)
        }
    }
}
