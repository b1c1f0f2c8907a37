import SharedMemory
import SystemPackage
import TestSupport
import Testing
import Virtqueue

@testable import BlockBackend

/// Random requests, many under way at once, against arrays of bytes.
///
/// Requests under way never overlap in sectors, so every outcome is known; on storage with blocks
/// of 4096 bytes they do meet inside blocks, which is where misaligned writes go wrong.
@Suite(.enabled(if: Machine.hasUring, "io_uring is not permitted here"))
struct BlockEngineModelTests {
    private static let sectorCount = 1024
    private static let depth = 24
    private static let slotByteCount = 65536
    private static let stepCount = 1200

    @Test(
        "Mixed requests leave the bytes that they should", arguments: Setting.all,
        [1, 2, 3] as [UInt64])
    func mixed(setting: Setting, seed: UInt64) throws {
        try setting.place.withStorage(byteCount: Self.sectorCount * 512) { storage, path in
            var world = try World(
                seed: seed, bytes: try readFile(path, byteCount: Self.sectorCount * 512),
                memory: try HostMemory.anonymous(
                    byteCount: Self.depth * Self.slotByteCount + 65536))
            // The border of the regions lies inside a slot.
            let border = 5 * Self.slotByteCount + 8192
            let map = try MemoryMap([
                .init(guestAddress: GuestAddress(0), memory: world.memory, byteCount: border),
                .init(
                    guestAddress: GuestAddress(UInt64(border)), memory: world.memory,
                    memoryOffset: border),
            ])
            var configuration = setting.configuration
            configuration.requestCountMax = Self.depth
            do {
                var engine = try BlockEngine(
                    storage: storage, memoryMap: map, configuration: configuration)
                for _ in 0..<Self.stepCount where !world.hasFailed {
                    for _ in 0..<Int.random(in: 1...8, using: &world.generator) {
                        world.enqueue(to: &engine)
                    }
                    try engine.submitAndWait(
                        minimumCompletionCount: Int.random(in: 0...4, using: &world.generator))
                    while let completion = engine.nextCompletion() { world.check(completion) }
                }
                while !engine.isIdle {
                    try engine.submitAndWait()
                    while let completion = engine.nextCompletion() { world.check(completion) }
                }
                #expect(world.underway.isEmpty, "seed \(seed)")
                #expect(try engine.run(.flush).status == .ok)
            }
            let file = try readFile(path, byteCount: Self.sectorCount * 512)
            for sector in 0..<Self.sectorCount where world.isKnown[sector] {
                let bytes = sector * 512..<sector * 512 + 512
                guard file[bytes] != world.bytes[bytes] else { continue }
                Issue.record("seed \(seed): sector \(sector) is not what was written")
                break
            }
        }
    }

    /// What the test knows of the storage and of the requests under way.
    private struct World {
        struct Request {
            let operation: BlockOperation
            let sector: Int
            let count: Int
            let payload: [GuestRange]
            let slot: Int
        }

        let seed: UInt64
        var generator: SeededGenerator
        var bytes: [UInt8]
        let memory: HostMemory
        /// What is written, from anywhere in it.
        let pattern: HostMemory
        /// False for sectors that were discarded: reads of them may return anything.
        var isKnown = [Bool](repeating: true, count: sectorCount)
        var isBusy = [Bool](repeating: false, count: sectorCount)
        var freeSlots = Array(0..<depth)
        var underway: [UInt64: Request] = [:]
        var nextTag: UInt64 = 1000
        var hasFailed = false

        init(seed: UInt64, bytes: [UInt8], memory: HostMemory) throws {
            self.seed = seed
            generator = SeededGenerator(seed: seed)
            self.bytes = bytes
            self.memory = memory
            pattern = try HostMemory.anonymous(byteCount: 2 * slotByteCount)
            pattern.store(randomBytes(2 * slotByteCount, seed: seed).span, at: 0)
        }

        private mutating func random(_ range: ClosedRange<Int>) -> Int {
            Int.random(in: range, using: &generator)
        }

        /// A payload of a slot: at any address, in one range or several with gaps between.
        private mutating func payload(slot: Int, byteCount: Int) -> [GuestRange] {
            var address = slot * slotByteCount + [0, 0, 0, 512, 4, 1, 100][random(0...6)]
            var rest = byteCount
            var list: [GuestRange] = []
            let unit = [4096, 512, 4, 1][random(0...3)]
            let isOne = random(0...1) == 0
            while rest > 0 {
                let wanted = isOne ? rest : max(unit, random(1...rest) / unit * unit)
                let count = list.count == 7 ? rest : min(wanted, rest)
                list.append(GuestRange(UInt64(address), count))
                address += count + [0, 4, 4096][random(0...2)]
                rest -= count
            }
            return list
        }

