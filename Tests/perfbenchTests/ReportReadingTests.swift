import CommandSupport
import Foundation
import Testing

@testable import perfbench

@Suite struct ReportReadingTests {
    @Test(arguments: [
        ["pool", "--op", "map-unmap,churn", "--size", "4k", "--churn-operations", "1000"],
        ["block", "--block-size", "4k", "--depth", "2", "--buffered"],
        [
            "net", "--via", "virtqueue", "--frame-size", "64", "--queue-size", "16", "--burst", "4",
        ],
    ])
    func `what a command writes can be read and written again`(arguments: [String]) throws {
        let outcome = try CommandLineTests.run(
            [CommandLineTests.executable] + arguments + ["--format", "json"]
                + CommandLineTests.quick)
        try #require(outcome.status == 0, "said: \(outcome.complaint)")
        let any = try Report<AnyRun>(json: Data(outcome.output.utf8), from: "results")
        #expect(any.runs.allSatisfy { $0.workload == arguments[0] })
        #expect(any.ratios.allSatisfy { $0.ofRounds?.count == 1 })
        let again =
            switch arguments[0] {
            case "block": try Report<BlockRun>(json: Data(outcome.output.utf8), from: "").json()
            case "net": try Report<NetRun>(json: Data(outcome.output.utf8), from: "").json()
            default: try Report<PoolRun>(json: Data(outcome.output.utf8), from: "").json()
            }
        #expect(again == outcome.output)
    }

    @Test(arguments: [
        ("", "x is no result of perfbench"), ("[1, 2", "x is no result of perfbench"),
        (#"{"schema": "perfbench/2"}"#, "x has the schema perfbench/2"),
        (#"{"schema": "perfbench/1", "runs": []}"#, "x is damaged"),
    ])
    func `what is no result is refused in a sentence, status 65`(text: String, part: String) {
        let failure = #expect(throws: CommandFailure.self) {
            _ = try Report<AnyRun>(json: Data(text.utf8), from: "x")
        }
        #expect(failure?.status == .wrongData)
        #expect(failure?.message.contains(part) == true)
    }

    @Test func `what perfbench writes is sound`() throws {
        #expect(try SampleReport.read(SampleReport.block(), as: BlockRun.self).isSound)
        #expect(try SampleReport.read(SampleReport.net, as: NetRun.self).isSound)
        #expect(try SampleReport.read(SampleReport.pool, as: PoolRun.self).isSound)
    }

    @Test func `a file that is not there is named, status 66`() {
        let failure = #expect(throws: CommandFailure.self) {
            _ = try Report<AnyRun>(contentsOf: "/nonexistent/results.json")
        }
        #expect(failure?.status == .noInput)
        #expect(failure?.message.contains("/nonexistent/results.json") == true)
    }
}
