import SharedMemory

@testable import Virtqueue

/// An in-flight region written by hand, as the C structures of the vhost-user specification have it.
struct Region: Sendable {
    let memory: HostMemory
    let queueSize: Int
    let isPacked: Bool

    init(queueSize: Int, isPacked: Bool) throws {
        memory = try .anonymous(
            byteCount: InflightRegion.byteCount(queueSize: queueSize, isPacked: isPacked))
        self.queueSize = queueSize
        self.isPacked = isPacked
    }

    var region: InflightRegion? {
        InflightRegion(memory: memory, offset: 0, queueSize: queueSize, isPacked: isPacked)
    }

    var bytes: [UInt8] { memory.bytes(at: 0, byteCount: memory.byteCount) }

    /// The fields that both formats begin with.
    func storeHeader(version: UInt16 = 1, rowCount: Int? = nil) {
        memory.store(version, at: 8)
        memory.store(UInt16(rowCount ?? queueSize), at: 10)
    }

    /// `QueueRegionSplit`.
    func storeSplit(lastBatchHead: UInt16, usedIndex: UInt16) {
        storeHeader()
        memory.store(lastBatchHead, at: 12)
        memory.store(usedIndex, at: 14)
    }

    /// `DescStateSplit`.
    func storeSplit(row: Int, inflight: UInt8 = 1, next: UInt16 = 0, counter: UInt64) {
        memory.store(inflight, at: 16 + 16 * row)
        memory.store(next, at: 16 + 16 * row + 6)
        memory.store(counter, at: 16 + 16 * row + 8)
    }

    /// `QueueRegionPacked`; positions with the wrap counter in bit 15.
    func storePacked(freeHead: UInt16, oldFreeHead: UInt16, used: UInt16, oldUsed: UInt16) {
        storeHeader()
        memory.store(freeHead, at: 12)
        memory.store(oldFreeHead, at: 14)
        memory.store(used & 0x7fff, at: 16)
        memory.store(oldUsed & 0x7fff, at: 18)
        memory.store(UInt8(used >> 15), at: 20)
        memory.store(UInt8(oldUsed >> 15), at: 21)
    }

    /// `DescStatePacked`, but for the descriptor.
    func storePacked(
        row: Int, inflight: UInt8 = 0, next: UInt16, last: UInt16 = 0, count: UInt16 = 0,
        counter: UInt64 = 0
    ) {
        let base = 32 + 32 * row
        memory.store(inflight, at: base)
        memory.store(next, at: base + 2)
        memory.store(last, at: base + 4)
        memory.store(count, at: base + 6)
        memory.store(counter, at: base + 8)
    }

    /// The descriptor of a `DescStatePacked`.
    func storePacked(
        row: Int, id: UInt16, flags: UInt16 = 0, length: UInt32 = 8, address: UInt64
    ) {
        let base = 32 + 32 * row
        memory.store(id, at: base + 16)
        memory.store(flags, at: base + 18)
        memory.store(length, at: base + 20)
        memory.store(address, at: base + 24)
    }
}

extension RawRing {
    /// How a device fails to start on a region; `nil` where it does not.
    func startFault(_ region: Region) -> QueueFault? {
        do throws(QueueFault) {
            _ = try makeDevice(inflight: region.region)
            return nil
        } catch {
            return error
        }
    }

    /// The addresses of what a device delivers.
    func delivered(_ region: Region) throws -> [UInt64] {
        var device = try device(inflight: region.region)
        var addresses: [UInt64] = []
        while let buffer = try device.takeIfAny() {
            addresses.append(buffer.parts[0].address.rawValue)
        }
        return addresses
    }

    /// Starts devices on regions that are wrong in any way, and runs them: all that may happen is a
    /// fault.
    ///
    /// - Returns: how many could be started.
    func fuzz(
        _ region: Region, rounds: Int, using random: inout some RandomNumberGenerator,
        _ change: (inout [UInt8]) -> Void
    ) throws -> Int {
        let valid = region.bytes
        let rings = memory.bytes(at: 0, byteCount: memory.byteCount)
        var startCount = 0
        for _ in 0..<rounds {
            var bytes = valid
            change(&bytes)
            region.memory.store(bytes.span, at: 0)
            memory.store(rings.span, at: 0)
            do throws(QueueFault) {
                var device = RawDevice(try makeDevice(inflight: region.region), chainCapacity: 4)
                startCount += 1
                var tokens: [ChainToken] = []
                while try device.queue.next(&device.chain) { tokens.append(device.chain.token) }
                for token in tokens { device.queue.use(token, writtenByteCount: 0) }
                _ = device.queue.publish()
                _ = try device.queue.next(&device.chain)
            } catch {
                continue
            }
        }
        return startCount
    }
}
