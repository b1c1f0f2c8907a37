import BasicContainers
import SharedMemory

@testable import Virtqueue

/// A queue in memory of its own, with both sides.
struct QueuePair: ~Copyable {
    static let base = GuestAddress(0x10_0000)

    let memory: HostMemory
    let map: MemoryMap
    let configuration: QueueConfiguration
    var driver: DriverQueue
    var device: DeviceQueue
    var chain: DescriptorChain

    init(
        size: Int, features: VirtioFeatures, tableLength: Int = 0, chainCapacity: Int = 64,
        extraByteCount: Int = 65536
    ) throws {
        let layout = QueueLayout(
            size: size, isPacked: features.contains(.packedRing), tableLength: tableLength)
        let memory = try HostMemory.anonymous(byteCount: layout.byteCount + extraByteCount)
        let map = MemoryMap(memory, at: Self.base)
        let configuration = layout.configuration(at: Self.base, features: features)
        let driver = try DriverQueue(layout, at: Self.base, features: features, memoryMap: map)
        let device = try DeviceQueue(
            configuration, memoryMap: map, position: .start(isPacked: layout.isPacked))
        self.memory = memory
        self.map = map
        self.configuration = configuration
        self.driver = driver
        self.device = device
        chain = DescriptorChain(capacity: chainCapacity)
    }
}

/// A buffer as a test sees it.
struct TestBuffer: Equatable {
    var parts: [GuestRange]
    var readableCount: Int

    static func random(
        partCountMax: Int, using random: inout some RandomNumberGenerator
    ) -> TestBuffer {
        let count = Int.random(in: 1...partCountMax, using: &random)
        return TestBuffer(
            parts: (0..<count).map { _ in
                GuestRange(
                    address: GuestAddress(UInt64.random(in: 0...UInt64.max, using: &random)),
                    byteCount: Int.random(in: 0...0xffff, using: &random))
            }, readableCount: Int.random(in: 0...count, using: &random))
    }

    var writableByteCount: Int { parts[readableCount...].reduce(0) { $0 + $1.byteCount } }
}

extension DescriptorChain {
    var buffer: TestBuffer {
        TestBuffer(parts: (0..<count).map { self[$0] }, readableCount: readableCount)
    }
}
