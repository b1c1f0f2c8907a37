import Glibc
import SharedMemory
import Synchronization
import SystemPackage
import TestSupport
import Testing
import Uring

@testable import BlockBackend

/// An engine as far as the gate knows it: its queue, and a table in which the rows named are
/// misaligned writes and the others direct ones.
private final class Engine {
    var table = TransferTable(capacity: 16)
    var queue: GateQueue
    /// What has passed and is not over, and what waits.
    var passed: [Int] = []
    var waiting: [Int] = []

    /// - Parameter blocks: whether ``signalCount()`` waits for a signal.
    init(_ gate: PageCacheGate, misaligned: Set<Int> = [], blocks: Bool = false) throws {
        queue = try GateQueue(gate)
        for row in 0..<16 {
            _ = table.takeRow()
            table[row].step = .write
            table[row].isMisaligned = misaligned.contains(row)
        }
        if blocks, let descriptor = queue.event?.fileDescriptor.rawValue {
            #expect(fcntl(descriptor, F_SETFL, 0) == 0)
        }
    }

    func enter(_ row: Int) -> Bool {
        let passes = queue.enter(row, of: &table)
        if passes { passed.append(row) } else { waiting.append(row) }
        return passes
    }

    /// - Returns: what passes instead.
    func leave(_ row: Int) -> [Int] {
        passed.removeAll { $0 == row }
        queue.leave(table[row])
        return admit()
    }

    /// Whether the event was signalled: how often, since it was asked last.
    func signalCount() -> Int {
        var bytes: [UInt8] = []
        if let descriptor = queue.event?.fileDescriptor {
            // SAFETY: the buffer lives for the call, and as many bytes are initialised as came.
            unsafe bytes = [UInt8](unsafeUninitializedCapacity: 8) { buffer, count in
                let bytes = UnsafeMutableRawBufferPointer(buffer)
                unsafe count = (try? descriptor.read(into: bytes)) ?? 0
            }
        }
        return Int(bytes.first ?? 0)
    }

    func wake() -> [Int] {
        queue.beginTurn()
        return admit()
    }

    private func admit() -> [Int] {
        var admitted: [Int] = []
        while let row = queue.nextAdmitted(of: &table) { admitted.append(row) }
        #expect(admitted == Array(waiting.prefix(admitted.count)), "first come, first served")
        waiting.removeFirst(admitted.count)
        passed += admitted
        return admitted
    }

    func isMisaligned(_ row: Int) -> Bool { table[row].isMisaligned }
}

@Suite struct PageCacheGateTests {
    let gate = PageCacheGate()

