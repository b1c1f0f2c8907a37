public import BasicContainers
public import SharedMemory
public import SwiotlbPool

/// Buffers in as few mappings as their mapper makes of them: all of them, or none.
///
/// **Cost.** Allocates when it is made, and never again.
public struct BufferMappings: ~Copyable {
    @usableFromInline var mappings: RigidArray<DMAMapping>

    /// - Parameter countMax: the most mappings.
    @inlinable
    public init(countMax: Int) {
        mappings = RigidArray(capacity: countMax)
    }

    /// Maps a buffer, behind those that are mapped already.
    ///
    /// - Parameter parts: where the mappings are for the device is added, in order.
    /// - Throws: why the mapper refuses, or `tooLarge` where it makes more mappings than there is room
    ///   for. Nothing is mapped then, of no buffer; what was added to `parts` means nothing.
    @inlinable
    public mutating func map<Mapper: DMAMapper & ~Copyable>(
        _ buffer: GuestRange, _ direction: DMADirection, by mapper: inout Mapper,
        parts: inout RigidArray<GuestRange>
    ) throws(MapRefusal) {
        var done = 0
        while done < buffer.byteCount {
            let count = min(buffer.byteCount - done, mapper.maximumMappingByteCount)
            do throws(MapRefusal) {
                guard !mappings.isFull else { throw .tooLarge(maximumByteCount: byteCount) }
                let mapping = try mapper.map(
                    buffer.slice(offset: done, byteCount: count), direction)
                parts.append(mapping.deviceRange)
                mappings.append(mapping)
            } catch {
                unmap(usedByteCount: 0, by: &mapper)
                throw error
            }
            done += count
        }
    }

    /// How many bytes are mapped, of all buffers.
    @inlinable
    var byteCount: Int {
        var sum = 0
        for index in 0..<mappings.count { sum += mappings[index].byteCount }
        return sum
    }

    /// Ends all mappings.
    ///
    /// - Parameter usedByteCount: how many bytes the device says it wrote, from the start of the first
    ///   buffer.
    @inlinable
    public mutating func unmap<Mapper: DMAMapper & ~Copyable>(
        usedByteCount: Int, by mapper: inout Mapper
    ) {
        // The last mapping first: what it has of the bytes is what those before it leave.
        var before = byteCount
        while !mappings.isEmpty {
            let mapping = mappings.removeLast()
            before -= mapping.byteCount
            mapper.unmap(mapping, usedByteCount: max(usedByteCount - before, 0))
        }
    }
}
