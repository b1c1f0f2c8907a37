import CommandSupport

/// What one lane did in one round.
struct NetSample {
    /// Frames that the device has done with, or that came; one that comes back counts once.
    var frameCount = 0
    /// How many of them came.
    var receivedCount = 0
    var seconds = 0.0
    var cpu = CPUTime(user: 0, system: 0)
    /// How often the pool had no room for a frame.
    var poolFullCount = 0
    /// Frames that were dropped, by reason; `nil` where the backend does not tell.
    var drops: [String: Int]? = [:]
    /// Frames for which the TAP device had no room.
    var refusedCount = 0

    /// Refuses a round in which nothing was done: there is no time of a frame then.
    func check(_ lane: NetLane) throws(CommandFailure) {
        guard frameCount == 0 else { return }
        throw CommandFailure(
            .ioError,
            "no frame got through in a round of \(lane.description); use more --round-seconds")
    }

    var framesPerSecond: Double { Double(frameCount) / seconds }
    var receivedPerSecond: Double { Double(receivedCount) / seconds }
    var nanosecondsPerFrame: Double { seconds * 1e9 / Double(max(frameCount, 1)) }
    var cpuNanosecondsPerFrame: Double { cpu.total / Double(max(frameCount, 1)) }
}

extension NetSample {
    /// All counts at one time.
    struct Mark {
        let frameCount: Int
        let receivedCount: Int
        let poolFullCount: Int
        let refusedCount: Int
        let cpu: CPUTime
        /// Nanoseconds since an arbitrary point.
        let time: UInt64
    }

    /// What was done from one time to another.
    init(from begin: Mark, to end: Mark) {
        frameCount = end.frameCount - begin.frameCount
        receivedCount = end.receivedCount - begin.receivedCount
        poolFullCount = end.poolFullCount - begin.poolFullCount
        refusedCount = end.refusedCount - begin.refusedCount
        cpu = end.cpu - begin.cpu
        seconds = Double(end.time - begin.time) / 1e9
    }
}
