import SharedMemory

@testable import Virtqueue

/// A device with a chain, in a form that Swift Testing's macros can look at.
struct RawDevice: ~Copyable {
    var queue: DeviceQueue
    var chain: DescriptorChain

    init(_ queue: consuming DeviceQueue, chainCapacity: Int = 64) {
        self.queue = queue
        chain = DescriptorChain(capacity: chainCapacity)
    }

    struct NothingAvailable: Error {}

    /// Takes the next buffer, which must be there.
    @discardableResult
    mutating func take() throws -> ChainToken {
        guard try queue.next(&chain) else { throw NothingAvailable() }
        return chain.token
    }

    /// Takes the next buffer if there is one.
    mutating func takeIfAny() throws(QueueFault) -> TestBuffer? {
        try queue.next(&chain) ? chain.buffer : nil
    }

    /// How the next take fails; `nil` where it does not.
    mutating func fault() -> QueueFault? {
        do throws(QueueFault) {
            _ = try queue.next(&chain)
            return nil
        } catch {
            return error
        }
    }

    /// Takes a buffer, gives it back, and does not show it.
    mutating func takeAndUse(writing byteCount: Int = 0) throws {
        queue.use(try take(), writtenByteCount: byteCount)
    }
}

extension RawRing {
    func device(
        position: QueuePosition? = nil, inflight: InflightRegion? = nil, chainCapacity: Int = 64
    ) throws -> RawDevice {
        RawDevice(
            try makeDevice(position: position, inflight: inflight), chainCapacity: chainCapacity)
    }
}
