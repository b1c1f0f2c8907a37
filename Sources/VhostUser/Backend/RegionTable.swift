import SharedMemory
import SystemPackage
import Virtqueue

/// The memory that a frontend has given, by the addresses of both sides.
///
/// Immutable: a change makes a new one, so that what fails leaves all as it was.
struct RegionTable {
    private struct Entry {
        var description: RegionDescription
        var region: MemoryMap.Region
    }

    private let entries: [Entry]
    let memoryMap: MemoryMap

    /// How many regions there can be, when they come one by one: the most that others take.
    static let slotCount = 509

    /// A table without regions.
    static let empty: RegionTable = {
        do {
            return try RegionTable([])
        } catch {
            preconditionFailure("no regions are a memory map")
        }
    }()

    private init(_ entries: [Entry]) throws(RequestRefusal) {
        do {
            memoryMap = try MemoryMap(entries.map(\.region))
        } catch {
            throw .region(error)
        }
        self.entries = entries
    }

    /// The table of `SET_MEM_TABLE`.
    ///
    /// - Parameter descriptors: one for each region, in their order.
    init(
        _ descriptions: [RegionDescription], _ descriptors: inout ReceivedDescriptors
    ) throws(RequestRefusal) {
        var entries: [Entry] = []
        for (index, description) in descriptions.enumerated() {
            entries.append(try Self.map(description, index: index, &descriptors))
        }
        try self.init(entries)
    }

    /// The table with one region more (`ADD_MEM_REG`).
    func adding(
        _ description: RegionDescription, _ descriptors: inout ReceivedDescriptors
    ) throws(RequestRefusal) -> RegionTable {
        guard entries.count < Self.slotCount else { throw .noFreeSlot }
        let entry = try Self.map(description, index: entries.count, &descriptors)
        return try RegionTable(entries + [entry])
    }

    /// The table without a region (`REM_MEM_REG`), which its addresses and its length name.
    func removing(_ description: RegionDescription) throws(RequestRefusal) -> RegionTable {
        let index = entries.firstIndex {
            $0.description.guestAddress == description.guestAddress
                && $0.description.userAddress == description.userAddress
                && $0.description.byteCount == description.byteCount
        }
        guard let index else { throw .unknownRegion }
        var entries = entries
        entries.remove(at: index)
        return try RegionTable(entries)
    }

    /// The guest address of what is at a user address.
    func guestAddress(ofUserAddress address: UInt64) -> GuestAddress? {
        for entry in entries {
            // A difference that wraps is beyond any region.
            let offset = address &- entry.description.userAddress
            if offset < entry.description.byteCount {
                return GuestAddress(entry.description.guestAddress + offset)
            }
        }
        return nil
    }

    private static func map(
        _ description: RegionDescription, index: Int, _ descriptors: inout ReceivedDescriptors
    ) throws(RequestRefusal) -> Entry {
        guard let descriptor = descriptors.takeFirst() else {
            throw .system(SystemCallError("mmap", .badFileDescriptor))
        }
        let (_, guestOverflow) = description.guestAddress.addingReportingOverflow(
            description.byteCount)
        let (_, userOverflow) = description.userAddress.addingReportingOverflow(
            description.byteCount)
        guard description.byteCount > 0, !guestOverflow, !userOverflow else {
            try? descriptor.close()
            throw .region(.invalidRegion(index: index))
        }
        do {
            let (memory, offset) = try HostMemory.mapped(
                descriptor, around: description.mmapOffset, byteCount: description.byteCount)
            let region = MemoryMap.Region(
                guestAddress: GuestAddress(description.guestAddress), memory: memory,
                memoryOffset: offset, byteCount: Int(description.byteCount))
            return Entry(description: description, region: region)
        } catch {
            throw .system(error)
        }
    }
}
