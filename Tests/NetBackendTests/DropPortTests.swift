import SharedMemory
import TestSupport
import Testing
import Virtqueue

@testable import NetBackend

@Suite(.enabled(if: Machine.hasUring, "io_uring is not permitted here"))
struct DropPortTests {
    @Test("Every byte of a frame is read")
    func sum() throws {
        var bench = try PairBench(DropPort())
        var expected: UInt64 = 0
        for (length, cut) in [(64, 0), (1514, 700), (100, 99)] {
            let frame = frameBytes(length, seed: UInt64(length))
            let (first, second) = (Array(frame[..<cut]), Array(frame[cut...]))
            bench.send([bench.put(NetHeader().bytes), bench.put(first), bench.put(second)])
            for part in [first, second] {
                for (index, byte) in part.enumerated() {
                    expected &+= UInt64(byte) << UInt64(index % 8 * 8)
                }
            }
        }
        #expect(try bench.pair.turn())
        #expect(try bench.sent() == 3)
        #expect(bench.pair.port.sum == expected)
    }
}
