import CLinux
import Glibc
import SharedMemory
import SystemPackage
import Uring
import Virtqueue

/// One request under way, from its admission to its completion: what is left of it, and what a
/// result of the kernel means for it.
///
/// A request is one operation of the ring at a time. Most need just one; a transfer cut short goes
/// on where it stopped, and zeroes that the storage cannot make are written from memory.
struct Transfer {
    /// The operation that comes next.
    enum Step: Equatable {
        case read
        case write
        case sync
        case discard
        case allocateZeroes(mayUnmap: Bool)
        /// Zeroes written from the engine's zero memory, piece by piece.
        case writeZeroes
    }

    /// What a result means.
    enum Outcome: Equatable {
        /// Prepare the same step again for what is left.
        case goOn
        case done(BlockStatus, Errno?)
    }

    var tag: UInt64
    var step: Step
    /// Where the request begins in the storage, in bytes.
    var fileOffset: UInt64
    /// Its length in bytes.
    var byteCount: Int
    /// How many of them are done.
    var doneByteCount = 0
    /// Whether it goes through the storage's second descriptor, because direct I/O does not take
    /// it.
    var isMisaligned = false
    /// What progress is rounded down to, so that what is left can go directly too.
    var granule = 1
    /// The payload where it is one range.
    var range: HostRange?
    /// The payload where it is more than one range.
    var list: IOVectors.List?
    /// The registered buffer that the whole payload lies in.
    var buffer: FixedBuffer?
    /// How often in a row the kernel made no progress.
    var idleCount = 0
    /// The end of a request that has ended without the ring.
    var settledStatus: BlockStatus?
    /// What the kernel said of it, if it was asked.
    var settledErrno: Errno?
    /// The next request of the queue that this one waits in.
    var next: Int?

    /// How often in a row the kernel may make no progress before the request fails.
    static let idleCountMax = 1000

    var changesStorage: Bool {
        switch step {
        case .read, .sync: false
        case .write, .discard, .allocateZeroes, .writeZeroes: true
        }
    }

    /// Whether ``PageCacheGate`` has a say in when it goes to the kernel.
    var passesGate: Bool { changesStorage || isMisaligned }

    /// Bytes written into the payload.
    var writtenByteCount: Int { step == .read ? doneByteCount : 0 }

    /// Forgets a payload that came with a request which has none.
    mutating func dropPayload() {
        (range, list, buffer, byteCount, isMisaligned) = (nil, nil, nil, 0, false)
    }

    /// Takes in the result of the operation that was prepared last.
    mutating func advance(_ result: Int32, vectors: IOVectors) -> Outcome {
        if result < 0 { return failed(Errno(rawValue: -result)) }
        switch step {
        case .sync, .discard, .allocateZeroes:
            doneByteCount = byteCount
            return .done(.ok, nil)
        case .read, .write, .writeZeroes:
            return progressed(Int(result), vectors: vectors)
        }
    }

    private mutating func progressed(_ count: Int, vectors: IOVectors) -> Outcome {
        let left = byteCount - doneByteCount
        guard count > 0 else {
            // A read within the size the storage had: it was cut short meanwhile.
            return step == .read ? .done(.ioError, nil) : idle(.ioError)
        }
        precondition(count <= left, "the kernel transfers no more than it was asked to")
        guard count < left else {
            doneByteCount = byteCount
            return .done(.ok, nil)
        }
        let kept = count & ~(granule - 1)
        guard kept > 0 else { return idle(.ioError) }
        doneByteCount += kept
        idleCount = 0
        range = range?.dropFirst(kept)
        if var rest = list {
            vectors.dropFirst(kept, from: &rest)
            list = rest
        }
        return .goOn
    }

    private mutating func failed(_ errno: Errno) -> Outcome {
        switch errno {
        case .interrupted, .resourceTemporarilyUnavailable:
            return idle(errno)
        case .notSupported, .invalidArgument:
            // The storage knows no way to make zeroes, or not in this range: write them.
            if case .allocateZeroes = step {
                step = .writeZeroes
                return .goOn
            }
            let isUnsupported = step == .discard && errno == .notSupported
            return .done(isUnsupported ? .unsupported : .ioError, errno)
        default:
            return .done(.ioError, errno)
        }
    }

    private mutating func idle(_ errno: Errno) -> Outcome {
        idleCount += 1
        return idleCount < Self.idleCountMax ? .goOn : .done(.ioError, errno)
    }
}
