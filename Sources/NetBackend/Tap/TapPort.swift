import BasicContainers
import Logging
import SharedMemory
import SystemPackage
import Uring
import Virtqueue

/// A queue of a TAP device: frames are written to it where they are, or from a copy where they are short, and
/// read from it into memory of this process, from where they are copied into the driver's buffers.
///
/// To write, a list of the frame's parts follows a private copy of the checked header: the kernel never sees
/// one that the driver has changed since. A short frame is copied behind its header, into registered memory: that
/// costs less than a list does, and than looking up pages.
///
/// To read, one read waits; once it has ended, a burst of reads takes what there is without waiting. What
/// was read waits here for buffers, and while it does nothing is read: the TAP's own queue holds the rest.
/// Not into the driver's buffers: nobody knows how long the next frame is, 64 KiB of buffers for each read
/// that waits would take them from the driver, and a header of the kernel would be in shared memory before
/// anybody has looked at it. The copy is from memory that the kernel has just written, so it is in cache.
struct TapPort: NetPort, ~Copyable {
    let device: TapDevice
    let index: Int
    let state: NetState
    private let logger: Logger
    let file = FixedFile(index: 0)
    /// Whether the device is gone: then nothing is read, and what is written is rejected.
    private(set) var isGone = false

    // Writing: rows in a circle, from `firstRow` on.
    var rows: RigidArray<TapWrite>
    let vectors: IOVectors
    /// Rows, each with a header and a short frame, and behind them what is read.
    private let memory: HostMemory
    /// Whether the kernel has the memory registered; where it does not, it looks its pages up each time.
    private let buffer: FixedBuffer?
    var firstRow = 0
    var underWayCount = 0

    // Reading.
    var reads: TapReads
    /// What the driver wants to receive, as of ``version``.
    var filter: NetFilter
    var version: UInt32
    /// The frame at hand.
    var frame = NetFrame(partCountMax: 1)
    /// What was negotiated, while the receive queue is running.
    var features: VirtioFeatures?
    /// Tells of changes of links; `nil` where another pair looks after that.
    private let links: FileDescriptor?

    /// How many frames are written at once.
    static let rowCount = 64
    /// Room for a header and the longest frame that is copied: a full one of Ethernet, with tags. As in
    /// `TransmitSlots`, of no great power of two.
    private static let rowByteCount = 1600
    /// How many operations a ring needs to have room for.
    static let entryCount = rowCount + TapReads.slotCount + 8

    init(
        _ device: TapDevice, queue index: Int, state: NetState, _ ring: inout NetRing,
        logger: Logger
    ) throws(SystemCallError) {
        let rowsByteCount = Self.rowCount * Self.rowByteCount
        let memory = try HostMemory.anonymous(byteCount: rowsByteCount + TapReads.byteCount)
        try ring.ring.registerFiles([device.queues[index]])
        let buffer = Self.register(memory, &ring)
        links = index == 0 ? try TapDevice.watchLinks() : nil
        if let links { ring.watch(links, as: .link) }
        var rows = RigidArray<TapWrite>(capacity: Self.rowCount)
        for _ in 0..<Self.rowCount { rows.append(TapWrite()) }
        self.rows = rows
        vectors = IOVectors(
            rowCount: Self.rowCount, rowCapacity: 2 * TransmitQueue.partCountMax + 1)
        reads = TapReads(memory, at: rowsByteCount, buffer: buffer)
        self.memory = memory
        self.buffer = buffer
        self.device = device
        self.index = index
        self.state = state
        self.logger = logger
        version = state.version
        filter = state.filter
        device.setQueue(index, isUsed: false)
        followLink()
    }

    /// - Returns: `nil` where that is more locked memory than this process may have.
    private static func register(_ memory: HostMemory, _ ring: inout NetRing) -> FixedBuffer? {
        do throws(SystemCallError) {
            try ring.ring.registerBuffers([memory.hostRange])
            return FixedBuffer(index: 0)
        } catch {
            return nil
        }
    }

    deinit {
        try? links?.close()
    }

