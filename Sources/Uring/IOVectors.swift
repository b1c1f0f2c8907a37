import Glibc
public import SharedMemory

/// The scatter-gather lists of the operations under way: rows of `iovec`, one row an operation.
///
/// The kernel may read a list until the operation was submitted, so lists cannot live on the stack
/// of whoever prepares it. All rows are allocated at once; filling and advancing them allocates
/// nothing.
@safe public final class IOVectors {
    /// How many rows there are.
    public let rowCount: Int
    /// How many ranges a row has room for.
    public let rowCapacity: Int

    let vectors: UnsafeMutablePointer<iovec>

    public init(rowCount: Int, rowCapacity: Int) {
        precondition(rowCount > 0 && rowCapacity > 0 && rowCapacity <= IOVectors.rowCapacityMax)
        self.rowCount = rowCount
        self.rowCapacity = rowCapacity
        // SAFETY: all of the allocation is initialised here and given back in deinit.
        unsafe vectors = .allocate(capacity: rowCount * rowCapacity)
        unsafe vectors.initialize(repeating: iovec(), count: rowCount * rowCapacity)
    }

    deinit {
        // SAFETY: nothing else holds the pointer; an operation's list is read before its submission
        // returns, and whoever owns the ring owns the lists.
        unsafe vectors.deallocate()
    }

    /// The most ranges that the kernel takes in one operation (`IOV_MAX`).
    public static let rowCapacityMax = 1024

    /// One operation's list: the ranges `first ..< end` of a row.
    public struct List: Sendable {
        let row: Int
        var first: Int
        var end: Int

        /// How many ranges are left.
        public var count: Int { end - first }
    }

    /// An empty list in `row`, which must not be in use by an operation.
    public func emptyList(inRow row: Int) -> List {
        precondition(row >= 0 && row < rowCount, "the row exists")
        return List(row: row, first: 0, end: 0)
    }

    /// Appends a range to a list; one that begins where the last one ends makes that longer.
    ///
    /// - Returns: false where the row is full.
    public func append(_ range: HostRange, to list: inout List) -> Bool {
        if list.count > 0 {
            let last = unsafe self[list.row, list.end - 1]
            // SAFETY: only the numeric value of the pointer is used.
            let end = unsafe UInt64(UInt(bitPattern: last.iov_base)) + UInt64(last.iov_len)
            if end == range.address {
                unsafe self[list.row, list.end - 1].iov_len += range.byteCount
                return true
            }
        }
        guard list.end < rowCapacity else { return false }
        // SAFETY: a vector is an address and a length here; only the kernel looks through it.
        unsafe self[list.row, list.end] = unsafe iovec(
            iov_base: UnsafeMutableRawPointer(bitPattern: UInt(range.address)),
            iov_len: range.byteCount)
        list.end += 1
        return true
    }

    /// Takes the first `byteCount` bytes off a list, after a transfer that was cut short.
    ///
    /// - Precondition: the list has at least as many.
    public func dropFirst(_ byteCount: Int, from list: inout List) {
        var rest = byteCount
        while rest > 0 {
            precondition(list.first < list.end, "a list cannot lose more than it has")
            // SAFETY: as in `append`; the sum stays inside the range that the vector is of.
            let vector = unsafe self[list.row, list.first]
            if unsafe rest < vector.iov_len {
                unsafe self[list.row, list.first] = unsafe iovec(
                    iov_base: vector.iov_base + rest, iov_len: vector.iov_len - rest)
                return
            }
            unsafe rest -= vector.iov_len
            list.first += 1
        }
    }

    /// The address of a list's first vector.
    func pointer(to list: List) -> UnsafeMutablePointer<iovec> {
        // SAFETY: `emptyList` checked the row, `append` and `dropFirst` keep `first` inside it.
        unsafe vectors + (list.row * rowCapacity + list.first)
    }

    private subscript(row: Int, column: Int) -> iovec {
        // SAFETY: `emptyList` checked the row, the callers the column.
        get { unsafe vectors[row * rowCapacity + column] }
        set { unsafe vectors[row * rowCapacity + column] = newValue }
    }
}
