import SharedMemory
import SystemPackage
import Uring

/// What a pair's thread waits in: completions of its port's operations, and events.
///
/// **Threading.** Belongs to the thread that made it.
struct NetRing: ~Copyable {
    var ring: Ring
    private var watches: EventWatches

    /// - Parameter entryCount: how many operations can be prepared at once, besides those for events.
    init(entryCount: Int) throws(SystemCallError) {
        let count = NetWake.allCases.count
        // A netlink socket gives messages, of which the start is enough.
        let watches = try EventWatches(
            count: count, byteCountMax: 4096, tag: NetTag(.wake, 0).rawValue,
            cancellationTag: NetTag(.cancellation, 0).rawValue)
        ring = try Ring(entryCount: entryCount + 2 * count)
        self.watches = watches
    }

    /// Wakes the thread when an event comes, until ``endWatch(_:)``.
    mutating func watch(_ descriptor: FileDescriptor, as wake: NetWake) {
        watches.begin(wake.rawValue, descriptor, in: &ring)
    }

    /// Begins to stop watching; ``isWatching(_:)`` says when that is over.
    mutating func endWatch(_ wake: NetWake) {
        watches.end(wake.rawValue, in: &ring)
    }

    func isWatching(_ wake: NetWake) -> Bool { watches.isWatching(wake.rawValue) }

    /// Whether the thread was woken for something; then it watches for it again.
    @inline(__always)
    mutating func takeWake(_ wake: NetWake) -> Bool {
        watches.take(wake.rawValue, in: &ring)
    }

    /// Takes the end of an operation of the port, if there is one; events are kept for
    /// ``takeWake(_:)``.
    @inline(__always)
    mutating func nextCompletion() -> RingCompletion? {
        while let completion = ring.nextCompletion() {
            let tag = NetTag(rawValue: completion.tag)
            switch tag.purpose {
            case .wake: watches.note(tag.index, completion)
            case .cancellation: break
            case .read, .write: return completion
            }
        }
        return nil
    }

    /// Hands over what was prepared, if anything was, and waits.
    ///
    /// - Parameter count: for how many ends; 0 not to wait.
    mutating func enter(minimumCompletionCount count: Int) throws(NetFault) {
        do throws(SystemCallError) {
            try ring.submitAndWait(minimumCompletionCount: count)
        } catch {
            throw .system(error)
        }
    }

    /// Hands over what was prepared, and waits for one end, for a time at most.
    mutating func enter(timeoutNanoseconds: Int64) throws(NetFault) {
        do throws(SystemCallError) {
            try ring.submitAndWait(
                minimumCompletionCount: 1, timeoutNanoseconds: timeoutNanoseconds)
        } catch {
            throw .system(error)
        }
    }
}

/// What a pair's thread can be woken for besides its port's operations.
enum NetWake: Int, CaseIterable {
    /// The driver has kicked, by queue.
    case receiveKick
    case transmitKick
    case controlKick
    /// The control plane wants something.
    case request
    /// The state of a link has changed.
    case link
}

/// How operations of a pair's ring are told apart.
struct NetTag: RawRepresentable {
    let rawValue: UInt64

    enum Purpose: UInt8 {
        case wake
        case cancellation
        case read
        case write
    }

    init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    init(_ purpose: Purpose, _ index: Int) {
        rawValue = UInt64(purpose.rawValue) << 32 | UInt64(UInt32(truncatingIfNeeded: index))
    }

    // No other purpose is ever made.
    var purpose: Purpose {
        Purpose(rawValue: UInt8(truncatingIfNeeded: rawValue >> 32)) ?? .cancellation
    }
    var index: Int { Int(UInt32(truncatingIfNeeded: rawValue)) }
}
