import CommandSupport
import Testing

@testable import perfbench

@Suite struct CaseRunTests {
    @Test func `a case that fails keeps what was measured of it, and ends the run`() throws {
        let run = try CaseRun([[0], [10], [20]]) { rounds in
            rounds.append(rounds[0] + 1)
            if rounds[0] == 10 { throw CommandFailure(.ioError, "broken") }
        }
        #expect(run.results == [[0, 1], [10, 11]])
        #expect(run.failure?.message == "broken")
        #expect(throws: CommandFailure.self) { try run.end() }
    }
}
