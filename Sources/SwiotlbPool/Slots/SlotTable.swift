import BasicContainers
import Synchronization

/// What a run of slots is used for. A run's state is that of its first slot.
enum RunPhase: UInt8 {
    /// In the bitmap, or inside a run that begins at an earlier slot.
    case free = 0
    /// In a mapper's ``RunCaches``: claimed in the bitmap, and anybody's for the taking.
    case cached
    /// Held by a ``DMAMapping``.
    case mapped
    /// Held by a ``MappingToken``.
    case parked
    /// Given up by the driver while the device may still write to it.
    case quarantined
    /// Held by a ``CoherentAllocation``.
    case coherent
    /// Held by a ``SlotReservation``.
    case reserved
    /// Held by an extent that is going away.
    case draining
}

/// A run's state in one word, so that one compare-and-swap decides who has it: from the top down,
/// the generation (32 bits), how many slots (16), which pool (8), and the phase (8).
struct RunState: Equatable {
    var bits: UInt64

    /// Of no pool.
    static let none = RunState(bits: 0)

    init(bits: UInt64) { self.bits = bits }

    /// How often a run that begins here was claimed, modulo 2^32: what tells a token of an earlier
    /// mapping from one of this.
    var generation: UInt32 { UInt32(truncatingIfNeeded: bits &>> 32) }
    var count: Int { Int(truncatingIfNeeded: bits &>> 16 & 0xffff) }
    /// Tells the states of a pool from those of the next 254; 0 is no pool.
    var pool: UInt8 { UInt8(truncatingIfNeeded: bits &>> 8) }
    var phase: RunPhase { RunPhase(rawValue: UInt8(truncatingIfNeeded: bits)) ?? .free }

    @inline(__always)
    func with(_ phase: RunPhase) -> RunState {
        RunState(bits: bits & ~0xff | UInt64(phase.rawValue))
    }

    /// The same run, claimed once more.
    @inline(__always)
    func claimed(_ phase: RunPhase) -> RunState {
        RunState(bits: (bits & ~0xff | UInt64(phase.rawValue)) &+ (1 &<< 32))
    }

    /// `with(.cached)` of a mapped run.
    @inline(__always)
    var givenToCache: RunState { RunState(bits: bits &- 1) }

    /// `claimed(.mapped)` of a cached run.
    @inline(__always)
    var claimedFromCache: RunState { RunState(bits: bits &+ (1 &<< 32 &+ 1)) }

    /// A run of another length that begins at the same slot, claimed once more.
    func claimed(_ phase: RunPhase, count: Int) -> RunState {
        RunState(bits: claimed(phase).bits & ~0xffff_0000 | UInt64(count) &<< 16)
    }
}

/// One record a slot, in private memory: what the pool knows of the run that begins there.
///
/// The holder of a run is the only one who writes its record. Whoever collects a cached run, redeems
/// a token or quarantines one becomes the holder by compare-and-swap of the state; a mapper that
/// takes a run out of its own cache is kept apart from collectors otherwise (``RunCaches``). All words
/// are atomic because reports read records of others.
///
/// A list of buffers in one run has each buffer in the record of a slot of its own.
///
/// **Orderings** (labels as in `Models/cache.pml`). T1: `store` of a state, releasing, by the one
/// who gives a run up. T2: `exchange` of it, acquiring, by the one who takes it.
final class SlotTable: Sendable {
    private let records: RigidArray<SlotRecord>

    /// - Parameter pool: the pool's number, which every state has in it.
    init(slotLimit: Int, pool: UInt8) {
        var records = RigidArray<SlotRecord>(capacity: slotLimit)
        for _ in 0..<slotLimit { records.append(SlotRecord(pool: pool)) }
        self.records = records
    }

    @inline(__always)
    func state(_ slot: Int) -> RunState {
        RunState(bits: records[slot].state.load(ordering: .acquiring))
    }

    @inline(__always)
    func store(_ state: RunState, at slot: Int) {
        // T1.
        records[slot].state.store(state.bits, ordering: .releasing)
    }

    @inline(__always)
    func exchange(_ old: RunState, for new: RunState, at slot: Int) -> Bool {
        // T2.
        records[slot].state.compareExchange(
            expected: old.bits, desired: new.bits, successOrdering: .acquiringAndReleasing,
            failureOrdering: .relaxed
        ).exchanged
    }

