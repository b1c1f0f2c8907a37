import Testing

@testable import BlockBackend

@Suite struct RingTagTests {
    @Test("A tag gives back what it was made of", arguments: [0, 1, 127, 32767, 1 << 32 - 1])
    func roundTrip(index: Int) {
        for purpose in [RingTag.Purpose.request, .gate] {
            let tag = RingTag(rawValue: RingTag(purpose, index: index).rawValue)
            #expect(tag.purpose == purpose)
            #expect(tag.index == index)
        }
    }

    @Test("A purpose that there is not traps")
    func unknownPurpose() async {
        await #expect(processExitsWith: .failure) {
            _ = RingTag(rawValue: .max).purpose
        }
    }
}
