import CCopy
import Glibc

/// Copies between guest memory and one other memory, across region borders.
///
/// These are the copies of a bounce: the other memory is the window, the map is the driver's private
/// memory. The slots of a pool are in cache more often than not, a guest's buffer seldom, so the
/// copy out fetches its target's lines ahead of its stores (`CCopy.h`).
///
/// They are unsafe in one respect: a ``HostRange`` does not keep its memory alive, so the caller
/// does.
extension MemoryMap {
    /// Copies a range of guest memory into `target`.
    ///
    /// - Returns: false, with an undefined part copied, where a byte of the range is outside the
    ///   map.
    /// - Precondition: `target` has room for the range.
    @unsafe public func copy(_ range: GuestRange, into target: HostRange) -> Bool {
        precondition(range.byteCount <= target.byteCount, "the target has room for the range")
        return forEachRun(of: range) { guest, done in
            // SAFETY: the map translated `guest` and keeps it alive; the other side was checked
            // above, and the caller keeps it; a racing peer can tear the bytes, nothing else.
            unsafe memcpy(target.pointer + done, guest.pointer, guest.byteCount)
        }
    }

    /// Copies `source` into a range of guest memory.
    ///
    /// - Returns: false, with an undefined part copied, where a byte of the range is outside the
    ///   map.
    /// - Precondition: the range is no longer than `source`.
    @unsafe public func copy(from source: HostRange, to range: GuestRange) -> Bool {
        precondition(range.byteCount <= source.byteCount, "the source has as much as the range")
        return forEachRun(of: range) { guest, done in
            // SAFETY: as above, the other way.
            unsafe ccopy_into_cold(guest.pointer, source.pointer + done, guest.byteCount)
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
    @inlinable var pointer: UnsafeMutableRawPointer {
        // SAFETY: the range was made from a live mapping, which the map at hand or the caller keeps
        // alive; an address of a mapping is never zero, and the empty range is never looked through.
        unsafe UnsafeMutableRawPointer(bitPattern: UInt(address)).unsafelyUnwrapped
    }
}