        mutating func enqueue(to engine: inout BlockEngine) {
            guard !freeSlots.isEmpty else { return }
            // Short ones mostly, and close together, so that they meet in blocks.
            let isLong = random(0...7) == 0
            let isAligned = random(0...1) == 0
            var count = isLong ? random(1...48) : random(1...8)
            var sector = random(0...sectorCount - 1)
            if isAligned {
                sector &= ~7
                count = (count + 7) & ~7
            }
            guard sector + count <= sectorCount,
                !isBusy[sector..<sector + count].contains(true)
            else { return }
            let operation: BlockOperation =
                switch random(0...19) {
                case 0...7: .read
                case 8...16: .write
                case 17: .flush
                case 18: .discard(sectorCount: UInt64(count))
                default:
                    .writeZeroes(sectorCount: UInt64(count), mayUnmap: random(0...1) == 0)
                }
            let slot = freeSlots.removeLast()
            var ranges: [GuestRange] = []
            if operation == .read || operation == .write {
                ranges = payload(slot: slot, byteCount: count * 512)
                if operation == .write {
                    memory.copy(
                        at: slot * slotByteCount, from: pattern, at: random(0...slotByteCount),
                        byteCount: slotByteCount)
                } else {
                    memory.fill(at: slot * slotByteCount, byteCount: slotByteCount, with: 0xAA)
                }
            }
            nextTag += 1
            let isTaken =
                switch ranges.count {
                case 0: engine.enqueue(operation, sector: UInt64(sector), tag: nextTag)
                case 1:
                    engine.enqueue(
                        operation, sector: UInt64(sector), payload: ranges[0], tag: nextTag)
                default:
                    engine.enqueue(
                        operation, sector: UInt64(sector), payload: ranges.span, tag: nextTag)
                }
            #expect(isTaken, "seed \(seed)")
            if operation != .flush {
                for index in sector..<sector + count { isBusy[index] = true }
            }
            underway[nextTag] = Request(
                operation: operation, sector: sector, count: count, payload: ranges, slot: slot)
        }

        mutating func check(_ completion: BlockCompletion) {
            guard let request = underway.removeValue(forKey: completion.tag) else {
                fail("tag \(completion.tag) completed twice or was never enqueued")
                return
            }
            freeSlots.append(request.slot)
            let sectors = request.sector..<request.sector + request.count
            if request.operation != .flush { for index in sectors { isBusy[index] = false } }
            if case .discard = request.operation, completion.status == .unsupported { return }
            guard completion.status == .ok else {
                fail("\(request) ended with \(completion)")
                return
            }
            let range = sectors.lowerBound * 512..<sectors.upperBound * 512
            switch request.operation {
            case .read: checkRead(request, completion)
            case .write:
                var data: [UInt8] = []
                for part in request.payload {
                    data += memory.bytes(
                        at: Int(part.address.rawValue), byteCount: part.byteCount)
                }
                bytes.replaceSubrange(range, with: data)
                for index in sectors { isKnown[index] = true }
            case .writeZeroes:
                bytes.replaceSubrange(range, with: repeatElement(0, count: range.count))
                for index in sectors { isKnown[index] = true }
            case .discard:
                for index in sectors { isKnown[index] = false }
            case .flush: break
            }
        }

        private mutating func checkRead(_ request: Request, _ completion: BlockCompletion) {
            if completion.writtenByteCount != request.count * 512 {
                fail("\(request) wrote \(completion.writtenByteCount) bytes")
            }
            // The slot as it should be: the payload in its ranges, and all else untouched.
            var slot = [UInt8](repeating: 0xAA, count: slotByteCount)
            let first = request.slot * slotByteCount
            var position = request.sector * 512
            for range in request.payload {
                let offset = Int(range.address.rawValue) - first
                slot.replaceSubrange(
                    offset..<offset + range.byteCount,
                    with: bytes[position..<position + range.byteCount])
                position += range.byteCount
            }
            let found = memory.bytes(at: first, byteCount: slotByteCount)
            let sectors = request.sector..<request.sector + request.count
            guard sectors.allSatisfy({ isKnown[$0] }) else { return }
            if let index = firstDifference(found, slot) {
                fail("\(request) differs at byte \(index) of its slot")
            }
        }

        private mutating func fail(_ message: String) {
            hasFailed = true
            Issue.record("seed \(seed): \(message)")
        }
    }
}
