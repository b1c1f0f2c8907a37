import SharedMemory
import SystemPackage
import Uring

/// What an engine's thread can be woken for besides the ends of requests.
enum EngineWake: Int, CaseIterable {
    /// The driver of the queue that the engine serves has kicked.
    case kick
    /// The control plane wants something.
    case control
}

/// Reads of events that are under way in an engine's ring.
struct EngineWakes {
    private var descriptors: [FileDescriptor?]
    private var isArmed: [Bool]
    private var isWoken: [Bool]
    /// Where the kernel puts the events' counts, in which nobody is interested.
    private let counts: HostMemory

    init() throws(SystemCallError) {
        let count = EngineWake.allCases.count
        descriptors = Array(repeating: nil, count: count)
        isArmed = Array(repeating: false, count: count)
        isWoken = Array(repeating: false, count: count)
        counts = try .anonymous(byteCount: count * EventDescriptor.byteCount)
    }

    mutating func watch(_ descriptor: FileDescriptor, as wake: EngineWake, in ring: inout Ring) {
        descriptors[wake.rawValue] = descriptor
        arm(wake, in: &ring)
    }

    private mutating func arm(_ wake: EngineWake, in ring: inout Ring) {
        guard let descriptor = descriptors[wake.rawValue] else { return }
        let isPrepared = ring.prepareRead(
            of: descriptor,
            into: counts.hostRange(
                offset: wake.rawValue * EventDescriptor.byteCount,
                byteCount: EventDescriptor.byteCount),
            tag: RingTag(.wake, index: wake.rawValue).rawValue)
        precondition(isPrepared, "the ring has an entry for it")
        isArmed[wake.rawValue] = true
    }

    /// Takes in the end of a read.
    mutating func note(_ index: Int, _ completion: RingCompletion) {
        isArmed[index] = false
        if completion.result != -Errno.canceled.rawValue { isWoken[index] = true }
    }

    /// Whether the thread was woken for something; then it watches for it again.
    @inline(__always)
    mutating func take(_ wake: EngineWake, in ring: inout Ring) -> Bool {
        guard isWoken[wake.rawValue] else { return false }
        isWoken[wake.rawValue] = false
        arm(wake, in: &ring)
        return true
    }

    /// Whether a read is under way.
    var isWatching: Bool { isArmed.contains(true) }

    /// Ends all reads, as soon as the ring is entered.
    mutating func cancel(in ring: inout Ring) {
        for index in isArmed.indices where isArmed[index] {
            let isPrepared = ring.prepareCancel(
                tag: RingTag(.wake, index: index).rawValue,
                ownTag: RingTag(.cancellation, index: index).rawValue)
            precondition(isPrepared, "the ring has an entry for it")
        }
        descriptors = descriptors.map { _ in nil }
    }
}

extension BlockEngine {
    /// Makes ``submitAndWait(minimumCompletionCount:)`` return when an event is signalled.
    ///
    /// - Parameter descriptor: an eventfd, open until ``endWatches()``.
    mutating func watch(_ descriptor: FileDescriptor, as wake: EngineWake) {
        wakes.watch(descriptor, as: wake, in: &ring)
    }

    /// Whether an event was signalled since this was asked last.
    @inline(__always)
    mutating func takeWake(_ wake: EngineWake) -> Bool {
        wakes.take(wake, in: &ring)
    }

    /// Stops watching; called before the engine is destroyed, with no request under way. What was
    /// signalled before, and so taken from the event, can still be asked for.
    mutating func endWatches() {
        wakes.cancel(in: &ring)
        while wakes.isWatching {
            guard (try? ring.submitAndWait(minimumCompletionCount: 1)) != nil else { return }
            while nextCompletion() != nil {}
        }
    }

    /// Takes in the end of an operation that is no request.
    mutating func noteOther(_ tag: RingTag, _ completion: RingCompletion) {
        switch tag.purpose {
        case .gate: gateEventEnded(completion)
        case .wake: wakes.note(tag.index, completion)
        case .cancellation, .request: break
        }
    }

    /// Whether ``nextCompletion()`` may have something.
    var hasCompletion: Bool { !settled.isEmpty || ring.hasCompletion }

    /// Whether it may have something after a submission that does not wait.
    var mayHaveCompletion: Bool { !settled.isEmpty || ring.mayHaveCompletion }
}