    mutating func send(
        _ frame: borrowing NetFrame, _ token: ChainToken, _ receive: inout ReceiveQueue?,
        _ ring: inout NetRing
    ) throws(NetFault) -> NetSending {
        guard !isGone else { return .rejected }
        guard underWayCount < Self.rowCount else { return .full }
        let row = (firstRow &+ underWayCount) % Self.rowCount
        let place = memory.hostRange(
            offset: row * Self.rowByteCount, byteCount: Self.rowByteCount)
        // SAFETY: self keeps the memory, and the ring ends before self does.
        unsafe place.storeTwelve(frame.header.words)
        let isPrepared =
            frame.byteCount <= Self.rowByteCount - NetHeader.byteCount
            ? prepareCopy(frame, row, place, &ring) : prepareList(frame, row, place, &ring)
        guard isPrepared else { return .full }
        rows[row] = TapWrite(token: token, byteCount: frame.byteCount)
        underWayCount += 1
        return .underWay
    }

    /// Prepares to write a short frame, from a copy.
    @inline(__always)
    private mutating func prepareCopy(
        _ frame: borrowing NetFrame, _ row: Int, _ place: HostRange, _ ring: inout NetRing
    ) -> Bool {
        var rest = place.dropFirst(NetHeader.byteCount)
        for part in 0..<frame.parts.count {
            // SAFETY: the transmit queue keeps the memory of the frame, self that of the copy.
            unsafe rest.copy(from: frame.parts[part], byteCount: frame.parts[part].byteCount)
            rest = rest.dropFirst(frame.parts[part].byteCount)
        }
        return ring.ring.prepare(
            .write, place.prefix(NetHeader.byteCount + frame.byteCount), file: file,
            fileOffset: .max, buffer: buffer, tag: NetTag(.write, row).rawValue)
    }

    /// Prepares to write a frame from where it is, behind its header.
    private mutating func prepareList(
        _ frame: borrowing NetFrame, _ row: Int, _ place: HostRange, _ ring: inout NetRing
    ) -> Bool {
        var list = vectors.emptyList(inRow: row)
        var hasRoom = vectors.append(place.prefix(NetHeader.byteCount), to: &list)
        for part in 0..<frame.parts.count where hasRoom {
            hasRoom = vectors.append(frame.parts[part], to: &list)
        }
        precondition(hasRoom, "a row has room for a header and all parts of a frame")
        return ring.ring.prepareVectored(
            .write, list, of: vectors, file: file, fileOffset: .max, buffer: nil,
            tag: NetTag(.write, row).rawValue)
    }

    mutating func turn(
        _ transmit: inout TransmitQueue?, _ receive: inout ReceiveQueue?, _ ring: inout NetRing
    ) throws(NetFault) -> Int {
        if links != nil, ring.takeWake(.link) { followLink() }
        if state.version != version { followState() }
        var count = finishWrites(&transmit)
        if receive != nil {
            count += try deliver(&receive)
            if receive?.isHoldingBack == false, receive?.isReady == true { count += read(&ring) }
        }
        return count
    }

    mutating func note(_ completion: RingCompletion) {
        let tag = NetTag(rawValue: completion.tag)
        switch tag.purpose {
        case .write: rows[tag.index].result = completion.result
        case .read: reads.note(tag.index, completion.result)
        case .wake, .cancellation: break
        }
        // EBADFD: the interface was deleted, and only this descriptor is left of it.
        if completion.result == -Self.goneErrno, !isGone {
            isGone = true
            if device.noteLoss() {
                logger.error("TAP device \(device.name) is gone: frames go nowhere from now on")
            }
            followLink()
        }
    }

    private static let goneErrno: Int32 = 77

    /// Gives back the buffers of frames that were written, in the order in which they were taken.
    private mutating func finishWrites(_ transmit: inout TransmitQueue?) -> Int {
        var count = 0
        while underWayCount > 0, let result = rows[firstRow].result {
            transmit?.finish(
                rows[firstRow].token, byteCount: result >= 0 ? rows[firstRow].byteCount : nil)
            firstRow = (firstRow + 1) % Self.rowCount
            underWayCount -= 1
            count += 1
        }
        return count
    }

    /// Takes in the state of the interface.
    private func followLink() {
        let (isGone, device) = (isGone, device)
        state.followLink { !isGone && device.isUp }
    }

    var hasOperations: Bool { underWayCount > 0 || reads.isWaiting }

    mutating func end(_ ring: inout NetRing) {
        device.setQueue(index, isUsed: false)
        reads.cancel(&ring)
    }
}

/// A frame that is being written.
struct TapWrite {
    var token = ChainToken()
    var byteCount = 0
    /// What the kernel said, once it has.
    var result: Int32?
}
