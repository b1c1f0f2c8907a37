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
}
