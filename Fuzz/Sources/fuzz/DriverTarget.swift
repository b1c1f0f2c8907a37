import SharedMemory

@testable import Virtqueue

/// The driver's side of a queue against a device that writes what it likes.
///
/// Input: features and size; the steps.
struct DriverTarget: ~Copyable {
    private static let base = GuestAddress(0x10_0000)
    private static let memory = HostMemory.forFuzzing(byteCount: 0x10000)
    private static let tableLengthMax = 4

    private let layout: QueueLayout
    private var input: FuzzInput
    private var driver: DriverQueue
    private var nextTag: UInt64 = 0
    /// What is with the device: how much it may write, by tag.
    private var added: [UInt64: Int] = [:]
    private var isFaulty = false
    /// How far the device has come in a split queue, where it keeps to the rules.
    private var used: UInt16 = 0

    static func run(_ input: FuzzInput) {
        memory.clear()
        var target = DriverTarget(input)
        while !target.input.isAtEnd { target.step() }
    }

    private init(_ input: FuzzInput) {
        var input = input
        let flags = input.next(UInt8.self)
        var features: VirtioFeatures = []
        if flags & 1 != 0 { features.insert(.packedRing) }
        if flags & 2 != 0 { features.insert(.indirectDescriptors) }
        if flags & 4 != 0 { features.insert(.eventIndex) }
        if flags & 8 != 0 { features.insert(.inOrder) }
        let size = 1 << input.below(8)
        layout = QueueLayout(
            size: size, isPacked: features.contains(.packedRing),
            tableLength: flags & 2 != 0 ? min(size, Self.tableLengthMax) : 0)
        do {
            driver = try DriverQueue(
                layout, at: Self.base, features: features,
                memoryMap: MemoryMap(Self.memory, at: Self.base))
        } catch {
            fatalError("\(error)")
        }
        self.input = input
    }

    private mutating func step() {
        switch input.below(8) {
        case 0: add()
        case 1: _ = driver.publish()
        case 2, 3: takeBack()
        case 4: useSplit()
        case 5: usePacked()
        case 6:
            if input.below(2) == 0 {
                _ = driver.enableCalls()
            } else {
                driver.disableCalls()
            }
        default:
            let offset = Int(input.next(UInt16.self))
            Self.memory.poke(input.take(input.below(24)), at: offset)
        }
    }

    private mutating func add() {
        let kind = input.next(UInt8.self)
        let parts = (0...Int(kind & 7)).map { index in
            GuestRange(
                address: GuestAddress(UInt64(index) << 12), byteCount: Int(input.next(UInt8.self)))
        }
        let readableCount = Int(kind >> 3) % (parts.count + 1)
        guard driver.add(parts.span, readableCount: readableCount, tag: nextTag) else { return }
        added[nextTag] = parts.dropFirst(readableCount).reduce(0) { $0 + $1.byteCount }
        nextTag += 1
        require(driver.inflightCount == added.count, "what was added is counted")
        require(added.count <= layout.size, "a queue has no more buffers than descriptors")
    }

    private mutating func takeBack() {
        guard !isFaulty else { return }
        do throws(QueueFault) {
            while let buffer = try driver.nextUsed() {
                guard let writable = added.removeValue(forKey: buffer.tag) else {
                    fatalError("buffer \(buffer.tag) is not with the device")
                }
                require(
                    buffer.writtenByteCount >= 0 && buffer.writtenByteCount <= writable,
                    "no more was written than there is room for")
                require(driver.inflightCount == added.count, "what came back is counted")
            }
        } catch {
            isFaulty = true
            require(driver.inflightCount == added.count, "after a fault nothing came back")
        }
        require(
            driver.freeDescriptorCount >= 0 && driver.freeDescriptorCount <= layout.size,
            "descriptors are counted")
    }

    /// An entry of a split queue's used ring, nearly as a device would write it.
    private mutating func useSplit() {
        let configuration = layout.configuration(
            at: Self.base, features: layout.isPacked ? .packedRing : [])
        let device = Int(configuration.deviceArea.rawValue - Self.base.rawValue)
        let offset = device + SplitRing.used(Int(used) % layout.size)
        Self.memory.poke(UInt32(input.next(UInt8.self)), at: offset)
        Self.memory.poke(UInt32(input.next(UInt8.self)), at: offset + 4)
        used &+= 1 + UInt16(input.below(4))
        Self.memory.poke(used, at: device + SplitRing.index)
    }

    /// A used descriptor of a packed queue, likewise.
    private mutating func usePacked() {
        let index = Int(input.next(UInt8.self)) % layout.size
        let flags = input.next(UInt8.self)
        let ownership =
            (flags & 0x40 != 0 ? Descriptor.available : 0)
            | (flags & 0x80 != 0 ? Descriptor.used : 0)
        let id = UInt16(input.next(UInt8.self))
        let byteCount = Int(input.next(UInt8.self))
        let descriptor = Descriptor(
            GuestRange(address: GuestAddress(0), byteCount: byteCount), id: id,
            flags: UInt16(flags & 0x3f) | ownership)
        Self.memory.poke(descriptor.word, at: Descriptor.byteCount * index + 8)
    }
}
