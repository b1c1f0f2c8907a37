public import SharedMemory

/// What turns a driver's buffer into an address that the device may use.
///
/// Bouncing and direct access differ here and nowhere else: ``BounceMapper`` answers with slots of
/// the window, ``IdentityMapper`` with the buffer's own address. Code that is generic over the
/// mapper is the same for both.
///
/// The calls are those of Linux's DMA API and mean the same (`Documentation/core-api/dma-api.rst`):
/// after `map` the buffer belongs to the device until `unmap`, and a sync lends it to one side or
/// the other in between.
public protocol DMAMapper: ~Copyable {
    /// The longest buffer that one mapping takes, in bytes (`dma_max_mapping_size`).
    var maximumMappingByteCount: Int { get }

    /// Bytes that this mapper has copied so far, in and out: what bouncing has cost.
    var copiedByteCount: Int { get }

    /// Maps a buffer (`dma_map_single`), copying it in where the device is to read it.
    ///
    /// - Parameter buffer: at least one byte, at most ``maximumMappingByteCount``.
    mutating func map(
        _ buffer: GuestRange, _ direction: DMADirection
    ) throws(MapRefusal) -> DMAMapping

    /// Maps a buffer (`dma_map_single_attrs`), copying it in where the device is to read it.
    ///
    /// - Parameter buffer: at least one byte, at most ``maximumMappingByteCount``.
    mutating func map(
        _ buffer: GuestRange, _ direction: DMADirection, _ attributes: MapAttributes
    ) throws(MapRefusal) -> DMAMapping

    /// Makes what the driver wrote into a part of the buffer visible to the device
    /// (`dma_sync_single_for_device`). Nothing happens for a mapping from the device.
    ///
    /// - Precondition: the part lies inside the buffer.
    mutating func syncForDevice(_ mapping: borrowing DMAMapping, offset: Int, byteCount: Int)

    /// Makes what the device wrote into a part of the buffer visible to the driver
    /// (`dma_sync_single_for_cpu`). Nothing happens for a mapping to the device.
    ///
    /// - Precondition: the part lies inside the buffer.
    mutating func syncForCPU(_ mapping: borrowing DMAMapping, offset: Int, byteCount: Int)

    /// Ends a mapping (`dma_unmap_single`), copying out what the device wrote.
    ///
    /// - Parameter usedByteCount: as below.
    mutating func unmap(_ mapping: consuming DMAMapping, usedByteCount: Int)

    /// Ends a mapping (`dma_unmap_single_attrs`), copying out what the device wrote.
    ///
    /// - Parameter usedByteCount: how many bytes the device says it wrote, from the start of the
    ///   buffer. Bytes after them are left as they were, which is why a mapping from the device
    ///   needs no copy in. What more than the buffer holds means is the pool's ``CopyBackPolicy``.
    ///   Of no effect for a mapping to the device.
    mutating func unmap(
        _ mapping: consuming DMAMapping, usedByteCount: Int, _ attributes: MapAttributes)
}

extension DMAMapper where Self: ~Copyable {
    /// Ends a mapping of which the device has written, or may have written, every byte.
    @inlinable
    public mutating func unmap(_ mapping: consuming DMAMapping) {
        let byteCount = mapping.byteCount
        unmap(mapping, usedByteCount: byteCount)
    }
}
