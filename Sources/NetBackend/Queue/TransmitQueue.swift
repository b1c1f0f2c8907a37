import BasicContainers
import SharedMemory
import Virtqueue

/// The device's side of a transmit queue: takes frames, checks them, and hands them to a port (virtio
/// 1.2, 5.1.6.2).
///
/// Header and descriptors are copied out of shared memory once and looked at there; the bytes of a frame
/// stay where they are until the port has done with them. Buffers are given back in the order in which
/// they were taken, so a successor of this process goes on at the used index, and no note of what is
/// under way is needed.
///
/// **Threading.** Belongs to the thread that made it. **Cost.** Nothing is allocated after `init`.
struct TransmitQueue: ~Copyable {
    var queue: DeviceQueue
    private var chain: DescriptorChain
    private let memoryMap: MemoryMap
    private let rules: FrameRules
    /// The frame at hand.
    private var frame: NetFrame
    /// Where headers that are in pieces are put together.
    private let scratch: HostMemory
    private let scratchRange: HostRange
    /// Whether the driver has kicked once: before it has, its rings are left alone.
    var isReady: Bool
    /// Whether the port had no room for the next frame.
    private(set) var isHeldBack = false
    var statistics = TransmitStatistics()

    /// How many parts a buffer may have: more than any driver known makes (Linux has 18).
    static let partCountMax = 128

    /// How many frames ahead are asked for.
    private static let prefetchDistance = 4

    /// - Parameter mtu: the greatest length of a packet, where that was negotiated.
    init(_ setup: QueueSetup, mtu: Int) throws(QueueStartFailure) {
        let scratch = try QueueStartFailure.system { () throws(SystemCallError) in
            try HostMemory.anonymous(byteCount: NetHeader.byteCount)
        }
        let queue = try DeviceQueue(netQueue: setup)
        memoryMap = setup.memoryMap
        rules = FrameRules(features: setup.configuration.features, mtu: mtu)
        chain = DescriptorChain(capacity: Self.partCountMax)
        // A part may lie in several regions.
        frame = NetFrame(partCountMax: 2 * Self.partCountMax)
        self.scratch = scratch
        scratchRange = scratch.hostRange(offset: 0, byteCount: NetHeader.byteCount)
        isReady = setup.isReady
        self.queue = queue
    }

    /// Whether a peer has cut short what the queue's buffers are in (`MemoryMap.isLost`).
    var isMemoryLost: Bool { memoryMap.isLost }

    /// Takes frames that the driver has made available, and hands them to a port.
    ///
    /// - Parameters:
    ///   - receive: the queue by which the same driver receives, for a port that sends back.
    ///   - ring: where the port prepares operations.
    ///   - count: how many at most.
    /// - Returns: how many were taken, dropped ones among them.
    /// - Throws: where the driver broke the queue's rules; the queue must be stopped.
    @inline(__always)
    mutating func take<Port: NetPort & ~Copyable>(
        into port: inout Port, _ receive: inout ReceiveQueue?, _ ring: inout NetRing,
        atMost count: Int
    ) throws(NetFault) -> Int {
        guard isReady else { return 0 }
        isHeldBack = false
        var taken = 0
        while taken < count, try next() {
            do throws(FrameRefusal) {
                try gather()
            } catch {
                statistics[error] += 1
                queue.use(chain.token, writtenByteCount: 0)
                taken &+= 1
                continue
            }
            switch try send(to: &port, &receive, &ring) {
            case .done:
                statistics.frameCount &+= 1
                statistics.byteCount &+= frame.byteCount
                queue.use(chain.token, writtenByteCount: 0)
            case .rejected:
                statistics.rejectedCount &+= 1
                queue.use(chain.token, writtenByteCount: 0)
            case .underWay:
                break
            case .full:
                queue.untake(chain.token)
                isHeldBack = true
                return taken
            }
            taken &+= 1
        }
        return taken
    }

    /// Hands the frame at hand to a port. Where the receive queue turns out to be broken it stays in this
    /// one.
    @inline(__always)
    private mutating func send<Port: NetPort & ~Copyable>(
        to port: inout Port, _ receive: inout ReceiveQueue?, _ ring: inout NetRing
    ) throws(NetFault) -> NetSending {
        do throws(NetFault) {
            return try port.send(frame, chain.token, &receive, &ring)
        } catch {
            queue.untake(chain.token)
            throw error
        }
    }

