import SharedMemory
import TestSupport
import Testing
import Virtqueue

@testable import NetBackend

struct ControlQueueTests {
    private static let all: VirtioFeatures = [
        .netControlQueue, .netReceiveMode, .netReceiveModeExtra, .netVLANFilter, .netSetMAC,
        .netGuestAnnounce, .netMultiqueue,
    ]
    private static let other = MACAddress(rawValue: 0x5254_0000_0002)

    @Test("Every command is obeyed and answered")
    func commands() throws {
        var bench = try ControlBench(Self.all)
        #expect(try bench.run(.setAddress(Self.other)) == 0)
        #expect(bench.state.configuration.macAddress == Self.other)
        #expect(try bench.run(.receive(.all, isOn: false)) == 0)
        #expect(!bench.state.filter.takesAll)
        #expect(bench.state.filter.accepts(to: Self.other, network: nil))
        #expect(try bench.run(.setAddressTable(unicast: [ControlBench.own], multicast: [])) == 0)
        #expect(bench.state.filter.accepts(to: ControlBench.own, network: nil))
        #expect(!bench.state.filter.accepts(to: Self.other, network: 5))
        #expect(try bench.run(.virtualNetwork(5, isReceived: true)) == 0)
        #expect(bench.state.filter.accepts(to: Self.other, network: 5))
        #expect(!bench.state.uses(pair: 1, Self.all))
        #expect(try bench.run(.setPairCount(4)) == 0)
        #expect(bench.state.uses(pair: 3, Self.all))
        bench.state.requestAnnouncement()
        #expect(bench.state.configuration.wantsAnnouncement)
        #expect(try bench.run(.acknowledgeAnnouncement) == 0)
        #expect(!bench.state.configuration.wantsAnnouncement)
        #expect(bench.queue.commandCount == 6 && bench.queue.refusedCommandCount == 0)
        let version = bench.state.version
        bench.state.reset()
        #expect(bench.state.version != version)
        #expect(bench.state.filter.takesAll && !bench.state.uses(pair: 1, Self.all))
        #expect(bench.state.configuration.macAddress == ControlBench.own)
    }

    @Test("What cannot be is answered with an error, and changes nothing")
    func impossible() throws {
        var bench = try ControlBench(Self.all)
        let before = bench.state.configuration
        for command in [
            .setPairCount(0), .setPairCount(5), .setPairCount(65535), .setAddress(.broadcast),
            .setAddress(MACAddress(rawValue: 0)),
            .setAddress(MACAddress(rawValue: 0x0100_0000_0000)),
        ] as [NetCommand] {
            #expect(try bench.run(command) == 1, "\(command)")
        }
        #expect(bench.state.configuration == before)
        #expect(bench.queue.refusedCommandCount == 6)
    }

    @Test("What was not negotiated is answered with an error")
    func notNegotiated() throws {
        let commands: [NetCommand] = [
            .receive(.all, isOn: true), .receive(.noBroadcast, isOn: true),
            .setAddressTable(unicast: [], multicast: []), .setAddress(Self.other),
            .virtualNetwork(1, isReceived: true), .acknowledgeAnnouncement, .setPairCount(2),
        ]
        for command in commands {
            var bench = try ControlBench(Self.all.subtracting(command.feature))
            #expect(try bench.run(command) == 1, "\(command)")
            var other = try ControlBench([.netControlQueue, command.feature])
            #expect(try other.run(command) == 0, "\(command)")
        }
    }

    @Test("A command in pieces, and answers in odd places")
    func framing() throws {
        var bench = try ControlBench(Self.all)
        let bytes = NetCommand.setAddress(Self.other).bytes
        for cut in 0...bytes.count {
            let answer = try bench.run(
                [Array(bytes[..<cut]), Array(bytes[cut...])], room: [0, 1])
            #expect(answer == [0])
        }
        #expect(try bench.run([bytes], room: [4]) == [0, 0xEE, 0xEE, 0xEE])
        // As many parts as there are places for, and one more.
        let pieces = bytes.map { [$0] }
        #expect(try bench.run(pieces + Array(repeating: [], count: 7), room: [1]) == [0])
        #expect(try bench.run(pieces + Array(repeating: [], count: 20), room: [1]) == [1])
    }

