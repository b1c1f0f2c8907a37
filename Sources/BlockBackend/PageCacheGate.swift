import BasicContainers
import SharedMemory
import Synchronization

/// Keeps direct writes and what goes through the page cache apart in time, for all the engines of a
/// storage.
///
/// The page cache works in blocks. A write of one sector through it reads the block around it and
/// writes all of it back later, which would undo a direct write to another sector of that block in
/// between. A read through it beside a direct write leaves old bytes in the cache, which a block
/// device does not throw out when an asynchronous direct write ends. Nothing forbids a driver to
/// have both under way, so the backend keeps them apart: a direct write waits while anything
/// misaligned is under way, something misaligned while a direct write is, first come, first served.
/// Requests of one kind do not wait for each other, and direct reads for nothing.
///
/// One word counts what is under way of each kind, and says whether an engine waits. A request adds
/// itself and sees in what was there before whether it may pass. One that may not takes itself out
/// again under the lock, and its engine joins the queue, in which it is once at most, with the kind
/// of the first of its requests that wait (``GateQueue``). Whoever changes what the queue waits for
/// serves it: it counts a request for the first engine, as long as that fits, and signals its event.
///
/// **Orderings** (labels as in `Models/gate.pml`). Nearly all is decided by read-modify-writes of the
/// one word, of which each sees all those before it.
/// P1: who leaves counts down and sees in the result whether somebody waits and nothing is left.
/// P2: who begins to wait sets the bit, takes its own count out, and then looks what is left. One of
/// the two sees the other and serves, so nobody waits for what is over.
/// P3: who leaves releases, who passes acquires: what one completed is before what the other submits.
/// P4: while the bit is set nobody passes but who is served, so serving may first look and then
/// count; the addition that counts the last one clears the bit.
///
/// **Threading.** Any thread. **Cost.** An addition to enter and a subtraction to leave, while nobody
/// waits; the lock and a system call for who waits. Nothing is allocated after ``register()``.
final class PageCacheGate: Sendable {
    /// What is kept apart from the other kind.
    enum Kind: Sendable {
        /// A write by the direct descriptor.
        case direct
        /// A transfer through the page cache.
        case misaligned

        /// One request of this kind, in the word.
        @inline(__always)
        var unit: UInt64 { self == .direct ? 1 : 1 << countBitCount }

        /// The bits of the word that count the other kind.
        @inline(__always)
        fileprivate var otherMask: UInt64 {
            self == .direct ? countMax << countBitCount : countMax
        }
    }

    /// As many engines, each with as many requests as a ring takes, do not overflow a count.
    static let engineCountMax = 4096

    private static let countBitCount: UInt64 = 28
    private static let countMax: UInt64 = 1 << countBitCount - 1
    /// Set while the queue is not empty. Changed under the lock.
    private static let waitingBit: UInt64 = 1 << (2 * countBitCount)

    private let leadingPad = InlineArray<16, UInt64>(repeating: 0)
    /// From the lowest bit: direct writes, misaligned requests, ``waitingBit``.
    private let word = Atomic<UInt64>(0)
    private let trailingPad = InlineArray<16, UInt64>(repeating: 0)
    private let queue = Mutex(Queue())

    private struct Queue: ~Copyable {
        var engineCount = 0
        /// First come, first served. Has room for every engine. Not an array, which is copied when it is
        /// changed wherever the compiler keeps a second reference.
        var tickets = UniqueArray<Ticket>()
    }

    /// An engine that waits, known by its event.
    private struct Ticket {
        let event: EventDescriptor
        let kind: Kind
    }

    /// Whether nothing is under way and nobody waits.
    var isQuiet: Bool { word.load(ordering: .acquiring) == 0 }

    /// Makes room for one more engine.
    func register() {
        queue.withLock { queue in
            precondition(queue.engineCount < Self.engineCountMax, "there are too many engines")
            queue.engineCount += 1
            queue.tickets.reserveCapacity(queue.engineCount)
        }
    }

