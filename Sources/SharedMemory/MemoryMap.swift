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
    /// The first of them, which is the only one more often than not, where no search is needed.
    @usableFromInline let firstExtent: Extent

    @usableFromInline struct Extent: Sendable {
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
        extents = sorted.map {
            Extent(
                start: $0.guestAddress.rawValue, byteCount: UInt64($0.byteCount),
                host: $0.memory.hostRange(offset: $0.memoryOffset, byteCount: $0.byteCount))
        }
        firstExtent =
            extents.first
            ?? Extent(start: 0, byteCount: 0, host: HostRange(address: 0, byteCount: 0))
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

    /// Translates a range that lies in one region.
    ///
    /// - Returns: `nil` where a byte of it is outside, or it crosses from one region into another.
    /// - Complexity: O(log n) of the number of regions; no allocation.
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
        guard let offset = firstExtent.offset(of: range) else { return search(range) }
        return Run(
            hostRange: firstExtent.host.dropFirst(Int(offset)).prefix(range.byteCount),
            regionIndex: 0, regionOffset: Int(offset))
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
        return Run(
            hostRange: extent.host.dropFirst(Int(offset)).prefix(range.byteCount),
            regionIndex: low - 1, regionOffset: Int(offset))
    }

    /// Whether every byte of a range may be touched, across as many regions as it takes.
    ///
    /// - Complexity: O(k log n) of the k regions it touches among n.
    @inlinable @inline(__always)
    public func contains(_ range: GuestRange) -> Bool {
        firstExtent.offset(of: range) != nil || containsAcrossRegions(range)
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
