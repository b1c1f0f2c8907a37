import Testing

@testable import perfbench

@Suite struct ProgressLineTests {
    @Test(arguments: [
        (0, 0.0, 50.0), (3, 100, 48.5), (10, 20, 180), (100, 200, 0), (120, 200, 0),
    ])
    func `what is left is told by the pace of what is done`(
        step: Int, elapsed: Double, remaining: Double
    ) {
        #expect(
            ProgressLine.remainingSeconds(
                step: step, of: 100, elapsedSeconds: elapsed, secondsPerStepPlanned: 0.5)
                == remaining)
    }

    @Test func `more steps than planned are no more than all`() {
        #expect(ProgressLine.text(120, of: 100, "filling", 0) == "[100 %] filling, 0 s left")
        #expect(ProgressLine.text(1, of: 3, "round 1", 1.2) == "[33 %] round 1, 2 s left")
    }
}
