/// Which guest-physical addresses a party may touch, and where they are in this process.
///
/// A backend's map is all it sees of a guest: with direct access it covers guest memory, with
/// bouncing the window alone. Immutable, so any thread may use a copy of it; replace it to change
/// it. It keeps the memories of its regions alive.
public struct MemoryMap: Sendable {
    /// A range of guest-physical addresses that a part of a ``HostMemory`` backs.
    public struct Region: Sendable {
        public let guestAddress: GuestAddress
        public let byteCount: Int
        public let memory: HostMemory
        /// Where the region begins in ``memory``, in bytes.
        public let memoryOffset: Int

        /// - Parameter byteCount: the length, or `nil` for all of `memory` after `memoryOffset`.
        /// - Precondition: the part lies inside `memory`.
        public init(
            guestAddress: GuestAddress, memory: HostMemory, memoryOffset: Int = 0,
            byteCount: Int? = nil
        ) {
            let byteCount = byteCount ?? memory.byteCount - memoryOffset
            memory.check(memoryOffset, byteCount)
            self.guestAddress = guestAddress
            self.byteCount = byteCount
            self.memory = memory
            self.memoryOffset = memoryOffset
        }
    }

    /// Why a list of regions is no memory map.
    public enum Fault: Error, Equatable {
        /// Region `index` is empty or runs past the end of the address space.
        case invalidRegion(index: Int)
        /// Two regions claim the same addresses.
        case overlap
    }

    /// A translated range: as much as lies in one region.
    public struct Run: Sendable {
        public let hostRange: HostRange
        /// Which of ``MemoryMap/regions`` it lies in.
        public let regionIndex: Int
        /// How far into that region it begins, in bytes.
        public let regionOffset: Int

        @usableFromInline
        init(hostRange: HostRange, regionIndex: Int, regionOffset: Int) {
            self.hostRange = hostRange
            self.regionIndex = regionIndex
            self.regionOffset = regionOffset
        }
    }

    /// The regions, by ascending address.
    public let regions: [Region]

    /// The same, without references to count, for the look-up.
    private let extents: [Extent]
    /// The two longest of them, where most of what is looked for lies: no search is needed there.
    @usableFromInline let longest: Extent
    @usableFromInline let second: Extent

    @usableFromInline struct Extent: Sendable {
        /// Of ``MemoryMap/regions``.
        @usableFromInline let index: Int
        @usableFromInline let start: UInt64
        @usableFromInline let byteCount: UInt64
        @usableFromInline let host: HostRange

        /// How far into the extent a range begins, if all of it lies inside.
        ///
        /// Nothing here can overflow, however hostile the range: a subtraction that wraps yields an
        /// offset beyond any extent.
        @inlinable @inline(__always)
        func offset(of range: GuestRange) -> UInt64? {
            let offset = range.address.rawValue &- start
            guard offset < byteCount, UInt64(range.byteCount) <= byteCount &- offset else {
                return nil
            }
            return offset
        }

        /// As much of a range as lies in the extent.
        @inlinable @inline(__always)
        func run(at offset: UInt64, byteCount: Int) -> Run {
            Run(
                hostRange: host.dropFirst(Int(offset)).prefix(byteCount), regionIndex: index,
                regionOffset: Int(offset))
        }
    }

    /// - Parameter regions: in any order; they must not overlap.
    public init(_ regions: [Region]) throws(Fault) {
        for (index, region) in regions.enumerated() {
            let (end, overflow) = region.guestAddress.rawValue
                .addingReportingOverflow(UInt64(region.byteCount))
            guard region.byteCount > 0, !overflow || end == 0 else {
                throw .invalidRegion(index: index)
            }
        }
        let sorted = regions.sorted { $0.guestAddress < $1.guestAddress }
        for (region, next) in zip(sorted, sorted.dropFirst())
        where next.guestAddress.rawValue - region.guestAddress.rawValue < UInt64(region.byteCount) {
            throw .overlap
        }
        self.regions = sorted
        extents = sorted.enumerated().map { index, region in
            Extent(
                index: index, start: region.guestAddress.rawValue,
                byteCount: UInt64(region.byteCount),
                host: region.memory.hostRange(
                    offset: region.memoryOffset, byteCount: region.byteCount))
        }
        let byLength = extents.sorted { $0.byteCount > $1.byteCount }
        let none = Extent(index: 0, start: 0, byteCount: 0, host: .empty)
        longest = byLength.first ?? none
        second = byLength.dropFirst().first ?? none
    }

