public import Glibc
public import SystemPackage

extension HostMemory {
    /// Copies bytes from one memory to another.
    ///
    /// - Precondition: both parts lie inside their memories, and do not overlap where it is the
    ///   same one.
    /// - Complexity: one `memcpy(3)` of `byteCount` bytes.
    @inlinable
    public func copy(
        at offset: Int, from source: HostMemory, at sourceOffset: Int, byteCount: Int
    ) {
        check(offset, byteCount)
        source.check(sourceOffset, byteCount)
        // SAFETY: both ranges were checked; a racing peer can tear the bytes, nothing else.
        unsafe memcpy(base + offset, source.base + sourceOffset, byteCount)
    }

    /// Copies bytes out of the memory into an array: for set-up and tests, not for a data path.
    ///
    /// - Precondition: the part lies inside the memory.
    public func bytes(at offset: Int, byteCount: Int) -> [UInt8] {
        check(offset, byteCount)
        return unsafe [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
            // SAFETY: the part was checked, and the buffer has room for `byteCount` bytes.
            if let target = buffer.baseAddress, byteCount > 0 {
                unsafe memcpy(target, base + offset, byteCount)
            }
            count = byteCount
        }
    }

    /// Copies private values into the memory, as the bytes they are.
    ///
    /// - Precondition: the memory has room for them at `offset`.
    public func store<Value: BitwiseCopyable>(_ values: Span<Value>, at offset: Int) {
        check(offset, values.count * MemoryLayout<Value>.stride)
        unsafe values.withUnsafeBytes { source in
            // SAFETY: the part was checked, and the span holds as many bytes.
            if let first = source.baseAddress, source.count > 0 {
                unsafe memcpy(base + offset, first, source.count)
            }
        }
    }

    /// Sets a part of the memory to one value.
    ///
    /// - Precondition: the part lies inside the memory.
    public func fill(at offset: Int, byteCount: Int, with value: UInt8) {
        check(offset, byteCount)
        // SAFETY: the part was checked.
        unsafe memset(base + offset, Int32(value), byteCount)
    }

    /// Fills a part of the memory from a file, as `pread(2)` does, until it is full or the file
    /// ends.
    ///
    /// - Returns: the number of bytes read.
    /// - Throws: `SystemCallError` of `pread`.
    public func read(
        from file: FileDescriptor, atFileOffset fileOffset: Int64, offset: Int, byteCount: Int
    ) throws(SystemCallError) -> Int {
        try unsafe transfer("pread", offset: offset, byteCount: byteCount) { target, done in
            // SAFETY: `target` points at what is left of the checked part.
            unsafe pread(
                file.rawValue, target, byteCount - done, off_t(fileOffset) + off_t(done))
        }
    }

    /// Writes a part of the memory to a file, as `pwrite(2)` does, all of it or up to an error.
    ///
    /// - Returns: the number of bytes written, `byteCount`.
    /// - Throws: `SystemCallError` of `pwrite`.
    @discardableResult
    public func write(
        to file: FileDescriptor, atFileOffset fileOffset: Int64, offset: Int, byteCount: Int
    ) throws(SystemCallError) -> Int {
        try unsafe transfer("pwrite", offset: offset, byteCount: byteCount) { source, done in
            // SAFETY: `source` points at what is left of the checked part.
            unsafe pwrite(
                file.rawValue, source, byteCount - done, off_t(fileOffset) + off_t(done))
        }
    }

    /// Repeats a transfer until the part is done or nothing more comes.
    private func transfer(
        _ operation: String, offset: Int, byteCount: Int,
        _ step: (UnsafeMutableRawPointer, _ done: Int) -> Int
    ) throws(SystemCallError) -> Int {
        check(offset, byteCount)
        var done = 0
        while done < byteCount {
            // SAFETY: `offset + done` is inside the part that was checked.
            let count = unsafe step(base + offset + done, done)
            if count > 0 {
                done += count
            } else if count == 0 {
                break
            } else if Errno.current != .interrupted {
                throw SystemCallError(operation, .current)
            }
        }
        return done
    }
}
