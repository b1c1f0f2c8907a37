import SharedMemory

@testable import Virtqueue

/// The device's side of a queue against a driver that writes what it likes, where it likes, between
/// any two steps; and against a former device that has left what it likes in the in-flight region.
///
/// Input: what the queue is set up with (``ChainSetup``); the steps.
struct ChainTarget: ~Copyable {
    let setup: ChainSetup
    private var input: FuzzInput
    private var device: ChainDevice
    /// How far the driver has come, where it keeps to the rules.
    private var available: UInt16 = 0

    static func run(_ input: FuzzInput) {
        ChainMemory.clear()
        var target = ChainTarget(input)
        target.run()
    }

    private init(_ input: FuzzInput) {
        var input = input
        setup = ChainSetup(&input)
        device = ChainDevice(setup)
        self.input = input
    }

    private enum Step: UInt8, CaseIterable {
        case descriptor, offer, poke, pokeInflight, fill
        case take, takeAll, use, publish, enableKicks, disableKicks, restart
    }

    /// The device is made by the first step that needs it: those before make up what it finds.
    private mutating func run() {
        while !input.isAtEnd {
            let number = input.next(UInt8.self) % UInt8(Step.allCases.count)
            switch Step(rawValue: number) ?? .take {
            case .descriptor: putDescriptor()
            case .offer: offer()
            case .poke:
                let offset = Int(input.next(UInt16.self))
                ChainMemory.rings.poke(input.take(input.below(32)), at: offset)
            case .pokeInflight:
                let offset = Int(input.next(UInt16.self))
                ChainMemory.inflight.poke(input.take(input.below(48)), at: offset)
            case .fill:
                let offset = Int(input.next(UInt16.self))
                let bytes = input.take(16)
                for index in 0..<input.below(256) {
                    ChainMemory.rings.poke(bytes, at: offset + 16 * index)
                }
            case .take: _ = device.take()
            case .takeAll: device.takeAll()
            case .use: device.use(input.below(256), writtenByteCount: Int(input.next(UInt8.self)))
            case .publish: device.publish()
            case .enableKicks: device.enableKicks()
            case .disableKicks: device.disableKicks()
            case .restart: device.die()
            }
        }
        device.drain()
    }

    /// Puts a descriptor into the ring, or into a table.
    private mutating func putDescriptor() {
        let kind = input.next(UInt8.self)
        let index = Int(input.next(UInt8.self))
        let address: UInt64 =
            kind & 1 == 0 ? ChainMemory.base &+ UInt64(input.next(UInt16.self)) : input.next()
        let byteCount: UInt32 =
            switch kind >> 1 & 3 {
            case 0: UInt32(input.next(UInt8.self))
            case 1: UInt32(input.next(UInt8.self)) * 16
            case 2: UInt32(input.next(UInt16.self))
            default: input.next()
            }
        let flags = input.next(UInt8.self)
        let link = kind & 8 == 0 ? UInt16(input.next(UInt8.self)) : input.next(UInt16.self)
        let range = GuestRange(address: GuestAddress(address), byteCount: Int(byteCount))
        let low = UInt16(flags & 0x3f)
        // The upper bits are those that say whose a packed descriptor is.
        let ownership =
            (flags & 0x40 != 0 ? Descriptor.available : 0)
            | (flags & 0x80 != 0 ? Descriptor.used : 0)
        let descriptor =
            setup.configuration.isPacked
            ? Descriptor(range, id: link, flags: low | ownership)
            : Descriptor(range, flags: low, next: link)
        let offset =
            (kind & 0x10 == 0 ? ChainMemory.descriptors : ChainMemory.tables)
            + Descriptor.byteCount * index
        ChainMemory.rings.poke(descriptor.address, at: offset)
        ChainMemory.rings.poke(descriptor.word, at: offset + 8)
    }

    /// Makes buffers of a split queue available, as a driver would.
    private mutating func offer() {
        let size = max(setup.configuration.size, 1)
        for _ in 0..<1 + input.below(8) {
            let head = UInt16(input.next(UInt8.self))
            ChainMemory.rings.poke(
                head, at: ChainMemory.driver + SplitRing.available(Int(available) % size))
            available &+= 1
        }
        ChainMemory.rings.poke(available, at: ChainMemory.driver + SplitRing.index)
    }
}
