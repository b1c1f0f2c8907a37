import CUring
public import SharedMemory
public import SystemPackage

/// Which way a transfer goes: `read` from the file into memory, `write` from memory into the file.
public enum TransferDirection: Sendable {
    case read
    case write
}

// Each method fills one submission entry and returns false where none is free: submit, then try
// again. `tag` comes back with the completion.
extension Ring {
    /// Prepares a transfer between a file and one range of memory.
    ///
    /// - Parameter buffer: the registered buffer that the whole range lies in, or `nil` for memory
    ///   that is not registered.
    public mutating func prepare(
        _ direction: TransferDirection, _ range: HostRange, file: FixedFile, fileOffset: UInt64,
        buffer: FixedBuffer?, tag: UInt64
    ) -> Bool {
        let fixed = buffer != nil
        let operation =
            switch direction {
            case .read: fixed ? IORING_OP_READ_FIXED : IORING_OP_READ
            case .write: fixed ? IORING_OP_WRITE_FIXED : IORING_OP_WRITE
            }
        return enqueue(
            UInt8(operation.rawValue), file: file, offset: fileOffset, address: range.address,
            length: UInt32(clamping: range.byteCount), buffer: buffer, tag: tag)
    }

    /// Prepares a transfer between a file and a list of ranges, in the order of the list.
    ///
    /// - Parameter buffer: the registered buffer that all ranges lie in, where
    ///   ``supportsVectoredFixedBuffers``; else `nil`.
    public mutating func prepareVectored(
        _ direction: TransferDirection, _ list: IOVectors.List, of vectors: IOVectors,
        file: FixedFile, fileOffset: UInt64, buffer: FixedBuffer?, tag: UInt64
    ) -> Bool {
        let fixed = buffer != nil
        let operation: UInt32 =
            switch direction {
            case .read: fixed ? UInt32(curing_op_readv_fixed) : IORING_OP_READV.rawValue
            case .write: fixed ? UInt32(curing_op_writev_fixed) : IORING_OP_WRITEV.rawValue
            }
        // SAFETY: only the numeric value is used; `vectors` outlives the operation (see IOVectors).
        let address = unsafe UInt64(UInt(bitPattern: vectors.pointer(to: list)))
        return enqueue(
            UInt8(operation), file: file, offset: fileOffset, address: address,
            length: UInt32(list.count), buffer: buffer, tag: tag)
    }

    /// Prepares `fdatasync(2)`, or `fsync(2)` where metadata counts too.
    public mutating func prepareSync(file: FixedFile, dataOnly: Bool, tag: UInt64) -> Bool {
        enqueue(
            UInt8(IORING_OP_FSYNC.rawValue), file: file, offset: 0, address: 0, length: 0,
            operationFlags: dataOnly ? IORING_FSYNC_DATASYNC : 0, tag: tag)
    }

    /// Prepares `fallocate(2)` with a mode of `FALLOC_FL_*`.
    public mutating func prepareAllocate(
        file: FixedFile, mode: Int32, fileOffset: UInt64, byteCount: UInt64, tag: UInt64
    ) -> Bool {
        // The kernel takes the length in the address field and the mode in the length field.
        enqueue(
            UInt8(IORING_OP_FALLOCATE.rawValue), file: file, offset: fileOffset,
            address: byteCount, length: UInt32(bitPattern: mode), tag: tag)
    }

    /// Prepares `read(2)` of a descriptor that is not registered, from its current position: of an
    /// eventfd, a pipe or a socket.
    ///
    /// The read ends when there is something to be read, or by ``prepareCancel(tag:ownTag:)``. An
    /// eventfd gives 8 bytes, its count in the byte order of the host, and has a count of 0 then.
    ///
    /// - Parameters:
    ///   - descriptor: stays open until the operation was submitted. With `O_NONBLOCK`, the read may
    ///     end with `EAGAIN` instead of waiting: that depends on the file and on the kernel (an
    ///     eventfd's waits on Linux 6.18).
    ///   - range: at least 8 bytes for an eventfd, which says `EINVAL` otherwise.
    public mutating func prepareRead(
        of descriptor: FileDescriptor, into range: HostRange, tag: UInt64
    ) -> Bool {
        // An offset of -1 is the current position, which is all that such a file has.
        enqueue(
            UInt8(IORING_OP_READ.rawValue), descriptor: descriptor.rawValue, flags: 0,
            offset: .max, address: range.address, length: UInt32(clamping: range.byteCount),
            tag: tag)
    }

    /// Prepares the end of an operation that was prepared before with `tag`; of one of them, where
    /// there are several.
    ///
    /// Both operations complete, in any order: that one with `-ECANCELED`, or with its own result
    /// where it was over or too far; this one, under `ownTag`, with 0, with `-ENOENT` where there is
    /// no such operation, or with `-EALREADY` where it can no longer be stopped.
    public mutating func prepareCancel(tag: UInt64, ownTag: UInt64) -> Bool {
        // The kernel takes the tag in the address field.
        enqueue(
            UInt8(IORING_OP_ASYNC_CANCEL.rawValue), descriptor: -1, flags: 0, offset: 0,
            address: tag, length: 0, tag: ownTag)
    }

    mutating func enqueue(
        _ operation: UInt8, file: FixedFile, offset: UInt64, address: UInt64, length: UInt32,
        operationFlags: UInt32 = 0, buffer: FixedBuffer? = nil, tag: UInt64
    ) -> Bool {
        enqueue(
            operation, descriptor: file.index, flags: UInt8(curing_sqe_fixed_file), offset: offset,
            address: address, length: length, operationFlags: operationFlags, buffer: buffer,
            tag: tag)
    }

    @inline(__always)
    private mutating func enqueue(
        _ operation: UInt8, descriptor: Int32, flags: UInt8, offset: UInt64, address: UInt64,
        length: UInt32, operationFlags: UInt32 = 0, buffer: FixedBuffer? = nil, tag: UInt64
    ) -> Bool {
        // SAFETY: liburing returns a free entry of the ring, which belongs to this thread until the
        // next submission. Every field is written: entries are reused as they are.
        guard let entry = unsafe io_uring_get_sqe(ring) else { return false }
        unsafe entry.pointee = liburing_sqe()
        unsafe entry.pointee.opcode = operation
        unsafe entry.pointee.flags = flags
        unsafe entry.pointee.fd = descriptor
        unsafe entry.pointee.off = offset
        unsafe entry.pointee.addr = address
        unsafe entry.pointee.len = length
        unsafe entry.pointee.fsync_flags = operationFlags
        unsafe entry.pointee.buf_index = buffer?.index ?? 0
        unsafe entry.pointee.user_data = tag
        return true
    }
}