    /// Takes a run out of a cache without a compare-and-swap: nobody else can at this moment.
    @inline(__always)
    func take(_ cached: RunState, at slot: Int, for mapping: MappingRecord) -> Bool {
        records[slot].take(cached, for: mapping)
    }

    /// Gives a run that was claimed in the bitmap its state.
    func begin(_ run: SlotRun, _ phase: RunPhase) -> RunState {
        let state = state(run.first).claimed(phase, count: run.count)
        store(state, at: run.first)
        return state
    }

    @inline(__always)
    func write(_ mapping: MappingRecord, at slot: Int) {
        records[slot].write(mapping)
    }

    /// Who made a mapping; traps unless the run's state is what the mapping says.
    @inline(__always)
    func mapper(of slot: Int, _ state: RunState) -> Int {
        records[slot].mapper(state)
    }

    func mapping(_ slot: Int) -> MappingRecord { records[slot].mapping }

    /// Who made the mapping that begins here.
    @inline(__always)
    func mapper(_ slot: Int) -> Int { records[slot].mapper }

    /// One buffer of a list, in the record of the run's slot of the same number.
    func writeBuffer(_ address: UInt64, byteCount: Int, at slot: Int) {
        records[slot].write(
            MappingRecord(
                bufferAddress: address, byteCount: byteCount, offset: 0, epoch: 0, mapper: 0,
                direction: .bidirectional, bufferCount: 0))
    }
}

/// What a report, or whoever redeems a token, learns of a mapping.
struct MappingRecord {
    var bufferAddress: UInt64
    var byteCount: Int
    /// From the start of the run to the payload.
    var offset: Int
    var epoch: UInt32
    var mapper: Int
    var direction: DMADirection
    var bufferCount: Int
}

/// A slot's record: 32 bytes.
private struct SlotRecord: ~Copyable, Sendable {
    let state: Atomic<UInt64>
    private let bufferAddress = Atomic<UInt64>(0)
    /// Byte count and offset, 32 bits each.
    private let lengths = Atomic<UInt64>(0)
    /// Epoch (32 bits), mapper (16), direction (8), number of buffers (8).
    private let rest = Atomic<UInt64>(0)

    init(pool: UInt8) {
        state = Atomic(UInt64(pool) << 8)
    }

    @inline(__always)
    func write(_ mapping: MappingRecord) {
        bufferAddress.store(mapping.bufferAddress, ordering: .relaxed)
        lengths.store(
            UInt64(truncatingIfNeeded: mapping.byteCount)
                | UInt64(truncatingIfNeeded: mapping.offset) &<< 32, ordering: .relaxed)
        rest.store(
            UInt64(mapping.epoch) &<< 32 | UInt64(truncatingIfNeeded: mapping.mapper) &<< 16
                | UInt64(mapping.direction.rawValue) &<< 8
                | UInt64(truncatingIfNeeded: mapping.bufferCount), ordering: .relaxed)
    }

    var mapping: MappingRecord {
        let lengths = lengths.load(ordering: .relaxed)
        let rest = rest.load(ordering: .relaxed)
        return MappingRecord(
            bufferAddress: bufferAddress.load(ordering: .relaxed),
            byteCount: Int(lengths & 0xffff_ffff), offset: Int(lengths >> 32),
            epoch: UInt32(truncatingIfNeeded: rest >> 32), mapper: Int(rest >> 16 & 0xffff),
            direction: DMADirection(rawValue: UInt8(truncatingIfNeeded: rest >> 8))
                ?? .bidirectional,
            bufferCount: Int(rest & 0xff))
    }

    @inline(__always)
    func take(_ cached: RunState, for mapping: MappingRecord) -> Bool {
        guard state.load(ordering: .acquiring) == cached.bits else { return false }
        state.store(cached.claimedFromCache.bits, ordering: .releasing)
        write(mapping)
        return true
    }

    @inline(__always)
    func mapper(_ state: RunState) -> Int {
        precondition(
            self.state.load(ordering: .acquiring) == state.bits,
            "a mapping goes back, once, to the pool it is of")
        return mapper
    }

    @inline(__always)
    var mapper: Int { Int(truncatingIfNeeded: rest.load(ordering: .relaxed) &>> 16 & 0xffff) }
}
