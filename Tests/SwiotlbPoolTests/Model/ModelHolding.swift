import SharedMemory

@testable import SwiotlbPool

/// Whatever has slots, as the model knows it.
final class ModelHolding {
    enum Kind {
        case mapped(MappingBox)
        case parked(MappingToken)
        case quarantined(MappingToken)
        case coherent(CoherentBox)
    }

    let id: Int32
    /// Which step it is of, and which of the step's runs.
    let origin: Int
    var kind: Kind
    /// The driver's buffers: offsets in private memory, and lengths.
    let buffers: [Range<Int>]
    let direction: DMADirection
    let slots: Range<Int>
    /// From the window's address to the payload.
    let deviceOffset: Int
    let byteCount: Int
    /// Who made it; `nil` for a coherent allocation.
    let maker: ModelMapper.Incarnation?

    init(
        id: Int32, origin: Int, kind: Kind, buffers: [Range<Int>], direction: DMADirection,
        slots: Range<Int>,
        deviceOffset: Int, byteCount: Int, maker: ModelMapper.Incarnation?
    ) {
        self.id = id
        self.origin = origin
        self.kind = kind
        self.buffers = buffers
        self.direction = direction
        self.slots = slots
        self.deviceOffset = deviceOffset
        self.byteCount = byteCount
        self.maker = maker
    }

    /// Where each buffer's share of a part of the payload is: in private memory, and how far into
    /// the payload.
    func pieces(offset: Int, byteCount: Int) -> [(memory: Range<Int>, offset: Int)] {
        var result: [(memory: Range<Int>, offset: Int)] = []
        var begin = 0
        for buffer in buffers {
            let low = max(begin, offset)
            let high = min(begin + buffer.count, offset + byteCount)
            if low < high {
                let first = buffer.lowerBound + low - begin
                result.append((first..<first + high - low, low))
            }
            begin += buffer.count
        }
        return result
    }
}

/// Holds a coherent allocation until it is dropped.
final class CoherentBox {
    let allocation: CoherentAllocation

    init(_ allocation: consuming CoherentAllocation) {
        self.allocation = allocation
    }
}

/// A mapper, and those that were in its place before.
final class ModelMapper {
    /// What one mapper has, as long as mappings of it live.
    final class Incarnation {
        let owner: Int
        var liveSlotCount = 0
        var highWaterSlotCount = 0

        init(owner: Int) { self.owner = owner }
    }

    let setting: ModelSetting.Mapper
    var mapper: BounceMapper
    var incarnation: Incarnation

    init(_ setting: ModelSetting.Mapper, _ mapper: consuming BounceMapper) {
        self.setting = setting
        self.mapper = mapper
        incarnation = Incarnation(owner: setting.owner)
    }
}
