import Testing
import Virtqueue

struct NetConfigurationTests {
    @Test func layout() {
        var space = NetConfiguration()
        space.macAddress = MACAddress(rawValue: 0x0102_0304_0506)
        space.wantsAnnouncement = true
        space.pairCountMax = 0x0807
        space.mtu = 0x0a09
        #expect(space.bytes == [1, 2, 3, 4, 5, 6, 3, 0, 7, 8, 9, 10])
        #expect(space.bytes.count == NetConfiguration.byteCount)
        #expect(NetConfiguration(bytes: space.bytes) == space)
        space.isLinkUp = false
        #expect(space.bytes[6] == 2)
        #expect(NetConfiguration(bytes: space.bytes) == space)
    }

    @Test func shortSpacesEndInZeroes() {
        let space = NetConfiguration(bytes: [1, 2, 3, 4, 5, 6, 1])
        #expect(space.isLinkUp && !space.wantsAnnouncement)
        #expect(space.pairCountMax == 0 && space.mtu == 0)
        #expect(NetConfiguration(bytes: []).macAddress.rawValue == 0)
    }
}
