import CommandSupport
import Glibc
import SharedMemory
import Synchronization
import Virtqueue

/// The host's end of a TAP device as a sender: a thread that sends by the interface what the driver is to receive.
///
/// It keeps as many frames waiting in the TAP device as a sender of TCP would, and sleeps where there are
/// enough: a flood would drop most of its frames, and take the processor from who receives.
///
/// **Threading.** ``start()`` to ``stop()`` the thread sends; else whoever has this does, one thread.
final class FrameFeed: Sendable {
    private let socket: PacketSocket
    /// Frames of one kind, each behind its header.
    private let frames: [UInt8]
    private let frameCount: Int
    private let byteCount: Int
    private let aheadMax: Int

    private let fed = Atomic(0)
    private let refused = Atomic(0)
    private let received = Atomic(0)
    private let cpuNanoseconds = Atomic<UInt64>(0)
    private let isStopping = Atomic(false)
    private let failure = Mutex<CommandFailure?>(nil)
    private let thread = Mutex<WorkerThread?>(nil)

    /// How many frames, and bytes of frames, wait at most. A TAP device has room for 1000 frames.
    private static let aheadCountMax = 512
    private static let aheadByteCountMax = 4 << 20
    private static let sleepMicroseconds: UInt32 = 10

    init(_ socket: PacketSocket, _ format: FrameFormat) {
        self.socket = socket
        let frame = Self.behindHeader(format.contents(ofFrame: 0, from: .host), format)
        byteCount = frame.count
        aheadMax = max(min(Self.aheadCountMax, Self.aheadByteCountMax / byteCount), 1)
        frameCount = min(PacketSocket.burstCountMax, max(aheadMax / 4, 1))
        frames = Array((0..<frameCount).map { _ in frame }.joined())
    }

    /// Frames that the TAP device took.
    var fedCount: Int { fed.load(ordering: .relaxed) }
    /// Frames that it had no room for.
    var refusedCount: Int { refused.load(ordering: .relaxed) }
    /// CPU time of the thread until now.
    var cpuTime: CPUTime {
        CPUTime(user: 0, system: Double(cpuNanoseconds.load(ordering: .relaxed)))
    }

    /// Tells how many of the frames have come.
    func note(receivedCount: Int) {
        // A count that the thread goes by, and nothing else.
        received.store(receivedCount, ordering: .relaxed)
    }

    func start() throws {
        isStopping.store(false, ordering: .relaxed)
        let thread = try WorkerThread(name: "perfbench-feed") { [self] in run() }
        self.thread.withLock { $0 = thread }
    }

    /// Ends the thread.
    ///
    /// - Throws: what it has failed by.
    func stop() throws(CommandFailure) {
        isStopping.store(true, ordering: .relaxed)
        // Joining orders everything.
        thread.withLock { $0.take() }?.join()
        if let failure = failure.withLock({ $0 }) { throw failure }
    }

    private func run() {
        let begin = cpuNanoseconds.load(ordering: .relaxed)
        do throws(CommandFailure) {
            while !isStopping.load(ordering: .relaxed) {
                let room = aheadMax - (fedCount - received.load(ordering: .relaxed))
                if room >= frameCount {
                    try send(frames, count: frameCount)
                } else {
                    usleep(Self.sleepMicroseconds)
                }
                cpuNanoseconds.store(begin &+ threadCPUNanoseconds(), ordering: .relaxed)
            }
        } catch {
            failure.withLock { $0 = error }
        }
    }

    /// Sends one frame, from the calling thread, as soon as there is room for it.
    func sendOne() throws(CommandFailure) {
        while try send(frames, count: 1) == 0, !Interruption.isRequested {}
    }

    /// Sends a frame that is to be known again, from the calling thread.
    ///
    /// - Returns: whether there was room for it.
    func send(_ contents: [UInt8], _ format: FrameFormat) throws(CommandFailure) -> Bool {
        try send(Self.behindHeader(contents, format), count: 1) == 1
    }

    @discardableResult
    private func send(_ frames: [UInt8], count: Int) throws(CommandFailure) -> Int {
        let (sent, isOneLost) = try socket.send(frames, byteCount: byteCount, count: count)
        fed.store(fedCount + sent, ordering: .relaxed)
        if isOneLost { refused.store(refusedCount + 1, ordering: .relaxed) }
        return sent
    }

    private static func behindHeader(_ contents: [UInt8], _ format: FrameFormat) -> [UInt8] {
        format.header.bytes.prefix(PacketSocket.headerByteCount) + contents
    }
}
