import Glibc
import SharedMemory
import Testing

@testable import VhostUser

@Suite struct PatienceTests {
    @Test func whatIsLeftIsRoundedUp() {
        #expect(Patience().timeoutMilliseconds == -1)
        #expect(Patience(milliseconds: 0).timeoutMilliseconds <= 1)
        let left = Patience(milliseconds: 5000).timeoutMilliseconds
        #expect(left > 4000 && left <= 5001)
    }

    @Test func oneMessageHasADeadlineInAnyCase() throws {
        let stop = try EventDescriptor()
        let patience = Patience(stop: stop).forOneMessage
        #expect(patience.stop === stop)
        #expect((1000...10_000).contains(patience.timeoutMilliseconds))
        #expect(Patience(milliseconds: 20).forOneMessage.timeoutMilliseconds <= 21)
    }

    @Test func onlyALateWaitIsProlonged() throws {
        #expect(Patience().afterStandstill == nil)
        #expect(Patience(milliseconds: 1000).afterStandstill == nil)
        let late = Patience(milliseconds: 50)
        usleep(300_000)
        let more = try #require(late.afterStandstill)
        #expect(more.timeoutMilliseconds > 0)
        #expect(more.afterStandstill == nil)
    }

    private static func receive(
        _ socket: MessageSocket, _ patience: Patience
    ) throws {
        let message = try socket.receive(patience)
        #expect(message.payload.isEmpty)
    }

    @Test("Who stood still over the deadline gives the peer its time once more, and no longer")
    func standstill() throws {
        let (own, theirs) = try MessageSocket.makePair()
        let late = Patience(milliseconds: 400)
        usleep(700_000)
        let thread = BackgroundThread {
            usleep(50_000)
            try? theirs.send(code: 1, flags: [], payload: [], .short)
        }
        try Self.receive(own, late)
        thread.join()
        let begin = ContinuousClock.now
        #expect(throws: VhostUserError.timedOut) { try Self.receive(own, late) }
        let waited = begin.duration(to: .now)
        #expect(waited > .milliseconds(300) && waited < .seconds(5))
    }
}
