import BasicContainers
import SharedMemory

/// No pool: plain `memcpy` between the guest's buffers and as many places of the window in turn as
/// mappings are live; or, where nothing is to be copied, nothing.
struct CopyUnderTest: ~Copyable, PoolUnderTest {
    /// Where the payload is in either memory; a length of 0 stands for none.
    private struct Cell {
        var guestOffset = 0
        var windowOffset = 0
        var byteCount = 0
    }

    private let guest: HostMemory
    private let window: HostMemory
    /// The thread's places, and those of them in use.
    private let share: Range<Int>
    private var places: Range<Int>
    private let spacing: Int
    private var place: Int
    private var cells: RigidArray<Cell>
    private var copiesIn = false
    private var copiesOut = false

    /// - Parameter thread: which of `threadCount` shares of the window the places are in.
    init(_ memories: Memories, thread: Int, threadCount: Int, byteCount: Int, cellCount: Int) {
        guest = memories.guest
        window = memories.window
        spacing = GuestBuffers.spacing(of: byteCount)
        let count = max(window.byteCount / threadCount / spacing, 1)
        let first = min(thread * count, window.byteCount / spacing - 1)
        share = first..<first + count
        places = share
        place = first
        cells = RigidArray(repeating: Cell(), count: cellCount)
    }

    mutating func prepare(for operation: PoolOperation, liveCount: Int) {
        copiesIn = operation.copiesIn
        copiesOut = operation.copiesOut
        places = share.prefix(max(liveCount, 1))
        place = places.lowerBound
    }

    @inline(__always)
    mutating func map(_ buffer: GuestRange, into cell: Int) -> Bool {
        place = place + 1 == places.upperBound ? places.lowerBound : place + 1
        let made = Cell(
            guestOffset: Int(buffer.address.rawValue - GuestBuffers.base.rawValue),
            windowOffset: place * spacing, byteCount: buffer.byteCount)
        if copiesIn {
            window.copy(
                at: made.windowOffset, from: guest, at: made.guestOffset,
                byteCount: made.byteCount)
        }
        cells[cell] = made
        return true
    }

    @inline(__always)
    mutating func unmap(_ cell: Int) {
        let ended = cells[cell]
        if copiesOut, ended.byteCount > 0 {
            guest.copy(
                at: ended.guestOffset, from: window, at: ended.windowOffset,
                byteCount: ended.byteCount)
        }
        cells[cell].byteCount = 0
    }
}
