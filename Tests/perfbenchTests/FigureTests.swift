import Foundation
import SystemPackage
import Testing

@testable import perfbench

@Suite struct FigureTests {
    @Test func `names are fit for files and pages`() {
        #expect(Figure.name("latency", "randread 4k ×32") == "latency-randread-4k-x32")
        #expect(Figure.name("a/../b", "µ") == "a-b")
    }

    @Test func `text is text to gnuplot, whatever is in it`() {
        #expect("a \"b\" \\c\nd".quoted == "'a \"b\" \\c d'")
        // Between double marks gnuplot would run it.
        #expect("it's `id`\0".quoted == "'it''s `id` '")
    }

    @Test func `a finished figure has its own ids, a name, and colours for dark paper`() {
        let figure = Figure(
            name: "one", section: "", title: "a < b", caption: "c & d", commands: "",
            numbers: TextTable(header: [], leftAlignedCount: 0))
        let drawn = """
            <svg xmlns="http://www.w3.org/2000/svg"><title>x</title><desc>y </desc>
            <path id='gpPt1'/><use xlink:href='#gpPt1' color='rgb(  0, 114, 178)'/>
            <g fill="rgb(0,0,0)"/><rect fill="#D55E00"/></svg>
            """
        let svg = figure.finish(drawn)
        #expect(svg.contains("id='one-gpPt1'") && svg.contains("'#one-gpPt1'"))
        #expect(svg.contains("<title>a &lt; b</title>") && svg.contains("<desc>c &amp; d</desc>"))
        #expect(svg.contains("aria-label=\"a &lt; b\""))
        #expect(svg.contains("color='#0072b2'"))
        #expect(svg.contains("fill=\"black\"/>"))
        #expect(svg.contains("[fill=\"#d55e00\"] { fill: #ff8b4d }"))
    }

    @Test func `the parts of CPU time add up to it`() throws {
        let report = try SampleReport.read(SampleReport.block(), as: BlockRun.self)
        let floor = try #require(report.floors.first)
        // 12 µs, eight of ten parts in the kernel, and a copy that memcpy takes 1 µs for: the medians of
        // user and system alone, 2 and 8 µs, do not add up to it.
        #expect(CPUSplit(report.runs[1], floor: floor).parts == [9600, 1000, 1400])
        #expect(CPUSplit(report.runs[0], floor: nil).parts == [8000, 0, 2000])
        // A copy in cache can be faster than the floor.
        let slow = Floor(memcpyNs: 9000, low: 0, high: 0)
        #expect(CPUSplit(report.runs[1], floor: slow).parts == [9600, 2400, 0])
    }

    @Test func `there is a figure of everything there is data for`() throws {
        let block = try SampleReport.read(SampleReport.block(), as: BlockRun.self).figures
        #expect(
            block.map(\.name) == [
                "throughput-randread", "added-cpu-randread", "cpu-split", "latency-randread-4k-x2",
                "occupancy-randread-4k-x2",
            ])
        #expect(block[4].commands.contains("1.0 64.0\n"))
        let alone = SampleReport.block([SampleReport.blockRun("direct")])
        let direct = try SampleReport.read(alone, as: BlockRun.self).figures.map(\.section)
        #expect(!direct.contains("Slots of the pool in use"))
        let net = try SampleReport.read(SampleReport.net, as: NetRun.self).figures
        #expect(
            net.map(\.name) == [
                "frames-burst-32", "added-cpu-burst-32", "latency-drop-tx-1514-x32",
            ])
        let pool = try SampleReport.read(SampleReport.pool, as: PoolRun.self).figures
        #expect(pool.map(\.name) == ["map-unmap-50", "latency-churn-at-95"])
    }

    @Test func `a pool that nobody looked at has no figure of it`() throws {
        let text = SampleReport.block()
            .replacing("[0, 1, 2.5]", with: "[]").replacing("[0, 64, 2]", with: "[]")
        let report = try SampleReport.read(text, as: BlockRun.self)
        #expect(report.isSound)
        #expect(!report.figures.contains { $0.section == "Slots of the pool in use" })
    }

    @Test func `what draws intervals says what they are`() throws {
        let net = try SampleReport.read(SampleReport.net, as: NetRun.self).figures
        #expect(net[..<2].allSatisfy { $0.caption.contains("intervals cover the true ones") })
    }

    @Test func `under each figure are its numbers`() throws {
        let figures = try SampleReport.read(SampleReport.block(), as: BlockRun.self).figures
        #expect(
            figures[0].numbers.lines[1] == [
                "randread 4k ×2", "engine", "1.0k", "1.0k", "0.90", "0.80", "1.25",
            ])
        #expect(
            figures[2].numbers.lines[2] == [
                "randread 4k ×2", "bounce", "9.60", "1.00", "1.40", "12.00",
            ])
        #expect(figures[4].numbers.lines[1] == ["bounce", "3", "0", "2", "64", "512"])
    }
}
