import CommandSupport
import Foundation
import SystemPackage
import Testing

@testable import perfbench

@Suite struct BaselineTests {
    private static let twin = "pool map-unmap 4k ×1 at 50 %: ns_per_op pool / c-twin"
    private static let floor = "pool map-copy-in-unmap 4k ×1 at 50 %: ns_per_op pool / memcpy"

    private static func baseline(sessionCount: Int = 3) -> Baseline {
        Baseline(
            machine: MachineFacts(),
            sessions: (0..<sessionCount).map {
                Baseline.Session(
                    date: "2026-11-28T00:00:0\($0)Z",
                    medians: [
                        twin: 1.2 + 0.01 * Double($0), floor: 1.05, "instructions map-unmap": 239,
                    ])
            })
    }

    private static func metric(_ operation: PoolOperation, to base: String) throws -> Metric {
        try #require(
            Metric(
                Ratio(
                    workload: "pool", metric: "ns_per_op", of: "pool", to: base, op: operation,
                    blockBytes: 4096, threads: 1, occupancy: 0.5, median: 1, low: 1, high: 1)))
    }

    @Test func `a word is a name, anything else a file`() {
        #expect(Baseline.path(of: "main") == ".perfbench/main.json")
        #expect(Baseline.path(of: "ci.json") == "ci.json")
        #expect(Baseline.path(of: "Baselines/ci") == "Baselines/ci")
    }

    @Test func `what was saved is read, and saved over whole`() throws {
        let scratch = try CommandLineTests.Scratch()
        let path = Baseline.path(of: scratch.path + "/new/directory/x.json")
        try Self.baseline().write(to: path)
        try Self.baseline(sessionCount: 4).write(to: path)
        let read = try Baseline(contentsOf: path)
        #expect(read.values(of: Self.twin) == [1.2, 1.21, 1.22, 1.23])
        #expect(read.machine == MachineFacts())
    }

    @Test(arguments: [
        ("", "no baseline, or damaged"), ("{", "no baseline, or damaged"),
        (#"{"schema": "perfbench/1"}"#, "no baseline, or damaged"),
    ])
    func `what is no baseline is refused in a sentence, status 65`(text: String, part: String) {
        let failure = #expect(throws: CommandFailure.self) {
            _ = try Baseline(json: Data(text.utf8), from: "x")
        }
        #expect(failure?.status == .wrongData)
        #expect(failure?.message.contains(part) == true)
    }

    @Test func `a baseline of another suite is refused, status 65`() throws {
        let scratch = try CommandLineTests.Scratch()
        var old = Self.baseline()
        old.suite = 0
        let path = Baseline.path(of: scratch.path + "/old.json")
        try old.write(to: path)
        let failure = #expect(throws: CommandFailure.self) { _ = try Baseline(contentsOf: path) }
        #expect(failure?.status == .wrongData)
        #expect(failure?.message.contains("suite 0") == true)
    }

    @Test func `on another machine only what travels is compared`() throws {
        var saved = Self.baseline()
        let here = MachineFacts()
        let twin = try Self.metric(.mapUnmap, to: "c-twin")
        let floor = try Self.metric(.mapCopyInUnmap, to: "memcpy")
        #expect(twin.name == Self.twin && floor.name == Self.floor)
        for metric in [twin, floor, Metric(.mapUnmap)] {
            #expect(saved.obstacle(to: metric, on: here) == nil)
        }
        saved.machine.cpu = "another"
        #expect(saved.obstacle(to: twin, on: here) == nil)
        #expect(saved.obstacle(to: floor, on: here)?.contains("another machine") == true)
        #expect(saved.obstacle(to: Metric(.mapUnmap), on: here) == nil)
        saved.machine.swift = "5.9"
        #expect(saved.obstacle(to: Metric(.mapUnmap), on: here)?.contains("Swift 5.9") == true)
        #expect(saved.obstacle(to: Metric(.frame), on: here) == "not in the baseline")
    }

    @Test func `another machine has a floor of its own`() throws {
        var saved = Self.baseline()
        let twin = try Self.metric(.mapUnmap, to: "c-twin")
        #expect(saved.floor(of: twin, on: MachineFacts()) == 0.15)
        saved.machine.transparentHugePages = "another"
        #expect(saved.floor(of: twin, on: MachineFacts()) == 0.3)
    }

    @Test func `sessions of one hour are told from those of several`() {
        var saved = Self.baseline()
        #expect(saved.isOfOneHour)
        saved.sessions[1].date = "2026-11-28T01:00:01Z"
        #expect(!saved.isOfOneHour)
    }

    @Test func `what is in the baseline and not measured is missed, where it was asked for`() throws
    {
        var measurements = Measurements(buildCount: 1)
        measurements.append(239, of: Metric(.mapUnmap), build: 0)
        let all = measurements.sessionJudgement(
            of: SuitePart.allCases, against: Self.baseline(), on: MachineFacts())
        #expect(all.missing == [Self.twin, Self.floor])
        let counted = measurements.sessionJudgement(
            of: [.instructions], against: Self.baseline(), on: MachineFacts())
        #expect(counted.missing.isEmpty && counted.findings.count == 1)
    }

    @Test func `fewer than three sessions do not tell how they differ`() throws {
        let saved = Self.baseline(sessionCount: 2)
        let twin = try Self.metric(.mapUnmap, to: "c-twin")
        #expect(saved.obstacle(to: twin, on: MachineFacts())?.contains("--append") == true)
        // What is exact needs one.
        #expect(saved.obstacle(to: Metric(.mapUnmap), on: MachineFacts()) == nil)
    }
}
