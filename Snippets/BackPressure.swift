// How an event loop waits for slots: it never blocks on the pool; what becomes of a reservation
// reaches it as an event like any other.
// snippet.hide
import Dispatch
import Glibc
import SharedMemory
import SwiotlbPool
import Synchronization

// snippet.show
/// Events for a loop, put by any thread. (For a loop that polls descriptors, an `eventfd(2)` takes
/// the semaphore's place.)
final class Inbox<Event: Sendable>: Sendable {
    private let events = Mutex<[Event]>([])
    private let wakeUp = DispatchSemaphore(value: 0)

    func put(_ event: Event) {
        events.withLock { $0.append(event) }
        wakeUp.signal()
    }

    /// Waits for events, until a deadline.
    func wait(until deadline: ContinuousClock.Instant?) -> [Event] {
        let left = deadline.map { ContinuousClock.now.duration(to: $0) / .nanoseconds(1) }
        _ = wakeUp.wait(
            timeout: left.map { .now() + .nanoseconds(Int(max($0, 0))) } ?? .distantFuture)
        return events.withLock { events in
            defer { events = [] }
            return events
        }
    }
}

/// Maps as many buffers as there are, however few slots there are.
func eventLoop(
    _ pool: BouncePool, _ buffers: [GuestRange], submit: (MappingToken) -> Void
) throws {
    var mapper = try pool.makeMapper()
    let inbox = Inbox<ReservationOutcome>()
    var (atOnce, later, tooLate, waiting) = (0, 0, 0, 0)
    for buffer in buffers {
        do throws(MapRefusal) {
            submit(mapper.park(try mapper.map(buffer, .toDevice)))
            atOnce += 1
        } catch {
            guard error.isTemporary else { throw error }
            // Whoever frees the slots runs the closure, which only passes the word on.
            try pool.reserve(
                mapper.request(for: buffer, .toDevice), deadline: .now + .milliseconds(50)
            ) { inbox.put($0) }
            waiting += 1
        }
    }
    while waiting > 0 {
        // Nobody else watches the clock.
        for outcome in inbox.wait(until: pool.expireReservations()) {
            waiting -= 1
            switch outcome {
            case .granted(let reservation):
                submit(mapper.park(try mapper.map(reservation)))
                later += 1
            case .failed:
                tooLate += 1  // an error for whoever wanted it
            }
        }
    }
    print("mapped at once: \(atOnce), after a wait: \(later), gave up: \(tooLate)")
}

/// Plays a device that takes some milliseconds for each mapping, and a thread that handles its
/// completions with a mapper of its own.
func completeAll(_ pool: BouncePool, _ device: Inbox<MappingToken?>) throws {
    var mapper = try pool.makeMapper()
    while true {
        for token in device.wait(until: nil) {
            guard let token else { return }
            usleep(4000)
            mapper.unmap(try mapper.redeem(token))  // which serves who waits
        }
    }
}

func run() throws {
    let guest = try HostMemory.anonymous(byteCount: 4 << 20)
    let window = try HostMemory.window(byteCount: 256 << 10)  // four buffers' worth
    let pool = try BouncePool(
        window: window, at: GuestAddress(1 << 40),
        privateMemory: MemoryMap(guest, at: GuestAddress(0)))
    let buffers = (0..<40).map {
        GuestRange(address: GuestAddress(UInt64($0) << 16), byteCount: 64 << 10)
    }

    let device = Inbox<MappingToken?>()
    let isDone = DispatchSemaphore(value: 0)
    DispatchQueue.global().async {
        try? completeAll(pool, device)
        isDone.signal()
    }
    try eventLoop(pool, buffers) { device.put($0) }
    device.put(nil)
    isDone.wait()
    print("longest wait:", pool.statistics.longestWait)
    print("slots in use:", pool.statistics.usedSlotCount)
}
try run()
