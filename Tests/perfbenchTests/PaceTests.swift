import Testing

@testable import perfbench

@Suite struct PaceTests {
    @Test(arguments: [1, 24, 160, 400])
    func `a quick run takes no longer than it says`(stepCount: Int) {
        let pace = Pace.quick(stepCountPerRound: stepCount, share: 1)
        #expect(pace.roundCount == 6)
        #expect(pace.roundSeconds >= 0.004 && pace.roundSeconds <= Pace.usual.roundSeconds)
        #expect(Double(stepCount * 7) * pace.roundSeconds <= max(Effort.quickSeconds, 0))
    }

    @Test func `a step that takes a part of a round leaves longer rounds`() {
        let whole = Pace.quick(stepCountPerRound: 100, share: 1).roundSeconds
        let quarter = Pace.quick(stepCountPerRound: 100, share: 0.25).roundSeconds
        #expect(quarter > whole)
    }

    @Test(arguments: [["--rounds", "3"], ["--round-seconds", "1"], ["--thorough"]])
    func `a quick run that is told otherwise is refused, status 64`(arguments: [String]) throws {
        let outcome = try CommandLineTests.run(
            [CommandLineTests.executable, "pool", "--allow-debug", "--quick"] + arguments)
        #expect(outcome.status == 64)
        #expect(outcome.complaint.contains("--quick"), "said: \(outcome.complaint)")
    }
}
