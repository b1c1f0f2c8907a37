import SharedMemory
import Uring

/// An engine's place at the ``PageCacheGate`` of its storage: the requests that wait there, in order,
/// and how many have passed.
///
/// The gate knows of the first one only. When it is that one's turn, those of its kind that follow
/// it pass with it; the next one of the other kind then waits for the engine's next turn, behind the
/// other engines. So a turn is as long as an engine has requests, at most.
///
/// **Threading.** The engine's. The gate signals ``event`` from another thread, once a turn, unless
/// the turn began in a call of this engine.
struct GateQueue: ~Copyable {
    /// Signalled by other engines: ``beginTurn()``. `nil` where there is no gate.
    let event: EventDescriptor?

    private let gate: PageCacheGate?
    private var waiting = TransferQueue()
    /// What has passed and is not over, in the gate's units.
    private var passedUnits: UInt64 = 0
    /// Whether the first request that waits has been counted by the gate already.
    private var isFirstCounted = false
    /// The kind whose requests may pass now; not `nil` only between two calls of
    /// ``nextAdmitted(of:)``.
    private var turn: PageCacheGate.Kind?

    /// - Parameter gate: `nil` where all requests pass.
    init(_ gate: PageCacheGate?) throws(SystemCallError) {
        event = gate == nil ? nil : try EventDescriptor()
        self.gate = gate
        gate?.register()
    }

    /// Leaves the gate with all that has passed: whatever that was, it is over.
    deinit {
        guard let gate, let event else { return }
        if passedUnits > 0, gate.leave(passedUnits) { _ = gate.serve(for: event) }
        gate.unregister()
    }

    /// Whether a request waits, and the event is going to be signalled.
    var isWaiting: Bool { !waiting.isEmpty }

    // What is hot touches the gate's word only: passing the gate or the event on would count their
    // references, which costs more than the gate.

    /// Lets a request pass, or queues it.
    @inline(__always)
    mutating func enter(_ row: Int, of table: inout TransferTable) -> Bool {
        let kind = table[row].gateKind
        guard waiting.isEmpty, gate?.enter(kind) != false else {
            return wait(row, of: &table)
        }
        passedUnits += kind.unit
        return true
    }

    @inline(never)
    private mutating func wait(_ row: Int, of table: inout TransferTable) -> Bool {
        let kind = table[row].gateKind
        if waiting.isEmpty, let gate, let event, gate.wait(kind, event: event) {
            passedUnits += kind.unit
            return true
        }
        waiting.append(row, of: &table)
        return false
    }

    /// Notes that a request which had passed is over. Others may pass now: ``nextAdmitted(of:)``.
    @inline(__always)
    mutating func leave(_ transfer: borrowing Transfer) {
        let unit = transfer.gateKind.unit
        passedUnits -= unit
        if gate?.leave(unit) == true { serve() }
    }

    @inline(never)
    private mutating func serve() {
        if let gate, let event, gate.serve(for: event) { isFirstCounted = true }
    }

    /// Notes that the event was signalled. Others may pass now: ``nextAdmitted(of:)``.
    mutating func beginTurn() {
        precondition(isWaiting, "only who waits is signalled")
        isFirstCounted = true
    }

    /// The next queued request that may pass now, which then has. To be called until `nil`.
    @inline(__always)
    mutating func nextAdmitted(of table: inout TransferTable) -> Int? {
        isFirstCounted || turn != nil ? admit(of: &table) : nil
    }

    @inline(never)
    private mutating func admit(of table: inout TransferTable) -> Int? {
        guard let gate, let event, let row = waiting.first else {
            turn = nil
            return nil
        }
        let kind = table[row].gateKind
        if isFirstCounted {
            isFirstCounted = false
        } else if turn == kind {
            gate.join(kind)
        } else if !gate.enter(kind), !gate.wait(kind, event: event) {
            turn = nil
            return nil
        }
        turn = kind
        passedUnits += kind.unit
        return waiting.removeFirst(of: &table)
    }

    /// Takes the engine out of the gate's queue: it is being destroyed, and what waits never runs.
    func withdraw(_ table: borrowing TransferTable) {
        guard let gate, let event, let row = waiting.first else { return }
        gate.withdraw(table[row].gateKind, event: event)
    }
}

extension Transfer {
    var gateKind: PageCacheGate.Kind { isMisaligned ? .misaligned : .direct }
}
