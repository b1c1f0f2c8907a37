import BasicContainers
import SharedMemory
import Synchronization
import TestSupport

@testable import SwiotlbPool

/// One thread of a stress test: a mapper, which it makes anew now and then, and a random choice of
/// what to do with it.
struct StressWorker: ~Copyable {
    private let board: StressBoard
    private let thread: Int
    private let owner: PoolOwner
    private var generator: SeededGenerator
    private var mapper: BounceMapper
    private var waiting = StressReservations()
    private var mappings = RigidArray<DMAMapping>(capacity: 4)

    private static let constraints = [
        DMAConstraints(), DMAConstraints(), DMAConstraints(minimumAlignmentMask: 4095),
        DMAConstraints(allocationAlignmentMask: 4095), DMAConstraints(boundaryMask: 131_071),
    ]

    init(_ board: StressBoard, _ thread: Int, _ owner: PoolOwner) throws {
        self.board = board
        self.thread = thread
        self.owner = owner
        generator = SeededGenerator(seed: board.seed &+ UInt64(thread))
        mapper = try board.fixture.pool.makeMapper(owner: owner)
    }

    mutating func run(until watch: Stopwatch) throws {
        var roundCount = 0
        while !watch.isOver {
            try step()
            mapGranted()
            roundCount += 1
        }
        board.rounds.withLock { $0[thread] = roundCount }
        board.pending.withLock { $0.append(waiting) }
    }

    private mutating func step() throws {
        switch generator.below(100) {
        case 0..<50: try mapOne()
        case 50..<60: mapList()
        case 60..<90: _ = board.endOne(&mapper, &generator)
        case 90..<93: _ = board.endQuarantine(&mapper)
        case 93..<96: waiting.cancelOne()
        case 96..<99: allocateRing()
        default: try changeMapper()
        }
    }

    /// Bytes to map, in a chunk that is this mapping's alone; `nil` while all chunks are in use.
    private mutating func newPayload() -> StressPayload? {
        guard let chunk = board.takeChunk() else { return nil }
        let payload = StressPayload(
            chunk: chunk, byteCount: 1 + generator.below(generator.below(8) == 0 ? 60_000 : 5000),
            value: UInt8(generator.below(256)), answer: UInt8(generator.below(256)))
        board.fixture.memory.fill(
            at: chunk * StressBoard.chunkByteCount, byteCount: payload.byteCount,
            with: payload.value)
        return payload
    }

    private mutating func newDirection() -> DMADirection {
        [.toDevice, .fromDevice, .bidirectional][generator.below(3)]
    }

    private mutating func mapOne() throws {
        guard let payload = newPayload() else { return }
        let buffer = board.fixture.buffer(
            payload.chunk * StressBoard.chunkByteCount, payload.byteCount)
        let direction = newDirection()
        do throws(MapRefusal) {
            hand(StressTicket(mapping: try mapper.map(buffer, direction), payload: payload))
        } catch {
            if !error.isTemporary { board.fail("refused: \(error)") }
            if generator.below(2) == 0 {
                let request = try mapper.request(for: buffer, direction)
                let microseconds = generator.below(4000)
                waiting.add(
                    request, payload,
                    deadline: generator.below(3) == 0 ? .now + .microseconds(microseconds) : nil,
                    board)
            } else {
                board.giveChunk(payload.chunk)
            }
            _ = board.endOne(&mapper, &generator)
        }
    }

    /// Maps a payload as a list of pieces, in any order.
    private mutating func mapList() {
        guard let payload = newPayload() else { return }
        let cuts = (0..<3).map { _ in generator.below(payload.byteCount + 1) }.sorted()
        var pieces: [GuestRange] = []
        for (begin, end) in zip([0] + cuts, cuts + [payload.byteCount]) where begin < end {
            pieces.append(
                board.fixture.buffer(
                    payload.chunk * StressBoard.chunkByteCount + begin, end - begin))
        }
        pieces.shuffle(using: &generator)
        do throws(MapRefusal) {
            try mapper.map(pieces.span, newDirection(), into: &mappings)
        } catch {
            if !error.isTemporary { board.fail("list refused: \(error)") }
            board.giveChunk(payload.chunk)
            return
        }
        if mappings.count == 1 {
            return hand(StressTicket(mapping: mappings.removeLast(), payload: payload))
        }
        while !mappings.isEmpty {
            let mapping = mappings.removeLast()
            if mapping.direction != .fromDevice,
                !board.fixture.deviceBytes(mapping.deviceRange).isUniform(payload.value)
            {
                board.fail("a part of a list was written over")
            }
            mapper.unmap(mapping, usedByteCount: 0)
        }
        board.giveChunk(payload.chunk)
    }

    /// Gives a mapping to all threads, in one form or another.
    private mutating func hand(_ ticket: consuming StressTicket) {
        let payload = ticket.payload
        switch generator.below(10) {
        case 0..<6:
            var given: StressTicket? = consume ticket
            board.tickets.withLock { $0.append(given.take()!) }
        case 6..<9:
            let token = mapper.park(ticket.mapping)
            board.tokens.withLock { $0.append((token, payload)) }
        default:
            let token = mapper.quarantine(ticket.mapping)
            board.quarantined.withLock { $0.append((token, payload)) }
        }
    }

    private mutating func mapGranted() {
        for (reservation, payload) in waiting.takeGranted(board) {
            if generator.below(5) == 0 {
                // Dropped.
                board.giveChunk(payload.chunk)
            } else {
                mapGranted(reservation, payload)
            }
        }
    }

    private mutating func mapGranted(_ reservation: SlotReservation, _ payload: StressPayload) {
        do throws(ReservationFailure) {
            hand(StressTicket(mapping: try mapper.map(reservation), payload: payload))
        } catch {
            board.fail("a granted reservation was not mapped: \(error)")
        }
    }

    private mutating func allocateRing() {
        let byteCount = 1 + generator.below(9000)
        guard
            let ring = try? board.fixture.pool.allocateCoherent(byteCount: byteCount)
        else { return }
        let bytes = ring.memory.bytes(at: ring.memoryOffset, byteCount: byteCount)
        if !bytes.isUniform(0) { board.fail("coherent memory is not zeroed") }
        ring.memory.fill(at: ring.memoryOffset, byteCount: byteCount, with: 0xcc)
    }

    private mutating func changeMapper() throws {
        let constraints = Self.constraints[generator.below(Self.constraints.count)]
        do throws(PoolError) {
            mapper = try board.fixture.pool.makeMapper(owner: owner, constraints: constraints)
        } catch {
            // The places of mappers that are gone and whose mappings live on.
            guard case .tooManyMappers = error else { throw error }
        }
    }
}
