import BasicContainers
import SharedMemory
import TestSupport
import Testing

@testable import BlockBackend
@testable import Virtqueue

/// Two regions that touch in the guest and lie anywhere here: 0x1000 to 0x3000.
struct DecoderBench: ~Copyable {
    let map: MemoryMap
    let decoder: BlockRequestDecoder
    var segments: [BlockSegment] = []

    init(segmentCountMax: Int = 4) throws {
        let low = try HostMemory.anonymous(byteCount: 4096)
        let high = try HostMemory.anonymous(byteCount: 4096)
        let map = try MemoryMap([
            MemoryMap.Region(guestAddress: GuestAddress(0x1000), memory: low),
            MemoryMap.Region(guestAddress: GuestAddress(0x2000), memory: high),
        ])
        let decoder = try BlockRequestDecoder(
            memoryMap: map, segmentCountMax: segmentCountMax)
        self.map = map
        self.decoder = decoder
    }

    /// Puts bytes at an address.
    func put(_ bytes: [UInt8], at address: UInt64) {
        for (index, byte) in bytes.enumerated() {
            let isStored = map.store(byte, at: GuestAddress(address + UInt64(index)))
            precondition(isStored)
        }
    }

    /// Whether both addresses of the status name the same byte.
    private func memoryHasStatus(_ request: BlockRequest) -> Bool {
        let range = GuestRange(address: request.statusAddress, byteCount: 1)
        return map.translate(range)?.hostRange == request.status
    }

    struct Outcome {
        var request: BlockRequest
        /// What is left of the parts that are the payload, without empty ones.
        var payload: [GuestRange]
    }

    mutating func decode(
        _ parts: [GuestRange], readable: Int, capacity: Int = 64
    ) throws -> Outcome {
        var chain = DescriptorChain(capacity: capacity)
        for (index, part) in parts.enumerated() {
            try chain.append(part, isWritable: index >= readable)
        }
        // One in front and one behind that must stay as they are.
        let other = BlockSegment(sector: 77, sectorCount: 7, flags: 7)
        let places = decoder.segmentCountMax + 2
        var segments = RigidArray<BlockSegment>(capacity: places)
        for _ in 0..<places { segments.append(other) }
        let request = try decoder.decode(&chain, segments: &segments, at: 1)
        #expect(segments[0] == other && segments[places - 1] == other)
        #expect(memoryHasStatus(request))
        self.segments = (1..<places - 1).map { segments[$0] }
        return Outcome(
            request: request,
            payload: request.payload.map { chain[$0] }.filter { $0.byteCount > 0 })
    }
}
