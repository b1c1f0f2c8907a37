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

extension BlockEngine {
    /// Makes ``submitAndWait(minimumCompletionCount:)`` return when an event is signalled.
    ///
    /// - Parameter descriptor: an eventfd, open until ``endWatches()``.
    mutating func watch(_ descriptor: FileDescriptor, as wake: EngineWake) {
        wakes.begin(wake.rawValue, descriptor, in: &ring)
    }

    /// Whether an event was signalled since this was asked last.
    @inline(__always)
    mutating func takeWake(_ wake: EngineWake) -> Bool {
        wakes.take(wake.rawValue, in: &ring)
    }

    /// Stops watching; called before the engine is destroyed, with no request under way. What was
    /// signalled before, and so taken from the event, can still be asked for.
    mutating func endWatches() {
        for wake in EngineWake.allCases { wakes.end(wake.rawValue, in: &ring) }
        while EngineWake.allCases.contains(where: { wakes.isWatching($0.rawValue) }) {
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
