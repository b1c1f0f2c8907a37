import SwiotlbPool
import Testing

/// What a run of the model test is over.
struct ModelSetting: Sendable {
    struct Mapper: Sendable {
        var area = 0
        /// An index into `quotas`; the default owner where there is none of it.
        var owner = 0
        var kept: UInt64 = 0
        var start: UInt64 = 0
        var boundary: UInt64 = .max

        var constraints: DMAConstraints {
            DMAConstraints(
                minimumAlignmentMask: kept, allocationAlignmentMask: start, boundaryMask: boundary)
        }
    }

    let name: String
    var slotByteCount = 512
    var segmentSlotCount = 64
    var segmentsPerMapping = 1
    /// Of each extent.
    var segments = 4
    var extents = 1
    var areas = 1
    var copyBack = CopyBackPolicy.clamped
    var scrub = ScrubPolicy.never
    /// Of each owner but the default one; `nil` for none.
    var quotas: [Int?] = []
    var mappers = [Mapper(), Mapper()]

    static let all: [ModelSetting] = [
        ModelSetting(name: "plain"),
        ModelSetting(
            name: "Linux's sizes", slotByteCount: 2048, segmentSlotCount: 128, segments: 2,
            areas: 2, mappers: [Mapper(kept: 4095), Mapper(area: 1), Mapper(kept: 511)]),
        ModelSetting(
            name: "areas and extents", segments: 3, extents: 3, areas: 3,
            mappers: [Mapper(), Mapper(area: 1), Mapper(area: 2)]),
        ModelSetting(
            name: "boundaries", segments: 5, extents: 2, areas: 2, copyBack: .prefill,
            mappers: [
                Mapper(boundary: 1023), Mapper(area: 1, kept: 1023, boundary: 8191),
                Mapper(kept: 511, boundary: 4095),
            ]),
        ModelSetting(
            name: "owners that never meet", areas: 2, scrub: .onOwnerChange,
            quotas: [nil, nil],
            mappers: [Mapper(), Mapper(area: 1, owner: 1), Mapper(owner: 2)]),
        ModelSetting(
            name: "owners that never meet, extents", segments: 2, extents: 3,
            copyBack: .prefill, scrub: .onOwnerChange, quotas: [60, nil],
            mappers: [Mapper(), Mapper(owner: 1), Mapper(owner: 2, kept: 2047)]),
        ModelSetting(
            name: "scrubbed when freed", segments: 3, extents: 2, areas: 2, scrub: .onFree,
            quotas: [nil], mappers: [Mapper(), Mapper(area: 1, owner: 1, start: 1023)]),
        ModelSetting(
            name: "quotas", segments: 3, areas: 3, quotas: [40, 90],
            mappers: [
                Mapper(owner: 1), Mapper(area: 1, owner: 2), Mapper(area: 2, owner: 2), Mapper(),
            ]),
        ModelSetting(
            name: "several segments a mapping", segmentsPerMapping: 3, segments: 8, extents: 2,
            areas: 2, mappers: [Mapper(kept: 1023), Mapper(area: 1, boundary: 65535)]),
        ModelSetting(
            name: "aligned allocations", segments: 6, copyBack: .trusted,
            mappers: [
                Mapper(start: 4095), Mapper(kept: 8191, start: 1023),
                Mapper(kept: 1023, start: 8191),
            ]),
        ModelSetting(
            name: "large slots", slotByteCount: 8192, segments: 2, areas: 2, copyBack: .trusted,
            scrub: .onFree, quotas: [100], mappers: [Mapper(owner: 1), Mapper(area: 1, kept: 4095)]),
    ]
}

extension ModelSetting: CustomTestStringConvertible {
    var testDescription: String { name }
}