    /// Gives back a buffer whose frame was under way.
    ///
    /// - Parameter byteCount: the length of the frame; `nil` where it was not taken.
    mutating func finish(_ token: ChainToken, byteCount: Int?) {
        if let byteCount {
            statistics.frameCount &+= 1
            statistics.byteCount &+= byteCount
        } else {
            statistics.rejectedCount &+= 1
        }
        queue.use(token, writtenByteCount: 0)
    }

    /// Takes the next buffer, if there is one.
    @inline(__always)
    private mutating func next() throws(NetFault) -> Bool {
        do throws(QueueFault) {
            return try queue.next(&chain)
        } catch {
            throw .transmit(error)
        }
    }

    /// Asks for the first bytes of a frame that comes soon: the driver has just written them, so they are in
    /// another processor's cache more often than not.
    @inline(__always)
    private mutating func prefetchAhead() {
        guard let address = queue.peek(Self.prefetchDistance),
            let run = memoryMap.translate(
                GuestRange(address: address, byteCount: NetHeader.byteCount))
        else { return }
        run.hostRange.prefetch()
    }

    /// Makes a frame of the chain at hand: takes its header off, and finds its bytes.
    @inline(__always)
    private mutating func gather() throws(FrameRefusal) {
        prefetchAhead()
        frame.parts.removeAll()
        let byteCount = chain.readableByteCount &- NetHeader.byteCount
        // Linux puts headers before the frame where it can, and then all of it is one part.
        guard chain.count == 1, byteCount >= 0,
            let run = memoryMap.translate(chain[0])
        else { return try gatherParts() }
        // SAFETY: the map keeps the memory.
        let header = unsafe NetHeader(words: run.hostRange.loadTwelve())
        frame.header = try rules.check(header, byteCount: byteCount)
        frame.byteCount = byteCount
        frame.parts.append(run.hostRange.dropFirst(NetHeader.byteCount))
    }

    /// The same where the frame, or the header, is in pieces.
    @inline(never)
    private mutating func gatherParts() throws(FrameRefusal) {
        guard !chain.isCutShort else { throw .tooManyParts }
        guard chain.readableByteCount >= NetHeader.byteCount else { throw .noHeader }
        var headerDone = 0
        for index in 0..<chain.readableCount {
            var rest = chain[index]
            while rest.byteCount > 0 {
                guard let run = memoryMap.translatePrefix(of: rest) else { throw .unreachable }
                var range = run.hostRange
                rest = rest.slice(
                    offset: range.byteCount, byteCount: rest.byteCount - range.byteCount)
                if headerDone < NetHeader.byteCount {
                    let count = min(NetHeader.byteCount - headerDone, range.byteCount)
                    // SAFETY: the map keeps the one memory, and self the other.
                    unsafe scratchRange.dropFirst(headerDone).copy(from: range, byteCount: count)
                    headerDone += count
                    range = range.dropFirst(count)
                    if range.byteCount == 0 { continue }
                }
                guard !frame.parts.isFull else { throw .tooManyParts }
                frame.parts.append(range)
            }
        }
        let byteCount = chain.readableByteCount &- NetHeader.byteCount
        // SAFETY: self keeps the memory.
        let header = unsafe NetHeader(words: scratchRange.loadTwelve())
        frame.header = try rules.check(header, byteCount: byteCount)
        frame.byteCount = byteCount
    }
}

extension DeviceQueue {
    /// A queue of a network device, which notes nothing of what is under way.
    init(netQueue setup: QueueSetup) throws(QueueStartFailure) {
        do throws(QueueFault) {
            self = try DeviceQueue(
                setup.configuration, memoryMap: setup.memoryMap, position: setup.position,
                dirtyLog: setup.dirtyLog, usedRingLogAddress: setup.usedRingLogAddress)
        } catch {
            throw .fault(error)
        }
    }
}

extension QueueSetup {
    /// Whether a queue may be looked at before the first kick.
    var isReady: Bool { startsUnkicked || kick == nil }
}

extension QueueStartFailure {
    /// What the system refuses, as a reason not to start.
    static func system<Value: ~Copyable>(
        _ make: () throws(SystemCallError) -> Value
    ) throws(QueueStartFailure) -> Value {
        do throws(SystemCallError) {
            return try make()
        } catch {
            throw .system(error)
        }
    }
}
