import SharedMemory
import SystemPackage
import Uring

/// What a pair's thread waits in: completions of its port's operations, and events.
///
/// **Threading.** Belongs to the thread that made it.
struct NetRing: ~Copyable {
    var ring: Ring
    private var descriptors: [FileDescriptor?]
    private var isArmed: [Bool]
    private var isWoken: [Bool]
    /// Where the kernel puts the events' counts, in which nobody is interested.
    private let counts: HostMemory

    /// - Parameter entryCount: how many operations can be prepared at once, besides those for events.
    init(entryCount: Int) throws(SystemCallError) {
        let count = NetWake.allCases.count
        // All that may throw first.
        let counts = try HostMemory.anonymous(byteCount: count * Self.countByteCount)
        ring = try Ring(entryCount: entryCount + 2 * count)
        self.counts = counts
        descriptors = Array(repeating: nil, count: count)
        isArmed = Array(repeating: false, count: count)
        isWoken = Array(repeating: false, count: count)
    }

    /// As long as anything that is watched gives at once: an eventfd 8 bytes, a netlink socket messages
    /// of which the start is enough.
    private static let countByteCount = 4096

    /// Wakes the thread when an event comes, until ``endWatch(_:)``.
    mutating func watch(_ descriptor: FileDescriptor, as wake: NetWake) {
        // Of what was watched before.
        isWoken[wake.rawValue] = false
        descriptors[wake.rawValue] = descriptor
        arm(wake)
    }

    /// Begins to stop watching; ``isWatching(_:)`` says when that is over, and no event is taken any more
    /// from whoever watches for it next.
    mutating func endWatch(_ wake: NetWake) {
        descriptors[wake.rawValue] = nil
        guard isArmed[wake.rawValue] else { return }
        _ = ring.prepareCancel(
            tag: NetTag(.wake, wake.rawValue).rawValue,
            ownTag: NetTag(.cancellation, wake.rawValue).rawValue)
    }

    func isWatching(_ wake: NetWake) -> Bool { isArmed[wake.rawValue] }

    /// Whether the thread was woken for something; then it watches for it again.
    mutating func takeWake(_ wake: NetWake) -> Bool {
        guard isWoken[wake.rawValue] else { return false }
        isWoken[wake.rawValue] = false
        arm(wake)
        return true
    }

    /// Takes the end of an operation of the port, if there is one; events are kept for
    /// ``takeWake(_:)``.
    @inline(__always)
    mutating func nextCompletion() -> RingCompletion? {
        while let completion = ring.nextCompletion() {
            let tag = NetTag(rawValue: completion.tag)
            switch tag.purpose {
            case .wake:
                isArmed[tag.index] = false
                if completion.result != -Errno.canceled.rawValue { isWoken[tag.index] = true }
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

    private mutating func arm(_ wake: NetWake) {
        guard let descriptor = descriptors[wake.rawValue] else { return }
        isArmed[wake.rawValue] = ring.prepareRead(
            of: descriptor,
            into: counts.hostRange(
                offset: wake.rawValue * Self.countByteCount, byteCount: Self.countByteCount),
            tag: NetTag(.wake, wake.rawValue).rawValue)
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
