/// What one lane did in one round.
struct NetSample {
    /// Frames that the device has done with, or, of a loopback, that came back.
    var frameCount = 0
    var seconds = 0.0
    var cpu = CPUTime(user: 0, system: 0)
    /// How often the pool had no room for a frame.
    var poolFullCount = 0
    /// Frames that were dropped, by reason; `nil` where the backend does not tell.
    var drops: [String: Int]? = [:]

    var framesPerSecond: Double { Double(frameCount) / seconds }
    var nanosecondsPerFrame: Double { seconds * 1e9 / Double(max(frameCount, 1)) }
    var cpuNanosecondsPerFrame: Double { cpu.total / Double(max(frameCount, 1)) }
}
