import SharedMemory
import TestSupport
import Testing
import Virtqueue

@testable import NetBackend

/// A device with its threads, and the driver's side of its queues, with real kicks and calls.
struct NetDeviceBench: ~Copyable {
    let memory: HostMemory
    let map: MemoryMap
    let device: NetDevice
    let features: VirtioFeatures
    private let layout: QueueLayout
    var receive: DriverQueue
    var transmit: DriverQueue
    let kicks: [EventDescriptor]
    let calls: [EventDescriptor]
    private var next = 3 * ringByteCount

    static let base = GuestAddress(0x40_0000)
    static let ringByteCount = 32768
    static let bufferByteCount = 2048

    init(_ device: NetDevice, features: VirtioFeatures = [.netMergeableBuffers, .eventIndex]) throws
    {
        let layout = QueueLayout(size: 64, isPacked: features.contains(.packedRing))
        let memory = try HostMemory.anonymous(byteCount: 1 << 20)
        let map = MemoryMap(memory, at: Self.base)
        let receive = try DriverQueue(
            layout, at: Self.address(0), features: features, memoryMap: map)
        let transmit = try DriverQueue(
            layout, at: Self.address(Self.ringByteCount), features: features, memoryMap: map)
        let kicks = try (0..<2).map { _ in try EventDescriptor() }
        let calls = try (0..<2).map { _ in try EventDescriptor() }
        self.memory = memory
        self.map = map
        self.device = device
        self.features = features
        self.layout = layout
        self.receive = receive
        self.transmit = transmit
        self.kicks = kicks
        self.calls = calls
    }

    static func address(_ offset: Int) -> GuestAddress {
        GuestAddress(base.rawValue + UInt64(offset))
    }

    func setup(_ index: Int, at position: QueuePosition? = nil) -> QueueSetup {
        QueueSetup(
            configuration: layout.configuration(
                at: Self.address(index * Self.ringByteCount), features: features),
            memoryMap: map, position: position ?? .start(isPacked: layout.isPacked),
            kick: kicks[index], call: calls[index])
    }

    func start() throws {
        try device.startQueue(0, setup(0))
        try device.startQueue(1, setup(1))
    }

    /// Makes a frame available.
    ///
    /// - Parameter cuts: where its buffer is cut into parts, counted from the header's start.
    mutating func send(
        _ frame: [UInt8], _ header: NetHeader = NetHeader(), cutAt cuts: [Int] = []
    ) {
        let bytes = header.bytes + frame
        if next + bytes.count > memory.byteCount / 2 { next = 3 * Self.ringByteCount }
        memory.store(bytes.span, at: next)
        let parts = zip([0] + cuts, cuts + [bytes.count]).map { begin, end in
            GuestRange(address: Self.address(next + begin), byteCount: end - begin)
        }
        next += bytes.count
        let isAdded = transmit.add(parts.span, readableCount: parts.count, tag: 0)
        precondition(isAdded, "the queue has room")
        if transmit.publish() { kicks[1].signal() }
    }

    /// Makes buffers of 2 KiB available, as many as there can be, by their numbers.
    mutating func fill() {
        for index in 0..<64 { offer(UInt64(index)) }
    }

    mutating func offer(_ index: UInt64) {
        let parts = [
            GuestRange(
                address: Self.address(offset(index)), byteCount: Self.bufferByteCount)
        ]
        let isAdded = receive.add(parts.span, readableCount: 0, tag: index)
        precondition(isAdded, "the queue has room")
        if receive.publish() { kicks[0].signal() }
    }

    private func offset(_ index: UInt64) -> Int {
        memory.byteCount / 2 + Int(index) * Self.bufferByteCount
    }

    /// Waits for a frame, asleep: only the call wakes; offers its buffers again.
    ///
    /// - Returns: the frame; `nil` where none came in time.
    mutating func frame() throws -> (header: NetHeader, bytes: [UInt8])? {
        var bytes: [UInt8] = []
        while true {
            while let used = try receive.nextUsed() {
                bytes += memory.bytes(at: offset(used.tag), byteCount: used.writtenByteCount)
                offer(used.tag)
                let header = NetHeader(bytes: Array(bytes.prefix(12)))
                if Int(header.bufferCount) * Self.bufferByteCount - bytes.count
                    < Self.bufferByteCount
                {
                    return (header, Array(bytes.dropFirst(12)))
                }
            }
            if receive.enableCalls() { continue }
            guard calls[0].comes() else { return nil }
        }
    }

    /// Waits until frames that were sent came back.
    mutating func sent(_ count: Int) throws -> Bool {
        var done = 0
        while done < count {
            if try transmit.nextUsed() != nil {
                done += 1
            } else if !transmit.enableCalls(), !calls[1].comes() {
                return false
            }
        }
        return true
    }
}

extension EventDescriptor {
    /// Waits for some seconds. A process that is stopped meanwhile has its waits interrupted.
    func comes() -> Bool {
        for _ in 0..<50 where wait(timeoutMilliseconds: 100) { return true }
        return false
    }
}