    @Test("No room for an answer is no reason to stop")
    func noAnswer() throws {
        var bench = try ControlBench(Self.all)
        #expect(try bench.run([NetCommand.setPairCount(2).bytes], room: []) == [])
        #expect(bench.state.uses(pair: 1, Self.all))
        let outside = GuestRange(address: GuestAddress(0x10), byteCount: 8)
        let before = bench.queue.refusedCommandCount
        #expect(try bench.run(parts: [outside], readable: 1) == 0)
        #expect(try bench.run(parts: [bench.put([4, 0, 1, 0]), outside], readable: 1) == 0)
        #expect(bench.queue.refusedCommandCount == before + 1)
        #expect(try bench.run(.setPairCount(3)) == 0)
    }

    @Test("Random bytes are answered, one way or the other")
    func random() throws {
        var bench = try ControlBench(Self.all)
        var random = SeededGenerator(seed: 17)
        for _ in 0..<2000 {
            var bytes = random.bytes(Int.random(in: 0...40, using: &random))
            if !bytes.isEmpty { bytes[0] = UInt8.random(in: 0...5, using: &random) }
            if bytes.count > 1 { bytes[1] = UInt8.random(in: 0...3, using: &random) }
            let answer = try bench.run([bytes], room: [1])
            #expect(answer == [0] || answer == [1])
        }
        #expect(bench.queue.commandCount + bench.queue.refusedCommandCount == 2000)
    }
}

/// A control queue and the driver's side of it.
struct ControlBench: ~Copyable {
    static let base = GuestAddress(0x10_0000)
    static let own = MACAddress(rawValue: 0x5254_0000_0001)

    let memory: HostMemory
    let state: NetState
    var driver: DriverQueue
    var queue: ControlQueue
    private var next = 8192

    init(_ features: VirtioFeatures) throws {
        let layout = QueueLayout(size: 64, isPacked: false)
        let memory = try HostMemory.anonymous(byteCount: 1 << 20)
        let map = MemoryMap(memory, at: Self.base)
        var space = NetConfiguration()
        space.macAddress = Self.own
        space.pairCountMax = 4
        let state = NetState(space)
        let driver = try DriverQueue(layout, at: Self.base, features: features, memoryMap: map)
        let queue = try ControlQueue(
            QueueSetup(
                configuration: layout.configuration(at: Self.base, features: features),
                memoryMap: map, position: .start(isPacked: false), kick: nil, call: nil),
            state: state)
        self.memory = memory
        self.state = state
        self.driver = driver
        self.queue = queue
    }

    mutating func put(_ bytes: [UInt8]) -> GuestRange {
        if next + bytes.count > memory.byteCount { next = 8192 }
        defer { next += bytes.count + 3 }
        memory.store(bytes.span, at: next)
        return GuestRange(
            address: GuestAddress(Self.base.rawValue + UInt64(next)), byteCount: bytes.count)
    }

    /// Gives a command.
    ///
    /// - Returns: the answer.
    mutating func run(_ command: NetCommand) throws -> UInt8? {
        try run([command.bytes], room: [1]).first
    }

    /// Gives a command in pieces.
    ///
    /// - Returns: what the room for the answer has afterwards.
    mutating func run(_ pieces: [[UInt8]], room: [Int]) throws -> [UInt8] {
        let reads = pieces.map { put($0) }
        let writes = room.map { put([UInt8](repeating: 0xEE, count: $0)) }
        _ = try run(parts: reads + writes, readable: reads.count)
        return writes.flatMap {
            memory.bytes(
                at: Int($0.address.rawValue - Self.base.rawValue), byteCount: $0.byteCount)
        }
    }

    /// - Returns: how many bytes the device says it has written.
    mutating func run(parts: [GuestRange], readable: Int) throws -> Int? {
        let isAdded = driver.add(parts.span, readableCount: readable, tag: 0)
        precondition(isAdded, "the queue has room")
        _ = driver.publish()
        #expect(try queue.answer() == 1)
        _ = queue.queue.publish()
        return try driver.nextUsed()?.writtenByteCount
    }
}
