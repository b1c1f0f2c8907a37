import SharedMemory
import Testing

@testable import Virtqueue

struct InflightRegionTests {
    @Test(arguments: [
        (1, false, 64), (3, false, 64), (4, false, 128), (256, false, 4160), (1, true, 64),
        (2, true, 128), (256, true, 8256), (32768, true, 1_048_640),
    ])
    func lengths(size: Int, isPacked: Bool, byteCount: Int) {
        #expect(InflightRegion.byteCount(queueSize: size, isPacked: isPacked) == byteCount)
    }

    @Test func placesInsideTheMemory() throws {
        let memory = try HostMemory.anonymous(byteCount: 4096)
        func isMade(_ offset: Int, _ size: Int, _ isPacked: Bool = false) -> Bool {
            InflightRegion(memory: memory, offset: offset, queueSize: size, isPacked: isPacked)
                != nil
        }
        #expect(isMade(0, 128))
        #expect(!isMade(0, 256))
        #expect(!isMade(0, 128, true))
        #expect(isMade(4096 - 128, 4))
        #expect(!isMade(4096 - 64, 4))
        for offset in [-64, 1, 32, 4097, 4096, Int.max / 64 * 64, Int.min] {
            #expect(!isMade(offset, 4), "at \(offset)")
        }
        for size in [Int.min, -1, 0, 3, 65536, Int.max] { #expect(!isMade(0, size), "of \(size)") }
    }

    @Test("A device's own byte is behind all that the formats have", arguments: [false, true])
    func notes(isPacked: Bool) throws {
        for size in [1, 2, 4, 64] {
            let byteCount = InflightRegion.byteCount(queueSize: size, isPacked: isPacked)
            let memory = try HostMemory.anonymous(byteCount: 2 * byteCount)
            memory.fill(at: 0, byteCount: 2 * byteCount, with: 0)
            let region = try #require(
                InflightRegion(memory: memory, offset: 0, queueSize: size, isPacked: isPacked))
            #expect(region.note == 0)
            region.note = 7
            let isKept = !(isPacked && size == 1)
            #expect(region.note == (isKept ? 7 : 0))
            let end = (isPacked ? 32 : 16) * (size + 1)
            #expect(memory.bytes(at: 0, byteCount: end).allSatisfy { $0 == 0 })
            #expect(memory.bytes(at: byteCount, byteCount: byteCount).allSatisfy { $0 == 0 })
        }
    }
}
