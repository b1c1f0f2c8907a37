import BlockBackend
import SharedMemory
import SystemPackage

/// `--verify`: data written through one path must be what every other path, and plain `pread`, reads.
struct Verification {
    let stand: BlockStand
    let paths: [BlockPath]

    func run(_ blockByteCounts: [Int]) throws {
        for byteCount in blockByteCounts {
            for (index, writer) in paths.enumerated() {
                for reader in paths {
                    try check(writer, reader, byteCount, seed: UInt64(index))
                }
            }
        }
    }

    private func check(
        _ writer: BlockPath, _ reader: BlockPath, _ byteCount: Int, seed: UInt64
    ) throws {
        _ = (writer, reader, byteCount, seed)
    }
}
