public import Synchronization

/// A word that a peer may write at any time: a ring index, a flag, a field of a descriptor.
///
/// `UInt8`, `UInt16`, `UInt32` and `UInt64` are words. The requirements are the hook by which
/// ``HostMemory`` reaches their atomics, which the standard library does not offer to generic code.
public protocol SharedWord: FixedWidthInteger, AtomicRepresentable, BitwiseCopyable, Sendable {
    @unsafe static func _load(_ word: UnsafePointer<Atomic<Self>>, acquiring: Bool) -> Self
    @unsafe static func _store(_ value: Self, _ word: UnsafePointer<Atomic<Self>>, releasing: Bool)
}

extension UInt8: SharedWord {
    @inlinable @inline(__always)
    public static func _load(_ word: UnsafePointer<Atomic<Self>>, acquiring: Bool) -> Self {
        // SAFETY: the caller vouches for the pointer. Acquiring pairs with the peer's
        // store-release.
        unsafe acquiring
            ? word.pointee.load(ordering: .acquiring) : word.pointee.load(ordering: .relaxed)
    }

    @inlinable @inline(__always)
    public static func _store(_ value: Self, _ word: UnsafePointer<Atomic<Self>>, releasing: Bool) {
        // SAFETY: the caller vouches for the pointer. Releasing pairs with the peer's load-acquire.
        unsafe releasing
            ? word.pointee.store(value, ordering: .releasing)
            : word.pointee.store(value, ordering: .relaxed)
    }
}

extension UInt16: SharedWord {
    @inlinable @inline(__always)
    public static func _load(_ word: UnsafePointer<Atomic<Self>>, acquiring: Bool) -> Self {
        // SAFETY: the caller vouches for the pointer. Acquiring pairs with the peer's
        // store-release.
        unsafe acquiring
            ? word.pointee.load(ordering: .acquiring) : word.pointee.load(ordering: .relaxed)
    }

    @inlinable @inline(__always)
    public static func _store(_ value: Self, _ word: UnsafePointer<Atomic<Self>>, releasing: Bool) {
        // SAFETY: the caller vouches for the pointer. Releasing pairs with the peer's load-acquire.
        unsafe releasing
            ? word.pointee.store(value, ordering: .releasing)
            : word.pointee.store(value, ordering: .relaxed)
    }
}

extension UInt32: SharedWord {
    @inlinable @inline(__always)
    public static func _load(_ word: UnsafePointer<Atomic<Self>>, acquiring: Bool) -> Self {
        // SAFETY: the caller vouches for the pointer. Acquiring pairs with the peer's
        // store-release.
        unsafe acquiring
            ? word.pointee.load(ordering: .acquiring) : word.pointee.load(ordering: .relaxed)
    }

    @inlinable @inline(__always)
    public static func _store(_ value: Self, _ word: UnsafePointer<Atomic<Self>>, releasing: Bool) {
        // SAFETY: the caller vouches for the pointer. Releasing pairs with the peer's load-acquire.
        unsafe releasing
            ? word.pointee.store(value, ordering: .releasing)
            : word.pointee.store(value, ordering: .relaxed)
    }
}

extension UInt64: SharedWord {
    @inlinable @inline(__always)
    public static func _load(_ word: UnsafePointer<Atomic<Self>>, acquiring: Bool) -> Self {
        // SAFETY: the caller vouches for the pointer. Acquiring pairs with the peer's
        // store-release.
        unsafe acquiring
            ? word.pointee.load(ordering: .acquiring) : word.pointee.load(ordering: .relaxed)
    }

    @inlinable @inline(__always)
    public static func _store(_ value: Self, _ word: UnsafePointer<Atomic<Self>>, releasing: Bool) {
        // SAFETY: the caller vouches for the pointer. Releasing pairs with the peer's load-acquire.
        unsafe releasing
            ? word.pointee.store(value, ordering: .releasing)
            : word.pointee.store(value, ordering: .relaxed)
    }
}
