import Glibc
import Synchronization
import TestSupport
import Testing

@testable import SwiotlbPool

/// Random sequences of calls against a model that knows every byte and the holder of every slot.
///
/// A failing sequence is shrunk, and printed with its seed (`BOUNCE_MODEL_SEED=... swift test` runs
/// it again). The invariants are those of reference/swiotlb.md, section 4; comments in the model cite
/// their numbers. Each has a mutation of the pool that this test has been seen to find: the names
/// below are those of `scripts/mutate`, which makes them one by one and has the changes.
///
/// - (1) live runs are disjoint, in the window, a segment, an area: `take`. Found: *the last slot
///   of a run stays free*, *a run crosses segments* (SlotBitmap `clear`,
///   SlotAllocator `claim`).
/// - (2) free slots and figures are the model's: `checkSlots`, `checkStatistics`, `finish`.
///   Found: *a slot of a collected run is lost*, *a slot stays counted* (RunCaches `collect`,
///   MapperState `didUnmap`).
/// - (3) every search ends: the test does. Found: *a search begins again for ever*
///   (SlotAllocator `refuteHint`).
/// - (4) a refusal only where no run fits: `checkShortage`. Found: *hints forget what a freed
///   run joins*, *cached runs are out of reach* (SlotAllocator `release`, WaitQueue `claim`).
/// - (5) low bits, alignment, boundary, pads: `allows`, `take`. Found: *low bits are not kept*,
///   *a boundary is crossed*, *pads are not taken* (SlotRequest).
/// - (6) an empty pool maps exactly the maximum: `checkLongest`. Found: *the maximum forgets
///   what alignment costs*, *the maximum forgets areas* (PoolGeometry, PoolLayout).
/// - (7) what others free is free where it was: `checkSlots`, with frees by any mapper. Found:
///   *a free by another mapper is lost* (BounceMapper `free`).
/// - (8) lists are mapped as a whole, or nothing changes: `mapList`. Found: *rolling back
///   copies*, *a roll-back keeps the last run* (BounceMapper+List `map`).
/// - (9) both sides are as without bouncing: `check`, `checkBytes`. Found: *what goes both ways
///   is not copied out*, *the second buffer of a list is forgotten* (DMADirection,
///   BounceMapper+Sync).
/// - (10) what was not reported stays as it was: `unmap`, `check`. Found: *all is copied back*
///   (BounceMapper `copyBackByteCount`).
/// - (11) the window of a mapping from the device is the device's: `sync`. Found: *what is from
///   the device is synced for it* (BounceMapper+Sync).
/// - (12) a partial sync is one of its part: `sync`, `check`. Found: *a partial sync begins at
///   the beginning* (BounceMapper+Sync).
/// - (13) `skipSync` and `overwritten` differ: `begin`. Found: *a promise to overwrite skips
///   any copy* (BounceMapper `copiesIn`).
/// - (14) pads and tails are as the policies have them: `check` over whole slots. Found: *pads
///   are not cleared* (BounceMapper `clear`).
/// - (15) a device that writes anywhere changes payloads only: `scribble`, then all of the
///   above. by design: nothing in the window is read to decide. Concurrently: the stress tests.
/// - (17) tokens that are not valid are refused without effect: `redeemStale`. Found: *a
///   generation is not looked at*, *a mapping that is not parked is redeemed*
///   (BounceMapper+Token `parked`).
/// - (18) no more is copied than was reported and mapped: `unmap`, `check`. Found: *an
///   excessive report is taken for all* (BounceMapper `copyBackByteCount`).
/// - (20) a token never comes back, for the same mapping or the same slots: `park`,
///   `redeemStale`. Found: *a redeemed token stays the same*, *a run out of a cache is of the
///   same generation* (BounceMapper+Token `redeem`, RunState).
/// - (21) slots in quarantine are nobody else's: `take`, with late writes of the device. Found:
///   *quarantined slots are free* (BounceMapper+Token `quarantine`).
/// - (22) no owner meets another's bytes where the policy says so: `changeOwner`, `check`.
///   Found: *the last slot alone tells the owner*, *a new extent is its predecessors owners*
///   (SlotOwners, BouncePool+Extents).
/// - (23) an owner is refused for its own quota only: `checkShortage`. Found: *the quota of
///   another is given back*, *a quota is not looked at* (BounceMapper `freeForeign`, PoolOwner
///   `take`).
///
/// Beyond these: freed slots are handed to reservations in order, and none waits for slots that are
/// free (`settleReservations`); extents come and go under mappers that are idle; leak reports and
/// all figures are the model's.
@Suite struct BounceMapperModelTests {
    /// Over a million steps in all.
    static let stepCount = 92_000
    /// The longest sequence that is printed; a longer one is made again by its seed.
    static let shownStepCount = 300

    @Test(arguments: ModelSetting.all)
    func randomCallsEqualTheModel(setting: ModelSetting) throws {
        var generator = SeededGenerator(seed: Self.givenSeed)
        // Now: a trap would take it along.
        print("model test, \(setting.name): seed \(generator.seed)")
        let model = try PoolModel(setting)
        var operations: [ModelOperation] = []
        operations.reserveCapacity(Self.stepCount)
        for number in 0..<Self.stepCount {
            operations.append(
                model.perform(ModelOperation.random(number: number, &generator)))
            if model.failure != nil { break }
            if Self.isHasty, Self.hasFailed.load(ordering: .relaxed) { break }
        }
        model.finish()
        guard let failure = model.failure else {
            let statistics = model.pool.statistics
            #expect(
                operations.count < Self.stepCount
                    || statistics.mapCount > 5000 && statistics.refusalCount > 200)
            return
        }
        Self.hasFailed.store(true, ordering: .relaxed)
        var shrinker = ModelShrinker(setting: setting)
        if Self.isHasty { shrinker.budget = 0 }
        let shortest = shrinker.shrink(operations)
        let last = shrinker.failure(of: shortest) ?? "nothing"
        // What is to be known comes last, where whoever shows the end of a log shows it.
        let steps =
            shortest.count > Self.shownStepCount
            ? "" : shortest.map(\.description).joined(separator: ",\n") + "\n"
        Issue.record(
            """
            \(steps)\(setting.name), seed \(generator.seed): \(failure); \(shortest.count) steps are \
            enough for: \(last)
            """)
    }

    /// The seed of the environment, to repeat a failure.
    private static let givenSeed = variable("BOUNCE_MODEL_SEED").flatMap { UInt64($0) }

    /// Whether a failure is all that is wanted to know, whatever the setting: for `scripts/mutate`.
    private static let hasFailed = Atomic(false)
    private static let isHasty = variable("BOUNCE_MODEL_HASTY") != nil

    private static func variable(_ name: String) -> String? {
        // SAFETY: the string is copied at once; nobody changes the environment.
        guard let text = unsafe getenv(name) else { return nil }
        return unsafe String(cString: text)
    }
}
