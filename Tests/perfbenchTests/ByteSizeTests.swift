import Testing

@testable import perfbench

@Suite struct ByteSizeTests {
    @Test(arguments: [
        ("0", 0), ("512", 512), ("512b", 512), ("4k", 4096), ("4K", 4096), ("64KiB", 65536),
        ("64kb", 65536), ("1m", 1 << 20), ("1MiB", 1 << 20), ("2GiB", 2 << 30), ("2g", 2 << 30),
        ("1t", 1 << 40), ("1TiB", 1 << 40),
    ])
    func `takes a size as people write it`(text: String, byteCount: Int) {
        #expect(ByteSize(argument: text)?.byteCount == byteCount)
    }

    @Test(arguments: ["", "k", "-4k", "4.5k", "4 k", "4kk", "4q", "٤k", "99999999999g"])
    func `refuses what is no size`(text: String) {
        #expect(ByteSize(argument: text) == nil)
    }

    @Test(arguments: [512, 1000, 4096, 65536, 1 << 20, 3 << 20, 1 << 30, 0])
    func `what it prints it reads`(byteCount: Int) {
        #expect(ByteSize(argument: ByteSize(byteCount).description)?.byteCount == byteCount)
    }

    @Test func `a list keeps its order and drops repetitions`() {
        let list = CommaList<ByteSize>(argument: "16k,4k,16k,4096")
        #expect(list?.items.map(\.byteCount) == [16384, 4096])
    }

    @Test(arguments: ["", "4k,", ",4k", "4k,,8k", "4k,x"])
    func `refuses what is no list`(text: String) {
        #expect(CommaList<ByteSize>(argument: text) == nil)
    }
}
