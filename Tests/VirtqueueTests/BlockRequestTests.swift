import SharedMemory
import Testing

@testable import Virtqueue

struct BlockRequestTests {
    /// `struct virtio_blk_req`: type, a reserved word, sector.
    @Test func header() throws {
        let memory = try HostMemory.anonymous(byteCount: 16)
        memory.store(
            ([13, 0, 0, 0x80, 1, 2, 3, 4, 1, 0, 0, 0, 0, 0, 0, 0x70] as [UInt8]).span, at: 0)
        let header = BlockHeader(words: (memory.load(at: 0), memory.load(at: 8)))
        #expect(header == BlockHeader(type: 0x8000_000d, sector: 0x7000_0000_0000_0001))
        memory.store(header.words.0, at: 0)
        memory.store(header.words.1, at: 8)
        #expect(
            memory.bytes(at: 0, byteCount: 16) == [
                13, 0, 0, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x70,
            ])
    }

    /// `struct virtio_blk_discard_write_zeroes`.
    @Test func segment() throws {
        let memory = try HostMemory.anonymous(byteCount: 16)
        let bytes: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 1, 0, 0, 0x80]
        memory.store(bytes.span, at: 0)
        let segment = BlockSegment(words: (memory.load(at: 0), memory.load(at: 8)))
        #expect(
            segment
                == BlockSegment(
                    sector: 0x0807_0605_0403_0201, sectorCount: 0x0c0b_0a09, flags: 0x8000_0001))
        memory.fill(at: 0, byteCount: 16, with: 0)
        memory.store(segment.words.0, at: 0)
        memory.store(segment.words.1, at: 8)
        #expect(memory.bytes(at: 0, byteCount: 16) == bytes)
    }

    /// The numbers of `VIRTIO_BLK_T_*`, `VIRTIO_BLK_S_*` and `VIRTIO_BLK_F_*`.
    @Test func numbers() {
        #expect(
            [
                BlockHeader.read, BlockHeader.write, BlockHeader.flush, BlockHeader.identify,
                BlockHeader.discard, BlockHeader.writeZeroes,
            ] == [0, 1, 4, 8, 11, 13])
        #expect([BlockStatus.ok, .ioError, .unsupported].map(\.rawValue) == [0, 1, 2])
        let features: VirtioFeatures = [
            .blockSizeMax, .blockSegmentMax, .blockReadOnly, .blockSize, .blockFlush,
            .blockTopology, .blockConfigWriteback, .blockMultiqueue, .blockDiscard,
            .blockWriteZeroes, .logAll, .indirectDescriptors, .eventIndex, .protocolFeatures,
            .version1, .accessPlatform, .packedRing, .inOrder,
        ]
        let bits = [1, 2, 5, 6, 9, 10, 11, 12, 13, 14, 26, 28, 29, 30, 32, 33, 34, 35]
        #expect(features.rawValue == bits.reduce(0 as UInt64) { $0 | 1 << UInt64($1) })
    }
}
