import Glibc
public import SystemPackage

/// A file that has no name any more and is gone with the object.
public final class TemporaryFile {
    public let descriptor: FileDescriptor

    /// - Parameter bytes: what the file holds at first.
    public init(_ bytes: [UInt8] = []) throws {
        let name = "/tmp/bounce-test-\(getpid())-\(UInt64.random(in: .min ... .max))"
        descriptor = try FileDescriptor.open(
            FilePath(name), .readWrite, options: [.create, .exclusiveCreate, .closeOnExec],
            permissions: .ownerReadWrite)
        // SAFETY: the string lives for the call.
        unsafe unlink(name)
        if !bytes.isEmpty { try descriptor.writeAll(bytes) }
    }

    deinit {
        try? descriptor.close()
    }

    /// Opens the file once more; the caller closes the result.
    public func reopened(_ mode: FileDescriptor.AccessMode) throws -> FileDescriptor {
        try FileDescriptor.open(
            FilePath("/proc/self/fd/\(descriptor.rawValue)"), mode, options: .closeOnExec)
    }

    /// The whole contents.
    public func contents() throws -> [UInt8] {
        let count = Int(try descriptor.seek(offset: 0, from: .end))
        let descriptor = descriptor
        return try unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            initialized = try unsafe descriptor.read(
                fromAbsoluteOffset: 0, into: UnsafeMutableRawBufferPointer(buffer))
        }
    }
}

/// Whether `number` is a descriptor of the same file as `file`: false once it was closed, even
/// where another test got the number since.
public func isDescriptor(_ number: Int32, of file: FileDescriptor) -> Bool {
    var left = stat()
    var right = stat()
    // SAFETY: both structures outlive the calls.
    guard unsafe fstat(number, &left) == 0, unsafe fstat(file.rawValue, &right) == 0 else {
        return false
    }
    return left.st_dev == right.st_dev && left.st_ino == right.st_ino
}
