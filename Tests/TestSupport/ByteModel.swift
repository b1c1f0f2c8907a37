import Glibc

/// Plain bytes that a test keeps beside a memory, to say what the memory must hold.
public final class ByteModel {
    private var bytes: [UInt8]

    public init(byteCount: Int) {
        bytes = [UInt8](repeating: 0, count: byteCount)
    }

    public func store(_ source: [UInt8], at offset: Int) {
        precondition(offset >= 0 && offset + source.count <= bytes.count)
        guard !source.isEmpty else { return }
        unsafe bytes.withUnsafeMutableBytes { target in
            unsafe source.withUnsafeBytes { source in
                // SAFETY: the model has room for the bytes at `offset`.
                unsafe (target.baseAddress! + offset).copyMemory(
                    from: source.baseAddress!, byteCount: source.count)
            }
        }
    }

    public func load(at offset: Int, byteCount: Int) -> [UInt8] {
        Array(bytes[offset..<offset + byteCount])
    }

    /// Whether the model has the same bytes at `offset`.
    public func matches(_ other: [UInt8], at offset: Int = 0) -> Bool {
        precondition(offset >= 0 && offset + other.count <= bytes.count)
        guard !other.isEmpty else { return true }
        return unsafe bytes.withUnsafeBytes { own in
            unsafe other.withUnsafeBytes { other in
                // SAFETY: both sides have `other.count` bytes.
                unsafe memcmp(own.baseAddress! + offset, other.baseAddress!, other.count) == 0
            }
        }
    }
}
