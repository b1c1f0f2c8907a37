import SharedMemory
import TestSupport

@testable import SwiotlbPool

/// Comparisons of the pool with the model.
extension PoolModel {
    /// The two sides of one mapping, with what lies around it: buffers, and slots with their pads
    /// (9), (12), (14).
    func check(_ holding: ModelHolding) {
        guard failure == nil else { return }
        for buffer in holding.buffers {
            let first = max(buffer.lowerBound - 32, 0)
            let count = min(buffer.upperBound + 32, privateMemory.byteCount) - first
            require(
                memory.matches(privateMemory.bytes(at: first, byteCount: count), at: first),
                "private memory differs around \(buffer)")
        }
        let offset = holding.slots.lowerBound * slotByteCount
        let (extent, inExtent) = place(offset)
        guard let memory = extents[extent] else { return fail("\(holding.slots) is nowhere") }
        let bytes = memory.bytes(at: inExtent, byteCount: holding.slots.count * slotByteCount)
        require(window.matches(bytes, at: offset), "the window differs in slots \(holding.slots)")
    }

    /// Every byte.
    func checkBytes() {
        guard failure == nil else { return }
        require(
            memory.matches(privateMemory.bytes(at: 0, byteCount: privateMemory.byteCount)),
            "private memory differs somewhere")
        for (extent, memory) in extents.enumerated() {
            guard let memory else { continue }
            require(
                window.matches(
                    memory.bytes(at: 0, byteCount: memory.byteCount),
                    at: pool.layout.slots(ofExtent: extent).lowerBound * slotByteCount),
                "the window differs somewhere in extent \(extent)")
        }
        checkLeakReport()
    }

    /// Every slot (2): free in the bitmap, or in a mapper's cache, exactly where the model has it so.
    func checkSlots() {
        guard failure == nil else { return }
        var slot = 0
        var cachedEnd = 0
        for holder in holders {
            let isFreeInBitmap = pool.allocator.bitmap.isFree(slot)
            let state = pool.table.state(slot)
            if state.phase == .cached {
                require(slot >= cachedEnd && !isFreeInBitmap, "slot \(slot) is cached and more")
                cachedEnd = slot + state.count
            }
            if (isFreeInBitmap || slot < cachedEnd) != (holder == Self.free) {
                return fail("slot \(slot), held by \(holder), is \(state.phase), \(isFreeInBitmap)")
            }
            slot += 1
        }
    }

    /// Every figure.
    func checkStatistics() {
        guard failure == nil else { return }
        let statistics = pool.statistics
        expected.slotCount = 0
        for extent in extents where extent != nil {
            expected.slotCount += pool.layout.extentSlotCount
        }
        expected.usedSlotCount = 0
        for holding in holdings { expected.usedSlotCount += holding.slots.count }
        expected.highWaterSlotCount = retiredHighWater
        for incarnation in incarnations {
            expected.highWaterSlotCount += incarnation.highWaterSlotCount
        }
        expected.waiterCount = waiting.count
        // Time is nobody's to foretell.
        expected.longestWait = statistics.longestWait
        require(statistics == expected, "\(statistics), not \(expected)")
        for (number, owner) in owners.enumerated() {
            let its = pool.statistics(of: owner)
            let model = expectedOfOwner[number]
            var used = 0
            for incarnation in incarnations where incarnation.owner == number {
                used += incarnation.liveSlotCount
            }
            require(
                its.usedSlotCount == used && its.mapCount == model.mapCount
                    && its.spillCount == model.spillCount
                    && its.refusals == model.refusals
                    && its.scrubbedByteCount == model.scrubbedByteCount
                    && its.overreportCount == model.overreportCount,
                "\(owner.name): \(its), not \(model) with \(used) slots")
        }
    }

    private func checkLeakReport() {
        var live = Set<LiveMapping>()
        for holding in holdings {
            guard let maker = holding.maker else { continue }
            var isQuarantined = false
            if case .quarantined = holding.kind { isQuarantined = true }
            live.insert(
                LiveMapping(
                    ownerName: owners[maker.owner].name, device: holding.deviceOffset,
                    buffer: holding.buffers[0].lowerBound, byteCount: holding.byteCount,
                    direction: holding.direction, slotCount: holding.slots.count,
                    isQuarantined: isQuarantined))
        }
        let told = pool.leakReport().map {
            LiveMapping(
                ownerName: $0.ownerName,
                device: Int($0.deviceRange.address.rawValue - pool.windowAddress.rawValue),
                buffer: Int($0.buffer.address.rawValue - Self.memoryAddress),
                byteCount: $0.deviceRange.byteCount, direction: $0.direction,
                slotCount: $0.slotCount, isQuarantined: $0.isQuarantined)
        }
        require(told.count == live.count && Set(told) == live, "the report is \(told)")
    }

    private struct LiveMapping: Hashable {
        let ownerName: String
        let device: Int
        let buffer: Int
        let byteCount: Int
        let direction: DMADirection
        let slotCount: Int
        let isQuarantined: Bool
    }

    /// (6): an empty pool maps exactly the maximum, wherever the buffer lies.
    func checkLongest() {
        guard failure == nil, extents.contains(where: { $0 != nil }), waiting.isEmpty else {
            return
        }
        for by in mappers {
            let most = by.mapper.maximumMappingByteCount
            let quota = owners[by.setting.owner].quotaSlotCount ?? .max
            for first in [0, 1, 511, 512, 1023, 2048, 4095, 8191] {
                let need = need(Self.memoryAddress + UInt64(first), most, by.setting)
                guard need.slotCount <= quota else { continue }
                switch by.mapper.attempt(buffer(first..<first + most), .fromDevice) {
                case .success(let box): by.mapper.end(box, usedByteCount: 0)
                case .failure(let refusal):
                    fail("\(most) bytes at \(first) of an empty pool: \(refusal)")
                }
                let refusal = by.mapper.refusal(buffer(first..<first + most + 1))
                require(
                    refusal == .tooLarge(maximumByteCount: most),
                    "\(most + 1) bytes: \(refusal as Any)")
            }
        }
    }
}
