import Testing

@testable import perfbench

@Suite struct ReportTests {
    @Test(arguments: [
        (0.0, 2, "0.00"), (1.005, 1, "1.0"), (-0.004, 2, "0.00"), (-1.5, 1, "-1.5"),
        (1234.5678, 3, "1234.568"), (0.05, 1, "0.1"), (12.0, 0, "12"), (.infinity, 2, "-"),
        (.nan, 2, "-"),
    ])
    func `numbers have the decimal places asked for`(value: Double, places: Int, text: String) {
        #expect(value.fixed(places) == text)
    }

    @Test(arguments: [
        (0.0, "0.0"), (42, "42"), (999, "999"), (1500, "1.5k"), (541_000, "541k"),
        (1_260_000, "1.3M"),
    ])
    func `large numbers are short`(value: Double, text: String) {
        #expect(value.short == text)
    }

    @Test func `a table is as wide as its widest cells`() {
        var table = TextTable(header: ["name", "n"], leftAlignedCount: 1)
        table.append(["a", "1000"])
        table.appendGap()
        table.append(["longer", "1"])
        #expect(table.text == "name       n\na       1000\n\nlonger     1\n")
    }

    @Test func `percentiles have the names that fio gives them`() {
        #expect(BlockRun.Latency.key(50) == "50.000000")
        #expect(BlockRun.Latency.key(99.95) == "99.950000")
    }
}
