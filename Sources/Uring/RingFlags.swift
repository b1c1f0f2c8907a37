import CUring

/// How a ring was set up: the flags of `io_uring_setup(2)` that this package asks for.
public struct RingFlags: OptionSet, Sendable {
    public let rawValue: UInt32

    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// Completion work does not interrupt the application: `IORING_SETUP_COOP_TASKRUN`, Linux 5.19.
    public static let coopTaskrun = RingFlags(rawValue: IORING_SETUP_COOP_TASKRUN)
    /// One thread alone submits: `IORING_SETUP_SINGLE_ISSUER`, Linux 6.0.
    public static let singleIssuer = RingFlags(rawValue: IORING_SETUP_SINGLE_ISSUER)
    /// Completion work runs when the application waits: `IORING_SETUP_DEFER_TASKRUN`, Linux 6.1.
    public static let deferTaskrun = RingFlags(rawValue: IORING_SETUP_DEFER_TASKRUN)

    /// The kernel says where completion work waits for the application:
    /// `IORING_SETUP_TASKRUN_FLAG`, Linux 5.19.
    public static let taskrunFlag = RingFlags(rawValue: IORING_SETUP_TASKRUN_FLAG)

    /// What is tried, best first; the first that the kernel takes is used.
    static let attempts: [RingFlags] = [
        [.singleIssuer, .deferTaskrun, .coopTaskrun, .taskrunFlag],
        [.singleIssuer, .coopTaskrun, .taskrunFlag],
        [.coopTaskrun, .taskrunFlag],
        [],
    ]

    /// The C names of the flags that are set.
    public var names: [String] {
        let all: [(RingFlags, String)] = [
            (.coopTaskrun, "IORING_SETUP_COOP_TASKRUN"),
            (.singleIssuer, "IORING_SETUP_SINGLE_ISSUER"),
            (.deferTaskrun, "IORING_SETUP_DEFER_TASKRUN"),
            (.taskrunFlag, "IORING_SETUP_TASKRUN_FLAG"),
        ]
        return all.filter { contains($0.0) }.map(\.1)
    }
}
