import BasicContainers
import SharedMemory
import SystemPackage
import Uring
import Virtqueue

/// Reads of a TAP device, and the frames that they have brought and that nobody has taken yet.
struct TapReads: ~Copyable {
    private let memory: HostMemory
    /// Where in the memory slots begin.
    private let offset: Int
    private let buffer: FixedBuffer?
    private var free: RigidArray<Int>
    /// Slots with frames and their lengths, in a circle; the oldest at `firstFull`.
    private var full: RigidArray<(slot: Int, byteCount: Int)>
    private var firstFull = 0
    private(set) var fullCount = 0

    /// The slot of the read that waits, if one does.
    private var waiting: Int?
    /// How many reads are under way that do not wait.
    private var nowCount = 0
    /// Whether the last reads have found nothing more.
    private var isEmpty = true
    /// How many reads the next burst is of: more after each that found a frame for every one, since a read
    /// that finds none costs a fraction of a microsecond, too.
    private var burstCount = 1
    /// Whether the kernel can read without waiting.
    private var canReadNow = true

    /// How many frames are read at once, and wait here at most.
    static let slotCount = 32
    /// Room for a header and the longest frame, in whole pages.
    static let slotByteCount =
        (NetHeader.byteCount + EthernetFrame.byteCountMax + 4095) / 4096 * 4096

    /// How much memory that takes.
    static let byteCount = slotCount * slotByteCount

    /// - Parameters:
    ///   - offset: where in the memory there is room for ``byteCount`` bytes.
    ///   - buffer: the memory, where the kernel has it registered.
    init(_ memory: HostMemory, at offset: Int, buffer: FixedBuffer?) {
        self.memory = memory
        self.offset = offset
        self.buffer = buffer
        var free = RigidArray<Int>(capacity: Self.slotCount)
        var full = RigidArray<(slot: Int, byteCount: Int)>(capacity: Self.slotCount)
        for slot in (0..<Self.slotCount).reversed() {
            free.append(slot)
            full.append((0, 0))
        }
        self.free = free
        self.full = full
    }

    var isWaiting: Bool { waiting != nil || nowCount > 0 }

    /// Prepares reads where none is under way.
    ///
    /// - Returns: how many were prepared that end at once.
    mutating func prepare(_ file: FixedFile, _ ring: inout NetRing) -> Int {
        guard waiting == nil, nowCount == 0 else { return 0 }
        guard !isEmpty, canReadNow else {
            wait(file, &ring)
            return 0
        }
        isEmpty = false
        while nowCount < burstCount, let slot = free.popLast() {
            guard
                ring.ring.prepareReadNow(
                    range(slot), file: file, buffer: buffer, tag: NetTag(.read, slot).rawValue)
            else {
                free.append(slot)
                break
            }
            nowCount += 1
        }
        burstCount = min(2 * burstCount, Self.slotCount)
        return nowCount
    }

    private mutating func wait(_ file: FixedFile, _ ring: inout NetRing) {
        guard let slot = free.popLast() else { return }
        if ring.ring.prepare(
            .read, range(slot), file: file, fileOffset: .max, buffer: buffer,
            tag: NetTag(.read, slot).rawValue)
        {
            waiting = slot
        } else {
            free.append(slot)
        }
    }

    /// Takes in the end of a read. The kernel does them one after another, and says so in that order.
    mutating func note(_ slot: Int, _ result: Int32) {
        if waiting == slot { waiting = nil } else { nowCount -= 1 }
        if result >= NetHeader.byteCount {
            full[(firstFull + fullCount) % Self.slotCount] = (slot, Int(result))
            fullCount += 1
            isEmpty = false
            return
        }
        free.append(slot)
        isEmpty = true
        burstCount = 1
        if result == -Errno.notSupportedOnSocket.rawValue || result == -Errno.notSupported.rawValue
        {
            canReadNow = false
        }
    }

    /// The oldest frame, with its header before it.
    var first: HostRange {
        range(full[firstFull].slot).prefix(full[firstFull].byteCount)
    }

    mutating func removeFirst() {
        free.append(full[firstFull].slot)
        firstFull = (firstFull + 1) % Self.slotCount
        fullCount -= 1
    }

    /// Forgets all frames.
    ///
    /// - Returns: how many there were.
    mutating func removeAll() -> Int {
        let count = fullCount
        while fullCount > 0 { removeFirst() }
        return count
    }

    /// Ends the read that waits, as soon as the ring is entered.
    mutating func cancel(_ ring: inout NetRing) {
        guard let waiting else { return }
        _ = ring.ring.prepareCancel(
            tag: NetTag(.read, waiting).rawValue, ownTag: NetTag(.cancellation, waiting).rawValue)
    }

    private func range(_ slot: Int) -> HostRange {
        memory.hostRange(
            offset: offset + slot * Self.slotByteCount, byteCount: Self.slotByteCount)
    }
}
