import SharedMemory
import Synchronization

@testable import Virtqueue

/// A device that takes each buffer as soon as its queue starts, and gives it back.
final class FuzzDevice: VirtioDevice {
    private let positions = Mutex<[QueuePosition?]>([nil, nil])

    let features: VirtioFeatures = [
        .indirectDescriptors, .eventIndex, .version1, .packedRing, .inOrder, .logAll,
    ]
    let queueCountMax = 2
    let queueSizeMax = 256

    let canAnnounce = true

    func announce(_ address: MACAddress) {
        require(address.isOfOne, "an interface has the address")
    }

    func configuration(at offset: Int, byteCount: Int) -> [UInt8]? {
        let bytes = BlockConfiguration().bytes
        require(offset >= 0 && byteCount > 0, "a part has a place and a length")
        guard offset < bytes.count else { return nil }
        let part = bytes[offset..<min(offset + byteCount, bytes.count)]
        return part + [UInt8](repeating: 0, count: byteCount - part.count)
    }

    func setConfiguration(_ bytes: [UInt8], at offset: Int) -> Bool {
        require(offset >= 0 && !bytes.isEmpty, "a part has a place and a length")
        return offset == BlockConfiguration.writebackOffset && bytes.count == 1
    }

    func startQueue(_ index: Int, _ setup: QueueSetup) throws(QueueStartFailure) {
        require(positions.withLock { $0[index] } == nil, "a queue is started once")
        let position: QueuePosition
        do throws(QueueFault) {
            position = try serve(setup)
        } catch {
            throw .fault(error)
        }
        positions.withLock { $0[index] = position }
    }

    private func serve(_ setup: QueueSetup) throws(QueueFault) -> QueuePosition {
        var queue = try DeviceQueue(
            setup.configuration, memoryMap: setup.memoryMap, position: setup.position,
            inflight: setup.inflight, dirtyLog: setup.dirtyLog,
            usedRingLogAddress: setup.usedRingLogAddress)
        var chain = DescriptorChain(capacity: 8)
        do throws(QueueFault) {
            // The rings may lie one on the other, so that this would never end.
            for _ in 0..<setup.configuration.size {
                guard try queue.next(&chain) else { break }
                if !chain.isCutShort, chain.count > 0 { setup.dirtyLog?.mark(chain[0]) }
                queue.use(chain.token, writtenByteCount: 0)
            }
        } catch {
            setup.onFault(error)
        }
        _ = queue.publish()
        return queue.position
    }

    func stopQueue(_ index: Int) -> QueuePosition? {
        positions.withLock { positions in
            defer { positions[index] = nil }
            return positions[index]
        }
    }

    func setCall(_ call: EventDescriptor?, ofQueue index: Int) {
        require(positions.withLock { $0[index] } != nil, "a queue that runs has a call")
    }

    func reset() {
        require(positions.withLock { $0 == [nil, nil] }, "nothing runs at a reset")
    }
}
