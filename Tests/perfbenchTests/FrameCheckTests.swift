import CommandSupport
import Testing
import Virtqueue

@testable import perfbench

@Suite struct FrameCheckTests {
    private static let lane = NetLane(via: .virtqueue, path: .bounce)
    private static let format = FrameFormat(segmented: 4000, mtu: 1500)

    private func check(hasOthers: Bool = false) -> FrameCheck {
        FrameCheck(Self.format, from: .driver, lane: Self.lane, hasOthers: hasOthers)
    }

    private func frame(_ number: Int) -> [UInt8] {
        Self.format.contents(ofFrame: number, from: .driver)
    }

    @Test func `frames in order are fine`() throws {
        var check = check()
        for number in 0..<4 { try check.take(frame(number), Self.format.header) }
        #expect(check.count == 4)
    }

    @Test(arguments: [0, 13, 65, 66, 3999])
    func `a byte that differs is found`(position: Int) throws {
        var check = check()
        try check.take(frame(0), Self.format.header)
        var mutated = frame(1)
        mutated[position] ^= 0x10
        let failure = #expect(throws: CommandFailure.self) {
            try check.take(mutated, Self.format.header)
        }
        #expect(failure?.status == .wrongData)
        #expect(
            failure?.message
                == "verify: frame 1 of 4000 bytes from the driver did not arrive bounce via virtqueue as "
                + "it was sent")
    }

    @Test func `a frame too many, too short, or from the other end is found`() {
        for bytes in [
            frame(1), Array(frame(0).dropLast()), frame(0) + [0],
            Self.format.contents(ofFrame: 0, from: .host),
        ] {
            var check = check()
            #expect(throws: CommandFailure.self) { try check.take(bytes, Self.format.header) }
        }
    }

    @Test func `a frame that is not to be segmented any more is found`() {
        for change in [\NetHeader.segmentByteCount, \.headerByteCount] {
            var header = Self.format.header
            header[keyPath: change] += 1
            var check = check()
            // How long its headers are is a hint, which the kernel gives as it likes.
            if change == \.headerByteCount {
                #expect(throws: Never.self) { try check.take(frame(0), header) }
            } else {
                #expect(throws: CommandFailure.self) { try check.take(frame(0), header) }
            }
        }
        var check = check()
        #expect(throws: CommandFailure.self) { try check.take(frame(0), NetHeader()) }
    }

    @Test func `frames of others are passed over where there are any`() throws {
        var other = frame(0)
        other[6] ^= 0xff
        var check = check(hasOthers: true)
        try check.take(other, NetHeader())
        #expect(check.count == 0)
        var strict = self.check()
        #expect(throws: CommandFailure.self) { try strict.take(other, Self.format.header) }
    }
}
