import CUring
public import SharedMemory

// What a device needs that gives something to read now and then, such as a TAP.
extension Ring {
    /// Prepares a read of what there is: it ends with `EAGAIN` instead of waiting (`RWF_NOWAIT`).
    ///
    /// - Parameters:
    ///   - buffer: the registered buffer that the whole range lies in, or `nil` for memory that is not
    ///     registered.
    /// - Returns: false where no entry is free.
    public mutating func prepareReadNow(
        _ range: HostRange, file: FixedFile, buffer: FixedBuffer?, tag: UInt64
    ) -> Bool {
        let operation = buffer != nil ? IORING_OP_READ_FIXED : IORING_OP_READ
        return enqueue(
            UInt8(operation.rawValue), file: file, offset: .max, address: range.address,
            length: UInt32(clamping: range.byteCount),
            operationFlags: UInt32(curing_rwf_nowait), buffer: buffer, tag: tag)
    }
}
