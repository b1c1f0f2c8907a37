import BasicContainers
import SharedMemory
import Virtqueue

/// The device's side of a receive queue: puts frames into the driver's buffers (virtio 1.2, 5.1.6.4).
///
/// A frame either gets all the buffers it needs, or none and has to wait: nothing is held between two
/// frames. Buffers are given back in the order in which they were taken, all but the last of a frame full.
///
/// **Threading.** Belongs to the thread that made it. **Cost.** Nothing is allocated after `init`.
struct ReceiveQueue: ~Copyable {
    var queue: DeviceQueue
    var chain: DescriptorChain
    let memoryMap: MemoryMap
    private let isMergeable: Bool
    /// What the driver can do for frames that were not finished.
    let features: VirtioFeatures
    /// Noted when a buffer was written; `nil` where nothing is logged.
    let dirtyLog: DirtyLog?

    /// The buffers for the frame at hand, and their parts.
    var buffers: RigidArray<ReceiveBuffer>
    var parts: RigidArray<ReceivePart>
    var gatheredByteCount = 0
    /// Where headers are put together that go into pieces.
    let scratch: HostMemory
    /// Whether the driver has kicked once: before it has, its rings are left alone.
    var isReady: Bool
    /// Whether the frame that comes next had to wait for buffers.
    private(set) var isHoldingBack = false
    var statistics = ReceiveStatistics()

    /// How many parts the buffers of one frame may have. Those of a driver that does not merge have
    /// 19 at most, those of one that does have one each, of a quarter page at least.
    static let partCountMax = 512

    init(_ setup: QueueSetup) throws(QueueStartFailure) {
        let scratch = try QueueStartFailure.system { () throws(SystemCallError) in
            try HostMemory.anonymous(byteCount: NetHeader.byteCount)
        }
        let queue = try DeviceQueue(netQueue: setup)
        memoryMap = setup.memoryMap
        features = setup.configuration.features
        isMergeable = features.contains(.netMergeableBuffers)
        dirtyLog = setup.dirtyLog
        chain = DescriptorChain(capacity: Self.partCountMax)
        buffers = RigidArray(capacity: Self.partCountMax)
        parts = RigidArray(capacity: Self.partCountMax)
        self.scratch = scratch
        isReady = setup.isReady
        self.queue = queue
    }

    /// Whether a peer has cut short what the queue's buffers are in (`MemoryMap.isLost`).
    var isMemoryLost: Bool { memoryMap.isLost }

    /// Puts a frame into the driver's buffers.
    ///
    /// - Parameter frame: its header says what is left to do on it; the memories of its parts are the
    ///   caller's to keep.
    /// - Throws: where the driver broke the queue's rules; the queue must be stopped.
    @inline(__always)
    mutating func deliver(_ frame: borrowing NetFrame) throws(NetFault) -> NetDelivery {
        guard canFinish(frame.header) else {
            statistics.unexpectedOffloadCount &+= 1
            return .dropped
        }
        let needed = NetHeader.byteCount &+ frame.byteCount
        buffers.removeAll()
        parts.removeAll()
        gatheredByteCount = 0
        while gatheredByteCount < needed {
            if !buffers.isEmpty, !isMergeable || isOutOfRoom {
                putBack()
                statistics.tooLongCount &+= 1
                return .dropped
            }
            guard isReady, try next() else {
                holdBack()
                return .full
            }
            gather()
        }
        store(frame)
        use(needed)
        isHoldingBack = false
        statistics.frameCount &+= 1
        statistics.byteCount &+= frame.byteCount
        statistics.bufferCount &+= buffers.count
        return .done
    }

    /// A frame was not delivered that the driver does not want.
    mutating func countFiltered() { statistics.filteredCount &+= 1 }

    /// Whether the driver can do what is left to do on a frame.
    @inline(__always)
    private func canFinish(_ header: NetHeader) -> Bool {
        header.segmentation == 0 && header.flags & NetHeader.needsChecksum == 0
            || features.contains(header.guestOffloads)
    }

    /// Whether there is no more to be had for one frame: every descriptor, or all that is noted.
    private var isOutOfRoom: Bool { parts.isFull || parts.count >= queue.size }

    /// Takes the next buffer, if there is one.
    @inline(__always)
    private mutating func next() throws(NetFault) -> Bool {
        do throws(QueueFault) {
            return try queue.next(&chain)
        } catch {
            putBack()
            throw .receive(error)
        }
    }

    /// Leaves what was taken for the frame to the next attempt.
    private mutating func holdBack() {
        putBack()
        if !isHoldingBack { statistics.heldBackCount &+= 1 }
        isHoldingBack = true
    }

    private mutating func putBack() {
        while !buffers.isEmpty { queue.untake(buffers.removeLast().token) }
    }
}

/// What became of a frame for a driver.
enum NetDelivery {
    /// The driver has it, once it is shown.
    case done
    /// Nobody gets it; it is counted.
    case dropped
    /// There are too few buffers now.
    case full
}

/// A buffer for the frame at hand.
struct ReceiveBuffer {
    let token: ChainToken
    /// How many bytes of it can be written.
    let byteCount: Int
}

/// A part of one, in one region of the memory map.
struct ReceivePart {
    let address: GuestAddress
    let range: HostRange
}

extension NetHeader {
    /// What a driver must have agreed to before it gets a frame with this header.
    var guestOffloads: VirtioFeatures {
        let checksum: VirtioFeatures = flags & Self.needsChecksum != 0 ? .netGuestChecksum : []
        switch segmentation {
        case Segmentation.none: return checksum
        case Segmentation.tcp4: return [.netGuestTSO4, .netGuestChecksum]
        case Segmentation.tcp6: return [.netGuestTSO6, .netGuestChecksum]
        // A header does not say over which of the two.
        case Segmentation.udp: return [.netGuestUSO4, .netGuestUSO6, .netGuestChecksum]
        // Nobody agrees to any other.
        default: return VirtioFeatures(rawValue: .max)
        }
    }
}
