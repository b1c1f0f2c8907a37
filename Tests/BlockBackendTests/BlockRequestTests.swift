import BlockBackend
import Testing
import Virtqueue

@Suite struct BlockRequestTests {
    @Test("Statuses are the values of the status byte (virtio 1.2, 5.2.6)")
    func statuses() {
        #expect(BlockStatus.ok.rawValue == 0)
        #expect(BlockStatus.ioError.rawValue == 1)
        #expect(BlockStatus.unsupported.rawValue == 2)
    }

    @Test("A sector is 512 bytes")
    func sector() {
        #expect(sectorByteCount == 512)
    }
}
