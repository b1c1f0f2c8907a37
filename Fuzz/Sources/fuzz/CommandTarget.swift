import SharedMemory
import Virtqueue

@testable import NetBackend

/// Commands by a control queue, one after another.
///
/// Input: what was negotiated; then for each command its bytes, how they are cut into parts, and the room
/// for the answer.
enum CommandTarget {
    private static let choices: [VirtioFeatures] = [
        .netReceiveMode, .netReceiveModeExtra, .netVLANFilter, .netSetMAC, .netGuestAnnounce,
        .netMultiqueue, .packedRing,
    ]
    private static let pairCount: UInt16 = 4

    static func run(_ input: FuzzInput) {
        var input = input
        let bits = input.next(UInt8.self)
        var features: VirtioFeatures = [.version1, .netControlQueue]
        for (index, choice) in choices.enumerated() where bits & 1 << UInt8(index) != 0 {
            features.formUnion(choice)
        }
        var space = NetConfiguration()
        space.macAddress = MACAddress(rawValue: 0x5254_0000_0001)
        space.pairCountMax = pairCount
        let state = NetState(space)
        NetStand.data.clear()
        let setup = NetStand.setup(features)
        var driver = NetStand.driver(features)
        do {
            var queue = try ControlQueue(setup, state: state)
            while !input.isAtEnd {
                try obey(&input, &driver, &queue, state, features)
                check(state)
            }
        } catch {
            fatalError("\(error)")
        }
    }

    private static func obey(
        _ input: inout FuzzInput, _ driver: inout DriverQueue, _ queue: inout ControlQueue,
        _ state: NetState, _ features: VirtioFeatures
    ) throws {
        let bytes = input.take(input.below(400))
        NetStand.data.poke(bytes, at: 0x1000)
        var readable: [GuestRange] = []
        var done = 0
        while done < bytes.count, readable.count < 20 {
            let count = min(1 + input.below(64), bytes.count - done)
            readable.append(part(at: done, byteCount: count))
            done += count
        }
        let isWhole = done == bytes.count
        // An odd one: to read or write somewhere, or nowhere.
        var writable: [GuestRange] = []
        let room = input.next(UInt8.self)
        if room & 1 != 0 { writable.append(part(at: 0x800, byteCount: Int(room >> 4))) }
        if room & 2 != 0 { writable.append(NetStand.part(&input).range) }
        guard !readable.isEmpty || !writable.isEmpty else { return }
        NetStand.data.poke([0xEE], at: 0x1800)
        let before = (state.configuration, state.filter)
        let counts = (queue.commandCount, queue.refusedCommandCount)
        let isAdded = driver.add(
            (readable + writable).span, readableCount: readable.count, tag: 7)
        require(isAdded, "there is room for a command")
        _ = driver.publish()
        let takenCount = try queue.answer()
        require(takenCount == 1, "a command is taken, whatever it is")
        _ = queue.queue.publish()
        let used = try driver.nextUsed()
        require(used?.tag == 7 && (used?.writtenByteCount ?? 2) <= 1, "it comes back")

        let isObeyed = queue.commandCount == counts.0 + 1
        require(
            queue.commandCount + queue.refusedCommandCount == counts.0 + counts.1 + 1,
            "a command is counted once")
        let command = NetCommand(bytes: bytes)
        if let command { require(command.bytes == bytes, "there is one way to say it") }
        if isObeyed {
            require(isWhole, "half a command is none")
            require(command.map { features.contains($0.feature) } == true, "it was negotiated")
        } else {
            require(
                state.configuration == before.0 && state.filter == before.1,
                "what is refused changes nothing")
        }
        // Of a chain cut short the last part is kept, which may be the odd one.
        if room & 1 != 0, room >> 4 > 0, readable.count + writable.count <= 16 {
            require(used?.writtenByteCount == 1, "there is room for the answer")
            require(
                NetStand.data.load(UInt8.self, at: 0x1800) == (isObeyed ? 0 : 1),
                "the answer is what was done")
        }
    }

    private static func part(at offset: Int, byteCount: Int) -> GuestRange {
        GuestRange(address: GuestAddress(NetStand.base + UInt64(offset)), byteCount: byteCount)
    }

    /// Whatever was set, the device can go by it.
    private static func check(_ state: NetState) {
        require(state.uses(pair: 0, [.netControlQueue, .netMultiqueue]), "the first pair is used")
        require(
            !state.uses(pair: Int(pairCount), [.netControlQueue, .netMultiqueue]),
            "no pair that is not there")
        require(!state.configuration.macAddress.isGroup, "an address is one device's")
        let filter = state.filter
        for network in [nil, 0, 1, 63, 64, NetCommand.virtualNetworkMax] as [UInt16?] {
            _ = filter.accepts(to: .broadcast, network: network)
            _ = filter.accepts(to: state.configuration.macAddress, network: network)
        }
    }
}
