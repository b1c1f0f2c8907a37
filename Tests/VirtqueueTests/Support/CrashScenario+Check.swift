import SharedMemory
import TestSupport

@testable import Virtqueue

extension CrashScenario {
    /// Starts a successor where the device was killed, and lets it finish.
    ///
    /// - Parameter open: what the driver has not got back, the oldest first.
    mutating func check(_ state: [UInt8], _ open: [Open]) throws {
        stateCount += 1
        scratch.store(state.span, at: 0)
        var expected = open.map(\.buffer)
        // The driver goes on meanwhile.
        if random.below(2) == 0 { expected += makeMoreAvailable(open) }
        guard random.below(6) == 0 else {
            try finish(expected)
            return
        }
        // And the successor may be killed while it starts.
        let states = try StoreTracer.states(of: scratch, byteCount: byteCount) {
            _ = try Self.makeDevice(configuration, scratch, regionOffset: regionOffset)
        }
        for state in states {
            scratch.store(state.span, at: 0)
            try finish(expected)
        }
    }

    /// What the successor delivers is what the driver waits for, once and in order; and all comes
    /// back, each when it is published and not before.
    private mutating func finish(_ expected: [TestBuffer]) throws {
        var queue = try Self.makeDevice(configuration, scratch, regionOffset: regionOffset)
        var chain = DescriptorChain(capacity: 8)
        var buffers: [TestBuffer] = []
        var tokens: [ChainToken] = []
        while try queue.next(&chain) {
            buffers.append(chain.buffer)
            tokens.append(chain.token)
        }
        guard buffers == expected else {
            throw Mismatch(description: "\(buffers) where \(expected) is to come")
        }
        var position = used
        var index = usedIndex
        while !tokens.isEmpty {
            let isInOrder = configuration.features.contains(.inOrder)
            let token = tokens.remove(at: isInOrder ? 0 : random.below(tokens.count))
            guard !isUsed(position, index) else {
                throw Mismatch(description: "something is used before its time")
            }
            queue.use(token, writtenByteCount: 0)
            _ = queue.publish()
            guard isUsed(position, index), usedID(position, index) == token.id else {
                throw Mismatch(description: "\(token) is not used at \(position), \(index)")
            }
            position.advance(by: Int(token.descriptorCount), size: layout.size)
            index &+= 1
        }
        guard !isUsed(position, index) else {
            throw Mismatch(description: "more is used than was given back")
        }
        queue = try Self.makeDevice(configuration, scratch, regionOffset: regionOffset)
        guard try queue.leftCount == 0 && !queue.next(&chain) else {
            throw Mismatch(description: "something is left")
        }
    }

    private func isUsed(_ position: PackedPosition, _ index: UInt16) -> Bool {
        layout.isPacked
            ? scratch.load(UInt16.self, at: 16 * Int(position.index) + 14) & 0x8080
                == position.usedFlags
            : scratch.load(UInt16.self, at: layout.deviceOffset + 2) != index
    }

    private func usedID(_ position: PackedPosition, _ index: UInt16) -> UInt16 {
        layout.isPacked
            ? scratch.load(UInt16.self, at: 16 * Int(position.index) + 12)
            : scratch.load(
                UInt16.self, at: layout.deviceOffset + 4 + 8 * (Int(index) % layout.size))
    }

    /// Makes a buffer of every free descriptor available, as a driver might before a successor
    /// starts. What it had added and not shown it has not.
    private func makeMoreAvailable(_ open: [Open]) -> [TestBuffer] {
        let busy = Set(open.flatMap(\.descriptors))
        let count = layout.size - open.reduce(0) { $0 + $1.descriptors.count }
        var place = used
        place.advance(by: layout.size - count, size: layout.size)
        var index = scratch.load(UInt16.self, at: layout.driverOffset + 2)
        var free = (0..<layout.size).filter { !busy.contains($0) }
        return (0..<count).map { number in
            let address = 0xf000 + UInt64(number)
            if layout.isPacked {
                scratch.store(address, at: 16 * Int(place.index))
                scratch.store(
                    UInt64(5) | UInt64(100 + number) << 32 | UInt64(place.availableFlags) << 48,
                    at: 16 * Int(place.index) + 8)
                place.advance(by: 1, size: layout.size)
            } else {
                let head = free.removeFirst()
                scratch.store(address, at: 16 * head)
                scratch.store(UInt64(5), at: 16 * head + 8)
                scratch.store(
                    UInt16(head), at: layout.driverOffset + 4 + 2 * (Int(index) % layout.size))
                index &+= 1
                scratch.store(index, at: layout.driverOffset + 2)
            }
            return TestBuffer(
                parts: [GuestRange(address: GuestAddress(address), byteCount: 5)], readableCount: 1)
        }
    }
}
