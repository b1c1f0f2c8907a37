import Testing
import Virtqueue

@testable import NetBackend

struct NetFilterTests {
    private static let own = MACAddress(rawValue: 0x5254_0000_0001)
    private static let other = MACAddress(rawValue: 0x5254_0000_0002)
    private static let group = MACAddress(rawValue: 0x0100_5e00_0001)

    /// One that was told not to receive all.
    private func filter() -> NetFilter {
        var filter = NetFilter(address: Self.own)
        filter.set(.all, isOn: false)
        return filter
    }

    private func accepted(_ filter: NetFilter) -> [Bool] {
        [Self.own, Self.other, Self.group, .broadcast].map {
            filter.accepts(to: $0, network: nil)
        }
    }

    @Test("All, until a driver says otherwise")
    func initial() {
        #expect(NetFilter(address: Self.own).takesAll)
        #expect(accepted(NetFilter(address: Self.own)) == [true, true, true, true])
        #expect(accepted(filter()) == [true, false, false, true])
    }

    @Test func modes() {
        for (mode, expected) in [
            (.all, [true, true, true, true]), (.allMulticast, [true, false, true, true]),
            (.allUnicast, [true, true, false, true]), (.noUnicast, [false, false, false, true]),
            (.noBroadcast, [true, false, false, false]),
            (.noMulticast, [true, false, false, true]),
        ] as [(NetReceiveMode, [Bool])] {
            var filter = filter()
            filter.set(mode, isOn: true)
            #expect(accepted(filter) == expected, "\(mode)")
            filter.set(mode, isOn: false)
            #expect(accepted(filter) == [true, false, false, true], "\(mode)")
        }
        var filter = filter()
        filter.set(.allMulticast, isOn: true)
        filter.set(.noMulticast, isOn: true)
        #expect(accepted(filter) == [true, false, false, true])
    }

    @Test func tables() {
        var filter = filter()
        filter.setTable(unicast: [Self.other], multicast: [Self.group])
        #expect(accepted(filter) == [true, true, true, true])
        filter.set(.noMulticast, isOn: true)
        #expect(accepted(filter) == [true, true, false, true])
        filter.setTable(unicast: [], multicast: [])
        #expect(accepted(filter) == [true, false, false, true])
    }

    @Test func virtualNetworks() {
        var filter = filter()
        #expect(filter.accepts(to: Self.own, network: 7))
        filter.filterNetworks()
        #expect(!filter.accepts(to: Self.own, network: 7))
        #expect(filter.accepts(to: Self.own, network: nil))
        for network in [0, 7, 63, 64, 4095] as [UInt16] {
            filter.set(network: network, isReceived: true)
            #expect(filter.accepts(to: Self.own, network: network))
            #expect(!filter.accepts(to: Self.own, network: network ^ 1))
            filter.set(network: network, isReceived: false)
            #expect(!filter.accepts(to: Self.own, network: network))
        }
        filter.set(.all, isOn: true)
        #expect(filter.accepts(to: Self.other, network: 9))
    }
}
