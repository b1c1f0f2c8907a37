import SharedMemory
import Uring

/// A closed loop, whatever it drives.
///
/// Its closures are made where the types are known, so what they call is specialised for them; a
/// protocol's methods would not be.
final class PathLoop {
    /// What is known of the ring, where it is in this process.
    struct Facts {
        var usesFixedBuffers = false
        var registrationRefusal: SystemCallError?
        var ringFlagNames: [String] = []
    }

    typealias Run = (
        BlockCase, inout GuestBuffers, inout RequestSource, _ seconds: Double
    ) throws -> RoundSample

    let facts: Facts
    let run: Run
    let perform: (RequestSource.Request) throws -> Void
    private let takeLatencies: () -> LatencyHistogram
    private let resetLoop: () -> Void
    private let disconnectLoop: () -> Void

    @inline(__always)
    init<Target: BlockTarget & ~Copyable>(
        _ target: consuming Target, rowCount: Int, facts: Facts = Facts()
    ) {
        self.facts = facts
        let box = LoopBox(ClosedLoop(target, rowCount: rowCount))
        run = { plan, buffers, source, seconds in
            try box.loop.run(
                plan, buffers: &buffers, source: &source, seconds: seconds)
        }
        perform = { try box.loop.perform($0) }
        takeLatencies = { box.loop.latencies }
        resetLoop = { box.loop.reset() }
        disconnectLoop = { box.loop.disconnect() }
    }

    /// Latencies of all rounds since the last ``reset()``.
    var latencies: LatencyHistogram { takeLatencies() }

    func reset() { resetLoop() }

    /// Leaves the backend to others, until the next request.
    func disconnect() { disconnectLoop() }
}

/// Holds a closed loop in place.
private final class LoopBox<Target: BlockTarget & ~Copyable> {
    var loop: ClosedLoop<Target>

    init(_ loop: consuming ClosedLoop<Target>) {
        self.loop = loop
    }
}
