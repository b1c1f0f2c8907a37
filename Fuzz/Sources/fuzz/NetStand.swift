import SharedMemory

@testable import NetBackend
@testable import Virtqueue

/// A queue of a network device and its driver's side, in memory that all runs share.
///
/// Besides the rings there are two regions side by side, and one that ends with the address space.
enum NetStand {
    static let rings = HostMemory.forFuzzing(byteCount: 0x8000)
    static let data = HostMemory.forFuzzing(byteCount: 0x12000)
    private static let ringBase = GuestAddress(0x10_0000)
    static let base: UInt64 = 0x20_0000
    /// Where parts are, more or less.
    static let bases: [UInt64] = [base, base + 0x10000, base + 0x11000, UInt64.max - 0xfff]

    static let map: MemoryMap = {
        func region(
            _ address: UInt64, _ memory: HostMemory, _ offset: Int, _ byteCount: Int
        ) -> MemoryMap.Region {
            MemoryMap.Region(
                guestAddress: GuestAddress(address), memory: memory, memoryOffset: offset,
                byteCount: byteCount)
        }
        do {
            return try MemoryMap([
                region(ringBase.rawValue, rings, 0, 0x8000),
                region(base, data, 0x1000, 0x10000),
                region(base + 0x10000, data, 0, 0x1000),
                region(UInt64.max - 0xfff, data, 0x11000, 0x1000),
            ])
        } catch {
            fatalError("\(error)")
        }
    }()

    /// What the device of an empty queue is made with.
    static func setup(_ features: VirtioFeatures) -> QueueSetup {
        rings.clear()
        let layout = layout(features)
        return QueueSetup(
            configuration: layout.configuration(at: ringBase, features: features),
            memoryMap: map, position: .start(isPacked: layout.isPacked), kick: nil, call: nil)
    }

    /// Its driver's side.
    static func driver(_ features: VirtioFeatures) -> DriverQueue {
        do {
            return try DriverQueue(
                layout(features), at: ringBase, features: features, memoryMap: map)
        } catch {
            fatalError("\(error)")
        }
    }

    private static func layout(_ features: VirtioFeatures) -> QueueLayout {
        QueueLayout(size: 64, isPacked: features.contains(.packedRing), tableLength: 0)
    }

    /// Takes a part: where, how long, and whether it is to write.
    static func part(_ input: inout FuzzInput) -> (range: GuestRange, isWritable: Bool) {
        let kind = input.next(UInt8.self)
        let address: UInt64 =
            if kind & 8 != 0 {
                input.next()
            } else {
                bases[Int(kind & 3)] &+ UInt64(input.next(UInt8.self)) &- 0x20
            }
        let byteCount: Int =
            switch kind >> 4 & 3 {
            case 0: Int(input.next(UInt8.self))
            case 1: Int(input.next(UInt16.self))
            case 2: Int(input.next(UInt32.self))
            default: NetHeader.byteCount
            }
        return (
            GuestRange(address: GuestAddress(address), byteCount: byteCount), kind & 0x80 != 0
        )
    }

    /// A pair's ring, which nothing is prepared in. One for all runs: to make one takes a while.
    static func withRing<Result>(_ body: (inout NetRing) -> Result) -> Result {
        if unsafe ring == nil { unsafe ring = try? NetRing(entryCount: 1) }
        guard var taken = unsafe ring.take() else { fatalError("the system gives a ring") }
        let result = body(&taken)
        unsafe ring = consume taken
        return result
    }

    // SAFETY: libFuzzer has one thread.
    nonisolated(unsafe) private static var ring: NetRing?
}