    /// Gives up the room of an engine, which does not wait.
    func unregister() {
        queue.withLock { $0.engineCount -= 1 }
    }

    /// Counts a request.
    ///
    /// - Returns: whether it passes. Else ``wait(_:event:)``.
    @inline(__always)
    func enter(_ kind: Kind) -> Bool {
        // P3: pairs with `leave`.
        let before = word.wrappingAdd(kind.unit, ordering: .acquiringAndReleasing).oldValue
        return before & (kind.otherMask | Self.waitingBit) == 0
    }

    /// Takes requests out that are over: as many ``Kind/unit``s of one kind.
    ///
    /// - Returns: whether others wait for just that. Then ``serve(for:)``.
    @inline(__always)
    func leave(_ units: UInt64) -> Bool {
        // P1, P3: pairs with `enter`, `wait` and `serve`.
        let after = word.wrappingSubtract(units, ordering: .acquiringAndReleasing).newValue
        // Where a count is left, the last one to go serves, be it over or in vain.
        return after == Self.waitingBit
    }

    /// Counts one more request of an engine that has one of this kind under way, whoever waits.
    @inline(__always)
    func join(_ kind: Kind) {
        // Nothing to order: the request before it was ordered by passing.
        word.wrappingAdd(kind.unit, ordering: .relaxed)
    }

    /// Takes an engine out that waits, or that was served and does not know it: it is destroyed.
    func withdraw(_ kind: Kind, event: EventDescriptor) {
        queue.withLock { queue in
            var index = 0
            while index < queue.tickets.count, queue.tickets[index].event !== event { index += 1 }
            if index < queue.tickets.count {
                _ = queue.tickets.remove(at: index)
                if queue.tickets.isEmpty {
                    word.bitwiseAnd(~Self.waitingBit, ordering: .acquiringAndReleasing)
                }
            } else {
                word.wrappingSubtract(kind.unit, ordering: .acquiringAndReleasing)
            }
            // Others may have waited behind it, or for it.
            _ = serve(&queue, for: event)
        }
    }

    /// Puts an engine into the queue, in which it is not yet, with a request counted in vain.
    ///
    /// - Parameter event: the engine's, which is signalled when the request is under way after all.
    /// - Returns: whether it is now.
    func wait(_ kind: Kind, event: EventDescriptor) -> Bool {
        queue.withLock { queue in
            queue.tickets.append(Ticket(event: event, kind: kind))
            // P2: the bit, then the count, then the look in `serve`; pairs with `leave`.
            if queue.tickets.count == 1 {
                word.bitwiseOr(Self.waitingBit, ordering: .acquiringAndReleasing)
            }
            word.wrappingSubtract(kind.unit, ordering: .acquiringAndReleasing)
            // What it waited for may be over, and others may have waited for its count.
            return serve(&queue, for: event)
        }
    }

    /// Lets the first ones of the queue pass, as long as they may.
    ///
    /// - Returns: whether the engine of `event` was one of them. It is not signalled.
    func serve(for event: EventDescriptor) -> Bool {
        queue.withLock { serve(&$0, for: event) }
    }

    private func serve(_ queue: inout Queue, for event: EventDescriptor) -> Bool {
        var isServed = false
        while !queue.tickets.isEmpty {
            let ticket = queue.tickets[0]
            // P3, P4: pairs with `leave`.
            guard word.load(ordering: .acquiring) & ticket.kind.otherMask == 0 else { break }
            _ = queue.tickets.remove(at: 0)
            let last = queue.tickets.isEmpty ? Self.waitingBit : 0
            // P4: in one go, or a request could come between.
            word.wrappingAdd(ticket.kind.unit &- last, ordering: .acquiringAndReleasing)
            if ticket.event === event { isServed = true } else { ticket.event.signal() }
        }
        return isServed
    }
}
