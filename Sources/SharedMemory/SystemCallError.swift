public import SystemPackage

/// A system call that failed: which one, and why.
///
/// Every module of this package throws this type, typed, where the kernel refuses something.
public struct SystemCallError: Error, Equatable, CustomStringConvertible {
    /// The name of the call as in its manual page, such as `"mmap"`.
    public let operation: String
    /// The reason the kernel gave.
    public let errno: Errno

    public init(_ operation: String, _ errno: Errno) {
        self.operation = operation
        self.errno = errno
    }

    public var description: String { "\(operation): \(errno)" }
}
