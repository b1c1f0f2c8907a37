import Testing
import Virtqueue

struct MACAddressTests {
    @Test func textAndBytes() throws {
        let address = try #require(MACAddress("52:54:00:12:34:0f"))
        #expect(address.bytes == [0x52, 0x54, 0, 0x12, 0x34, 0x0f])
        #expect(address.description == "52:54:00:12:34:0f")
        #expect(MACAddress(bytes: address.bytes) == address)
        #expect(MACAddress(rawValue: 0x5254_0012_340f) == address)
        #expect(MACAddress(rawValue: .max) == .broadcast)
        #expect(MACAddress("AA:BB:CC:DD:EE:FF")?.bytes.first == 0xaa)
    }

    @Test(arguments: [
        "", "52:54:00:12:34", "52:54:00:12:34:56:78", "52-54-00-12-34-56", "5:54:00:12:34:56",
        "52:54:00:12:34:5g", "52:54:00:12:34:+1", "052:54:00:12:34:56", ":::::", "525400123456",
    ])
    func noAddress(text: String) {
        #expect(MACAddress(text) == nil)
    }

    @Test func groups() {
        #expect(MACAddress.broadcast.isGroup)
        #expect(MACAddress("01:00:5e:00:00:01")?.isGroup == true)
        #expect(MACAddress("52:54:00:12:34:56")?.isGroup == false)
    }
}
