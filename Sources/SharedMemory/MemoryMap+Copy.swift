import CCopy
import Glibc

/// Copies between guest memory and one other memory, across region borders.
///
/// These are the copies of a bounce: `memory` is the window, the map is the driver's private
/// memory. The slots of a pool are in cache more often than not, a guest's buffer seldom, so the
/// copy out fetches its target's lines ahead of its stores (`CCopy.h`).
extension MemoryMap {
    /// Copies a range of guest memory into `memory` at `offset`.
    ///
    /// - Returns: false, with an undefined part copied, where a byte of the range is outside the
    ///   map.
    /// - Precondition: `memory` has room for the range at `offset`.
    public func copy(_ range: GuestRange, into memory: HostMemory, at offset: Int) -> Bool {
        memory.check(offset, range.byteCount)
        return forEachRun(of: range) { guest, done in
            // SAFETY: the map translated `guest`, the other side was checked above, and this map
            // keeps both alive; a racing peer can tear the bytes, nothing else.
            unsafe memcpy(memory.base + (offset + done), guest.pointer, guest.byteCount)
        }
    }

    /// Copies `memory` at `offset` into a range of guest memory.
    ///
    /// - Returns: false, with an undefined part copied, where a byte of the range is outside the
    ///   map.
    /// - Precondition: the range is no longer than `memory` after `offset`.
    public func copy(from memory: HostMemory, at offset: Int, to range: GuestRange) -> Bool {
        memory.check(offset, range.byteCount)
        return forEachRun(of: range) { guest, done in
            // SAFETY: as above, the other way.
            unsafe ccopy_into_cold(guest.pointer, memory.base + (offset + done), guest.byteCount)
        }
    }

    /// Calls `body` with each translated part of a range and the number of bytes before it.
    @inline(__always)
    private func forEachRun(of range: GuestRange, _ body: (HostRange, _ done: Int) -> Void) -> Bool
    {
        var done = 0
        while done < range.byteCount {
            let rest = range.slice(offset: done, byteCount: range.byteCount - done)
            guard let run = translatePrefix(of: rest) else { return false }
            body(run.hostRange, done)
            done += run.hostRange.byteCount
        }
        return true
    }
}

extension HostRange {
    /// The address as a pointer. Only this module may look through a range.
    var pointer: UnsafeMutableRawPointer {
        // SAFETY: the range was made from a live mapping, which the map at hand keeps alive; an
        // address of a mapping is never zero.
        unsafe UnsafeMutableRawPointer(bitPattern: UInt(address)).unsafelyUnwrapped
    }
}
