public import SharedMemory
import SystemPackage
import Virtqueue

extension VhostUserFrontend {
    /// Gives the backend memory: all that it may touch from now on.
    ///
    /// User addresses are those of this process.
    ///
    /// - Throws: `tooManyRegions` where there are more than 8, and the backend does not take them one
    ///   by one, or not as many.
    /// - Precondition: each region has a descriptor behind it.
    public func setMemory(_ map: MemoryMap) throws(VhostUserError) {
        let tableCountMax = RegionDescription.tableCountMax
        if map.regions.count > tableCountMax {
            guard protocolFeatures.contains(.memorySlots) else {
                throw .tooManyRegions(maximum: tableCountMax)
            }
            let slotCount = try memorySlotCount()
            guard map.regions.count <= slotCount else { throw .tooManyRegions(maximum: slotCount) }
        }
        let table = map.regions.prefix(tableCountMax)
        try perform(
            .setMemoryTable(table.map(RegionDescription.init)), table.map(\.sharedDescriptor))
        for region in map.regions.dropFirst(tableCountMax) {
            try perform(.addRegion(RegionDescription(region)), [region.sharedDescriptor])
        }
        memoryMap = map
    }

    /// How many regions the backend takes one by one.
    public func memorySlotCount() throws(VhostUserError) -> Int {
        Int(clamping: try askForNumber(.getMemorySlotCount))
    }

    /// Gives the backend one region more.
    ///
    /// - Throws: `failed` where it does not take it.
    /// - Precondition: the region has a descriptor behind it, and overlaps no other.
    public func addRegion(_ region: MemoryMap.Region) throws(VhostUserError) {
        let map = map(of: (memoryMap?.regions ?? []) + [region])
        try perform(.addRegion(RegionDescription(region)), [region.sharedDescriptor])
        memoryMap = map
    }

    /// Takes a region away from the backend.
    ///
    /// - Precondition: it was given to it.
    public func removeRegion(_ region: MemoryMap.Region) throws(VhostUserError) {
        var regions = memoryMap?.regions ?? []
        let index = regions.firstIndex {
            $0.guestAddress == region.guestAddress && $0.byteCount == region.byteCount
        }
        guard let index else { preconditionFailure("the region was given to the backend") }
        regions.remove(at: index)
        let map = map(of: regions)
        try perform(.removeRegion(RegionDescription(region)))
        memoryMap = map
    }

    /// Gives the backend a log to note written pages in, from now on if `VirtioFeatures.logAll` is
    /// set.
    ///
    /// - Parameters:
    ///   - memory: the log; all zero.
    ///   - byteCount: its length: a bit for each page of 4096 bytes up to the last of the guest.
    /// - Precondition: it has a descriptor behind it, and is that long.
    public func setLog(_ memory: HostMemory, byteCount: Int) throws(VhostUserError) {
        precondition(byteCount <= memory.byteCount, "the log lies inside its memory")
        guard let descriptor = memory.fileDescriptor else {
            preconditionFailure("the log can be sent")
        }
        let log = LogDescription(
            byteCount: UInt64(byteCount), mmapOffset: UInt64(memory.fileOffset))
        let reply = try ask(.setLogBase(log), [descriptor])
        // Some backends answer with a number, some with nothing.
        guard reply.payload.allSatisfy({ $0 == 0 }) else { throw .failed(.setLogBase) }
    }

    private func map(of regions: [MemoryMap.Region]) -> MemoryMap {
        do {
            return try MemoryMap(regions)
        } catch {
            preconditionFailure("regions do not overlap")
        }
    }
}

extension RegionDescription {
    init(_ region: MemoryMap.Region) {
        let host = region.memory.hostRange(
            offset: region.memoryOffset, byteCount: region.byteCount)
        self.init(
            guestAddress: region.guestAddress.rawValue, byteCount: UInt64(region.byteCount),
            userAddress: host.address,
            mmapOffset: UInt64(region.memory.fileOffset + region.memoryOffset))
    }
}

extension MemoryMap.Region {
    /// What is behind the region, to be sent.
    var sharedDescriptor: FileDescriptor {
        guard let descriptor = memory.fileDescriptor else {
            preconditionFailure("private memory cannot be given to a backend")
        }
        return descriptor
    }
}
