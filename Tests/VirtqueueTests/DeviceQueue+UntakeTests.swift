import SharedMemory
import Testing

@testable import Virtqueue

struct DeviceQueueUntakeTests {
    @Test(
        "What was put back is found again, also across the end of the ring",
        arguments: [VirtioFeatures(), .packedRing, .indirectDescriptors])
    func putBack(features: VirtioFeatures) throws {
        var pair = try QueuePair(size: 8, features: features, tableLength: 4)
        let parts = (1...3).map { GuestRange(address: GuestAddress(0x1000), byteCount: $0) }
        for round in 0..<40 {
            // Buffers of different lengths, so that packed ones take different numbers of descriptors.
            for buffer in 0..<3 {
                let isAdded = pair.driver.add(
                    parts.span.extracting(first: 1 + (round + buffer) % 2),
                    readableCount: 1, tag: UInt64(round * 3 + buffer))
                #expect(isAdded)
            }
            _ = pair.driver.publish()
            var tokens: [ChainToken] = []
            for _ in 0..<3 {
                #expect(try pair.device.next(&pair.chain))
                tokens.append(pair.chain.token)
            }
            #expect(try !pair.device.next(&pair.chain))
            let position = pair.device.position
            pair.device.untake(tokens[2])
            pair.device.untake(tokens[1])
            #expect(pair.device.inflightCount == 1)
            pair.device.use(tokens[0], writtenByteCount: 0)
            _ = pair.device.publish()
            for token in tokens.dropFirst() {
                #expect(try pair.device.next(&pair.chain))
                #expect(pair.chain.token == token)
            }
            #expect(pair.device.position.available == position.available)
            for token in tokens.dropFirst() { pair.device.use(token, writtenByteCount: 0) }
            _ = pair.device.publish()
            for buffer in 0..<3 {
                #expect(try pair.driver.nextUsed()?.tag == UInt64(round * 3 + buffer))
            }
        }
        #expect(pair.device.inflightCount == 0 && pair.device.inflightDescriptorCount == 0)
    }

    @Test(arguments: [false, true])
    func notWhereBuffersAreNoted(isPacked: Bool) throws {
        let features: VirtioFeatures = isPacked ? .packedRing : []
        let region = InflightRegion(
            memory: try .anonymous(byteCount: 1 << 16), offset: 0, queueSize: 8,
            isPacked: isPacked)
        let pair = try QueuePair(size: 8, features: features)
        let device = try DeviceQueue(
            pair.configuration, memoryMap: pair.map, position: .start(isPacked: isPacked),
            inflight: region)
        let (canUntake, others) = (device.canUntake, pair.device.canUntake)
        #expect(!canUntake && others)
    }
}
