import TestSupport
import Testing
import Virtqueue

struct NetCommandTests {
    private static let address = MACAddress(rawValue: 0x5254_0012_3456)
    private static let group = MACAddress(rawValue: 0x0100_5e00_0001)

    /// Each command, as the specification has it (5.1.6.5).
    static let known: [(NetCommand, [UInt8])] = [
        (.receive(.all, isOn: true), [0, 0, 1]),
        (.receive(.allMulticast, isOn: false), [0, 1, 0]),
        (.receive(.allUnicast, isOn: true), [0, 2, 1]),
        (.receive(.noMulticast, isOn: true), [0, 3, 1]),
        (.receive(.noUnicast, isOn: true), [0, 4, 1]),
        (.receive(.noBroadcast, isOn: true), [0, 5, 1]),
        (.setAddressTable(unicast: [], multicast: []), [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (
            .setAddressTable(unicast: [address], multicast: [group, group]),
            [1, 0, 1, 0, 0, 0, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 2, 0, 0, 0, 1, 0, 0x5e, 0, 0, 1]
                + [1, 0, 0x5e, 0, 0, 1]
        ),
        (.setAddress(address), [1, 1, 0x52, 0x54, 0, 0x12, 0x34, 0x56]),
        (.virtualNetwork(4095, isReceived: true), [2, 0, 0xff, 0x0f]),
        (.virtualNetwork(1, isReceived: false), [2, 1, 1, 0]),
        (.acknowledgeAnnouncement, [3, 0]),
        (.setPairCount(0x0102), [4, 0, 2, 1]),
    ]

    @Test(arguments: known)
    func bytes(command: NetCommand, bytes: [UInt8]) {
        #expect(command.bytes == bytes)
        #expect(NetCommand(bytes: bytes) == command)
        // Shorter or longer it is no command.
        for count in 0..<bytes.count {
            #expect(NetCommand(bytes: Array(bytes.prefix(count))) == nil)
        }
        #expect(NetCommand(bytes: bytes + [0]) == nil)
    }

    @Test(
        arguments: [
            [0, 6, 1], [0, 0, 2], [1, 2, 0], [2, 2, 1, 0], [2, 0, 0, 0x10], [3, 1], [4, 1, 1, 0],
            [4, 2, 1, 0], [5, 0, 0, 0, 0, 0, 0, 0, 0, 0], [6, 0], [255, 255],
            // Counts of addresses that are not there, one of them so large that their length overflows.
            [1, 0, 1, 0, 0, 0, 0, 0, 0, 0], [1, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0],
            [1, 0, 0, 0, 0, 0, 0xab, 0xaa, 0xaa, 0x2a, 1, 2, 3, 4, 5, 6],
        ] as [[UInt8]])
    func noCommand(bytes: [UInt8]) {
        #expect(NetCommand(bytes: bytes) == nil)
    }

    @Test func theLongestTable() {
        let list = Array(repeating: Self.address, count: NetCommand.tableLengthMax)
        let longest = NetCommand.setAddressTable(unicast: list, multicast: [])
        #expect(longest.bytes.count == NetCommand.byteCountMax)
        #expect(NetCommand(bytes: longest.bytes) == longest)
        let longer = NetCommand.setAddressTable(unicast: list, multicast: [Self.group])
        #expect(NetCommand(bytes: longer.bytes) == nil)
    }

    @Test("Whatever is taken for a command is that command")
    func randomBytes() {
        var random = SeededGenerator(seed: 5)
        for _ in 0..<20_000 {
            var bytes = random.bytes(Int.random(in: 0...24, using: &random))
            for index in bytes.indices where Bool.random(using: &random) {
                bytes[index] = UInt8.random(in: 0...2, using: &random)
            }
            if let command = NetCommand(bytes: bytes) { #expect(command.bytes == bytes) }
        }
    }

    @Test func features() {
        #expect(NetCommand.receive(.all, isOn: true).feature == .netReceiveMode)
        #expect(NetCommand.receive(.noUnicast, isOn: true).feature == .netReceiveModeExtra)
        #expect(NetCommand.setPairCount(1).feature == .netMultiqueue)
        #expect(NetCommand.setAddress(Self.address).feature == .netSetMAC)
        #expect(NetCommand.acknowledgeAnnouncement.feature == .netGuestAnnounce)
        #expect(NetCommand.virtualNetwork(1, isReceived: true).feature == .netVLANFilter)
    }
}
