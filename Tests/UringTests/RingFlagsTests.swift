import Testing

@testable import Uring

@Suite struct RingFlagsTests {
    @Test func namesAreThoseOfTheKernelsHeader() {
        #expect(RingFlags().names == [])
        #expect(RingFlags.singleIssuer.names == ["IORING_SETUP_SINGLE_ISSUER"])
        let all: RingFlags = [.deferTaskrun, .coopTaskrun, .singleIssuer]
        #expect(
            all.names == [
                "IORING_SETUP_COOP_TASKRUN", "IORING_SETUP_SINGLE_ISSUER",
                "IORING_SETUP_DEFER_TASKRUN",
            ])
    }

    @Test func attemptsGrowWeakerAndEndWithNone() {
        for (better, worse) in zip(RingFlags.attempts, RingFlags.attempts.dropFirst()) {
            #expect(better.isStrictSuperset(of: worse))
        }
        #expect(RingFlags.attempts.last == [])
    }

    @Test func deferredWorkIsOnlyAskedForWithASingleIssuer() {
        // The kernel refuses the one without the other.
        for attempt in RingFlags.attempts where attempt.contains(.deferTaskrun) {
            #expect(attempt.contains(.singleIssuer))
        }
    }
}
