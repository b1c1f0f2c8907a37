import Glibc
import SharedMemory
import Synchronization
import TestSupport
import Testing

@testable import SwiotlbPool

/// Tells threads to end when a time has passed.
final class Stopwatch: Sendable {
    private let end: ContinuousClock.Instant
    private let stopped = Atomic(false)

    init(_ time: Duration = .milliseconds(1500)) {
        end = .now + time * stressScale
    }

    // Relaxed: joining the threads orders everything else.
    var isOver: Bool { stopped.load(ordering: .relaxed) || ContinuousClock.now >= end }

    func stop() { stopped.store(true, ordering: .relaxed) }
}

/// The outcome of one reservation, for a thread that waits for it.
final class OutcomeBox: Sendable {
    private let outcome = Mutex<ReservationOutcome?>(nil)
    private let toldCount = Atomic(0)

    var body: @Sendable (ReservationOutcome) -> Void {
        { [self] outcome in
            self.outcome.withLock { $0 = outcome }
            // Releasing, and acquiring where it is read: the outcome is there once it is counted.
            toldCount.wrappingAdd(1, ordering: .releasing)
        }
    }

    /// Waits; `nil` where nobody tells for so long that nobody ever will.
    func wait() -> ReservationOutcome? {
        let end = ContinuousClock.now + .seconds(30)
        while toldCount.load(ordering: .acquiring) == 0 {
            if ContinuousClock.now > end { return nil }
            sched_yield()
        }
        if toldCount.load(ordering: .acquiring) != 1 { Issue.record("an outcome was told twice") }
        return outcome.withLock { $0.take() }
    }
}

extension PoolFixture {
    /// The bytes that the device sees in a range.
    func deviceBytes(_ range: GuestRange) -> [UInt8] {
        let (memory, offset) = place(range)
        return memory.bytes(at: offset, byteCount: range.byteCount)
    }

    /// Writes as the device does.
    func deviceFill(_ range: GuestRange, byteCount: Int, with value: UInt8) {
        let (memory, offset) = place(range)
        memory.fill(at: offset, byteCount: byteCount, with: value)
    }

    /// Where a range of the device is: in an extent that its slots keep.
    private func place(_ range: GuestRange) -> (HostMemory, Int) {
        guard let index = pool.extent(of: range.address), let memory = pool.memory(ofExtent: index)
        else { preconditionFailure("a mapping is in an extent that exists") }
        return (memory, Int(range.address.rawValue - pool.address(ofExtent: index).rawValue))
    }
}

extension [UInt8] {
    /// Whether all bytes are this one; fast in debug builds.
    func isUniform(_ value: UInt8) -> Bool {
        let model = ByteModel(byteCount: count)
        model.store([UInt8](repeating: value, count: count), at: 0)
        return model.matches(self)
    }

    /// Whether this byte is among them; fast in debug builds.
    func has(_ value: UInt8) -> Bool {
        unsafe withUnsafeBytes { bytes in
            guard let first = bytes.baseAddress else { return false }
            // SAFETY: the buffer has `count` bytes.
            return unsafe memchr(first, Int32(value), bytes.count) != nil
        }
    }
}