    @Test("Writes of one kind pass together, of all engines", arguments: [true, false])
    func oneKind(misaligned: Bool) throws {
        let engines = try (0..<3).map { _ in
            try Engine(gate, misaligned: misaligned ? Set(0..<16) : [])
        }
        for row in 0..<16 {
            for engine in engines { #expect(engine.enter(row)) }
        }
        for row in 0..<16 {
            for engine in engines { #expect(engine.leave(row) == []) }
        }
        #expect(gate.isQuiet)
        #expect(engines.allSatisfy { $0.signalCount() == 0 })
    }

    @Test("Where there is no gate all passes, and there is no event")
    func noGate() throws {
        var queue = try GateQueue(nil)
        var table = TransferTable(capacity: 2)
        table[1].isMisaligned = true
        let passes = [queue.enter(0, of: &table), queue.enter(1, of: &table)]
        #expect(passes == [true, true])
        queue.leave(table[0])
        queue.leave(table[1])
        let next = queue.nextAdmitted(of: &table)
        #expect(next == nil)
        let hasEvent = queue.event != nil
        #expect(!hasEvent)
    }

    @Test("A write of the other kind waits until the last of the first kind is over")
    func otherKindWaits() throws {
        let engine = try Engine(gate, misaligned: [2])
        #expect((0..<3).map { engine.enter($0) } == [true, true, false])
        #expect(engine.leave(0) == [])
        #expect(engine.leave(1) == [2])
        #expect(engine.leave(2) == [])
        #expect(gate.isQuiet)
        #expect(engine.signalCount() == 0, "who serves itself needs no signal")
    }

    @Test("A write of the kind under way does not overtake one that waits")
    func noOvertaking() throws {
        let engine = try Engine(gate, misaligned: [1, 4])
        #expect((0..<5).map { engine.enter($0) } == [true, false, false, false, false])
        #expect(engine.leave(0) == [1])
        #expect(engine.leave(1) == [2, 3])
        #expect(engine.leave(2) == [])
        #expect(engine.leave(3) == [4])
        #expect(engine.leave(4) == [])
        #expect(gate.isQuiet)
    }

    @Test("A write that waits for another engine's is signalled, once, when that is over")
    func otherEngineWaits() throws {
        let (first, second) = (try Engine(gate), try Engine(gate, misaligned: [0, 1]))
        #expect(first.enter(0))
        #expect(first.enter(1))
        #expect(!second.enter(0))
        #expect(!second.enter(1))
        #expect(first.leave(0) == [])
        #expect(second.signalCount() == 0)
        #expect(first.leave(1) == [])
        #expect(second.signalCount() == 1)
        // Its turn has begun, whether it knows or not.
        #expect(!first.enter(2))
        #expect(second.wake() == [0, 1])
        #expect(first.signalCount() == 0)
        #expect(second.leave(0) == [])
        #expect(second.leave(1) == [])
        #expect(first.signalCount() == 1)
        #expect(first.wake() == [2])
        #expect(first.leave(2) == [])
        #expect(gate.isQuiet)
    }

    @Test("Engines take turns, each with all that it has of one kind, in the order they came")
    func turns() throws {
        let engines = try (0..<3).map { _ in try Engine(gate, misaligned: [1, 2, 5]) }
        #expect(engines[0].enter(0))
        // Misaligned, misaligned, direct, each.
        for engine in [engines[1], engines[2]] {
            for row in [1, 2, 3] { #expect(!engine.enter(row)) }
        }
        #expect(!engines[0].enter(4))
        #expect(engines[0].leave(0) == [])
        // Both of them: the second one's kind is the same.
        for engine in [engines[1], engines[2]] {
            #expect(engine.signalCount() == 1)
            #expect(engine.wake() == [1, 2])
        }
        #expect(engines[0].signalCount() == 0)
        for engine in [engines[1], engines[2]] {
            #expect(engine.leave(1) == [])
            #expect(engine.leave(2) == (engine === engines[1] ? [] : [3]))
        }
        #expect(engines.map { $0.signalCount() } == [1, 1, 0])
        #expect(engines[0].wake() == [4])
        #expect(engines[1].wake() == [3])
    }

    @Test("An engine that goes while it waits does not hold up those behind it")
    func goesWhileItWaits() throws {
        let (first, third) = (try Engine(gate), try Engine(gate))
        #expect(first.enter(0))
        do {
            let second = try Engine(gate, misaligned: [0])
            #expect(!second.enter(0))
            #expect(!third.enter(0))
            second.queue.withdraw(second.table)
        }
        #expect(third.signalCount() == 1)
        #expect(third.wake() == [0])
        #expect(first.leave(0) == [])
        #expect(third.leave(0) == [])
        #expect(gate.isQuiet)
    }

    @Test("The last one that waits takes the waiting with it")
    func lastGoesWhileItWaits() throws {
        let first = try Engine(gate)
        #expect(first.enter(0))
        do {
            let second = try Engine(gate, misaligned: [0])
            #expect(!second.enter(0))
            second.queue.withdraw(second.table)
        }
        #expect(first.enter(1))
        #expect(first.leave(0) == [])
        #expect(first.leave(1) == [])
        #expect(gate.isQuiet)
    }

    @Test("An engine that goes when its turn has begun gives it back")
    func goesInItsTurn() throws {
        let first = try Engine(gate)
        #expect(first.enter(0))
        do {
            let second = try Engine(gate, misaligned: [0])
            #expect(!second.enter(0))
            #expect(first.leave(0) == [])
            #expect(!first.enter(1))
            second.queue.withdraw(second.table)
        }
        #expect(first.signalCount() == 1)
        #expect(first.wake() == [1])
        #expect(first.leave(1) == [])
        #expect(gate.isQuiet)
    }

    @Test("An engine that goes takes with it what has passed")
    func goesWithRequests() throws {
        let first = try Engine(gate)
        do {
            let second = try Engine(gate, misaligned: [0, 1])
            #expect(second.enter(0))
            #expect(second.enter(1))
            #expect(!first.enter(0))
        }
        #expect(first.signalCount() == 1)
        #expect(first.wake() == [0])
        #expect(first.leave(0) == [])
        #expect(gate.isQuiet)
    }

    @Test(
        "No two kinds are ever under way together, none starves, and order is kept",
        arguments: [1, 2, 3, 5], 1...8 as ClosedRange<UInt64>)
    func model(engineCount: Int, seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let engines = try (0..<engineCount).map { _ in try Engine(gate) }
        var left = 0
        var entered = 0
        var free = engines.map { _ in Array(0..<16) }
        func check() {
            let kinds = Set(engines.flatMap { engine in engine.passed.map(engine.isMisaligned) })
            #expect(kinds.count <= 1, "seed \(seed)")
        }
        for step in 0..<4000 {
            let index = Int.random(in: 0..<engineCount, using: &generator)
            let engine = engines[index]
            // The last steps only finish, so that everything must come out.
            if step < 3000, Bool.random(using: &generator), let row = free[index].popLast() {
                engine.table[row].isMisaligned = Int.random(in: 0..<4, using: &generator) == 0
                entered += 1
                let mine = engine.isMisaligned(row)
                let isAlone = engines.allSatisfy { other in
                    other.passed.allSatisfy { other.isMisaligned($0) == mine }
                }
                let isFirst = engines.allSatisfy { $0.waiting.isEmpty }
                #expect(engine.enter(row) == (isFirst && isAlone), "seed \(seed)")
            } else if let row = engine.passed.randomElement(using: &generator) {
                _ = engine.leave(row)
                free[index].append(row)
                left += 1
            }
            check()
            for engine in engines {
                let signalCount = engine.signalCount()
                #expect(signalCount <= 1, "seed \(seed)")
                guard signalCount == 1 else { continue }
                #expect(!engine.wake().isEmpty, "seed \(seed)")
                check()
            }
            #expect(
                engines.allSatisfy { $0.waiting.isEmpty }
                    || engines.contains { !$0.passed.isEmpty },
                "seed \(seed): nobody is left to wait for")
        }
        #expect(entered == left, "seed \(seed)")
        #expect(gate.isQuiet, "seed \(seed)")
    }

    @Test("Threads never meet the other kind, none starves, and no signal is lost")
    func threads() throws {
        let gate = gate
        let under = Counts()
        onThreads(4) { index in
            do {
                var generator = SeededGenerator(seed: UInt64(index))
                let engine = try Engine(gate, blocks: true)
                var free = Array(0..<16)
                func begin(_ rows: [Int]) {
                    for row in rows { under.begin(engine.isMisaligned(row)) }
                }
                var entered = 0
                while entered < 20_000 || free.count < 16 {
                    if entered < 20_000, Int.random(in: 0..<3, using: &generator) > 0,
                        let row = free.popLast()
                    {
                        entered += 1
                        engine.table[row].isMisaligned =
                            Int.random(in: 0..<20, using: &generator) == 0
                        if engine.enter(row) { begin([row]) }
                    } else if let row = engine.passed.first {
                        under.end(engine.isMisaligned(row))
                        begin(engine.leave(row))
                        free.append(row)
                    } else if !engine.waiting.isEmpty {
                        #expect(engine.signalCount() == 1)
                        begin(engine.wake())
                    }
                }
            } catch {
                Issue.record("\(error)")
            }
        }
        #expect(gate.isQuiet)
        #expect(under.meetingCount.load(ordering: .relaxed) == 0)
    }

    /// What is under way of each kind, over all threads.
    private final class Counts: Sendable {
        private let direct = Atomic(0)
        private let misaligned = Atomic(0)
        let meetingCount = Atomic(0)

        func begin(_ isMisaligned: Bool) {
            if isMisaligned {
                misaligned.wrappingAdd(1, ordering: .sequentiallyConsistent)
            } else {
                direct.wrappingAdd(1, ordering: .sequentiallyConsistent)
            }
            let other =
                isMisaligned
                ? direct.load(ordering: .sequentiallyConsistent)
                : misaligned.load(ordering: .sequentiallyConsistent)
            if other != 0 { meetingCount.wrappingAdd(1, ordering: .relaxed) }
        }

        func end(_ isMisaligned: Bool) {
            if isMisaligned {
                misaligned.wrappingSubtract(1, ordering: .sequentiallyConsistent)
            } else {
                direct.wrappingSubtract(1, ordering: .sequentiallyConsistent)
            }
        }
    }
}
