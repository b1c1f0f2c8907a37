import BlockBackend
import CommandSupport
import SharedMemory
import SystemPackage
import Virtqueue

/// `--verify`: what was written through one path is what every path, and plain `pread(2)`, reads.
///
/// Writes to blocks all over the storage. Each block's contents are different for every writer, so
/// stale data of an earlier pass is seen.
struct Verification {
    let stand: BlockStand
    let lanes: [BlockLane]
    /// `nil` where the storage is another process's alone.
    let file: FilePath?

    /// The lane whose backend is connected.
    private var connected: BlockLane?

    private static let blockCountMax = 64

    init(stand: BlockStand, lanes: [BlockLane], file: FilePath?) {
        self.stand = stand
        self.lanes = lanes
        self.file = file
    }

    /// - Throws: `CommandFailure` that names the first difference.
    mutating func run(_ blockByteCounts: [Int]) throws {
        let descriptor = try file.map {
            try FileDescriptor.open($0, .readOnly, options: .closeOnExec)
        }
        defer { try? descriptor?.close() }
        for byteCount in blockByteCounts {
            for (index, writer) in lanes.enumerated() where !Interruption.isRequested {
                try check(writer, seed: UInt64(index + 1), byteCount, against: descriptor)
            }
        }
        if let connected { stand.loops[connected]?.disconnect() }
    }

    private mutating func check(
        _ writer: BlockLane, seed: UInt64, _ byteCount: Int, against descriptor: FileDescriptor?
    ) throws {
        var buffers = GuestBuffers(
            guestMemoryByteCount: stand.memories.guest.byteCount, bufferByteCount: byteCount)
        let blockCount = Int(stand.storageByteCount) / byteCount
        let checked = min(blockCount, Self.blockCountMax)
        let blocks = (0..<checked).map { $0 * (blockCount - 1) / max(checked - 1, 1) }
        for block in blocks {
            let buffer = buffers.next()
            stand.memories.guest.store(contents(block, seed, byteCount).span, at: offset(buffer))
            try transfer(.write, writer, block, buffer)
        }
        let plain = try HostMemory.anonymous(byteCount: byteCount)
        for block in blocks {
            guard let descriptor else { break }
            let position = Int64(block * byteCount)
            let count = try plain.read(
                from: descriptor, atFileOffset: position, offset: 0, byteCount: byteCount)
            try compare(
                plain.bytes(at: 0, byteCount: count), contents(block, seed, byteCount), writer,
                "pread", position)
        }
        // Lane by lane: a backend serves one of them at a time.
        for reader in lanes {
            for block in blocks {
                let buffer = buffers.next()
                stand.memories.guest.fill(at: offset(buffer), byteCount: byteCount, with: 0xEE)
                try transfer(.read, reader, block, buffer)
                try compare(
                    stand.memories.guest.bytes(at: offset(buffer), byteCount: byteCount),
                    contents(block, seed, byteCount), writer, reader.description,
                    Int64(block * byteCount))
            }
        }
    }

    private mutating func transfer(
        _ operation: BlockOperation, _ lane: BlockLane, _ block: Int, _ buffer: GuestRange
    ) throws {
        let sector = UInt64(block * (buffer.byteCount / sectorByteCount))
        if connected != lane {
            if let connected { stand.loops[connected]?.disconnect() }
            connected = lane
        }
        try stand.loops[lane]?.perform(
            RequestSource.Request(buffer: buffer, operation: operation, sector: sector))
    }

    private func compare(
        _ found: [UInt8], _ expected: [UInt8], _ writer: BlockLane, _ reader: String,
        _ position: Int64
    ) throws {
        guard found != expected else { return }
        let difference = zip(found, expected).enumerated().first { $1.0 != $1.1 }
        throw CommandFailure(
            .wrongData,
            "verify: byte \(position + Int64(difference?.offset ?? found.count)) was written through "
                + "\(writer.description) and reads differently through \(reader)")
    }

    private func contents(_ block: Int, _ seed: UInt64, _ byteCount: Int) -> [UInt8] {
        var random = SplitMix64(seed: seed << 40 ^ UInt64(block))
        return (0..<byteCount / 8).flatMap { _ in
            let word = random.next()
            return (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64($0 * 8)) }
        }
    }

    private func offset(_ buffer: GuestRange) -> Int {
        GuestBuffers.offset(of: buffer)
    }
}