    /// A map of one region, which is all of `memory`.
    ///
    /// - Precondition: the region does not run past the end of the address space.
    public init(_ memory: HostMemory, at guestAddress: GuestAddress) {
        do {
            try self.init([Region(guestAddress: guestAddress, memory: memory)])
        } catch {
            preconditionFailure("the region does not fit into the address space")
        }
    }

    /// How many bytes there are in all regions.
    public var byteCount: Int { regions.reduce(0) { $0 + $1.byteCount } }

    /// Whether a peer has cut short one of the memories (``HostMemory/isLost``).
    ///
    /// - Complexity: O(n); ask when ``HostMemory/lossCount`` has changed.
    public var isLost: Bool { regions.contains { $0.memory.isLost } }

    /// Translates a range that lies in one region.
    ///
    /// - Returns: `nil` where a byte of it is outside, or it crosses from one region into another.
    /// - Complexity: O(log n) of the number of regions; no allocation.
    @inlinable
    public func translate(_ range: GuestRange) -> Run? {
        guard let run = translatePrefix(of: range), run.hostRange.byteCount == range.byteCount
        else {
            return nil
        }
        return run
    }

    /// Translates as much of a range as lies in the region where it begins.
    ///
    /// A range that crosses regions is translated part by part: ask again for what is left.
    ///
    /// - Returns: `nil` where the first byte is outside, or the range runs past the end of the
    ///   address space. The result has at least one byte, unless the range has none.
    /// - Complexity: O(log n) of the number of regions; no allocation.
    @inlinable
    public func translatePrefix(of range: GuestRange) -> Run? {
        if let offset = longest.offset(of: range) {
            return longest.run(at: offset, byteCount: range.byteCount)
        }
        if let offset = second.offset(of: range) {
            return second.run(at: offset, byteCount: range.byteCount)
        }
        return search(range)
    }

    @usableFromInline
    func search(_ range: GuestRange) -> Run? {
        // A range that runs past the last address, and would go on at the first, lies in no map.
        let (end, overflow) = range.address.rawValue.addingReportingOverflow(
            UInt64(range.byteCount))
        guard !overflow || end == 0 else { return nil }
        var low = 0
        var high = extents.count
        while low < high {
            let middle = (low + high) / 2
            if extents[middle].start <= range.address.rawValue {
                low = middle + 1
            } else {
                high = middle
            }
        }
        guard low > 0 else { return nil }
        let extent = extents[low - 1]
        let offset = range.address.rawValue - extent.start
        guard offset < extent.byteCount else { return nil }
        return extent.run(at: offset, byteCount: range.byteCount)
    }

    /// Whether every byte of a range may be touched, across as many regions as it takes.
    ///
    /// - Complexity: O(k log n) of the k regions it touches among n.
    @inlinable @inline(__always)
    public func contains(_ range: GuestRange) -> Bool {
        longest.offset(of: range) != nil || second.offset(of: range) != nil
            || containsAcrossRegions(range)
    }

    @usableFromInline @inline(never)
    func containsAcrossRegions(_ range: GuestRange) -> Bool {
        var rest = range
        repeat {
            guard let run = translatePrefix(of: rest) else { return false }
            let count = run.hostRange.byteCount
            rest = rest.slice(offset: count, byteCount: rest.byteCount - count)
        } while rest.byteCount > 0
        return true
    }
}
