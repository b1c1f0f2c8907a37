import SharedMemory
import Virtqueue

/// The device's side of a control queue: obeys commands, and answers each (virtio 1.2, 5.1.6.5).
///
/// A command is copied before it is looked at. One that is malformed, unknown or not negotiated is answered
/// with an error; one that has no room for an answer is given back as it is. None stops the queue.
///
/// **Threading.** Belongs to the thread that made it. **Cost.** A command allocates: nothing here is a
/// data path.
struct ControlQueue: ~Copyable {
    var queue: DeviceQueue
    private var chain = DescriptorChain(capacity: Self.partCountMax)
    private let memoryMap: MemoryMap
    private let features: VirtioFeatures
    private let dirtyLog: DirtyLog?
    private let state: NetState
    /// Whether the driver has kicked once: before it has, its rings are left alone.
    var isReady: Bool
    private(set) var commandCount = 0
    private(set) var refusedCommandCount = 0

    /// How many parts a command may have: header, data in some pieces, answer.
    private static let partCountMax = 16
    /// How many commands are obeyed before the data queues are looked at again.
    private static let burstCount = 4

    init(_ setup: QueueSetup, state: NetState) throws(QueueStartFailure) {
        memoryMap = setup.memoryMap
        features = setup.configuration.features
        dirtyLog = setup.dirtyLog
        self.state = state
        isReady = setup.isReady
        queue = try DeviceQueue(netQueue: setup)
        state.begin(features)
    }

    var isMemoryLost: Bool { memoryMap.isLost }

    /// Obeys commands that the driver has made available.
    ///
    /// - Returns: how many there were.
    /// - Throws: where the driver broke the queue's rules; the queue must be stopped.
    mutating func answer() throws(NetFault) -> Int {
        guard isReady else { return 0 }
        var count = 0
        do throws(QueueFault) {
            while count < Self.burstCount, try queue.next(&chain) {
                count += 1
                answerChain()
            }
        } catch {
            throw .control(error)
        }
        return count
    }

    private mutating func answerChain() {
        let answer = command().map { state.obey($0, features) } ?? .error
        if answer == .ok { commandCount += 1 } else { refusedCommandCount += 1 }
        queue.use(chain.token, writtenByteCount: store(answer) ? 1 : 0)
    }

    /// The command in the chain at hand.
    private func command() -> NetCommand? {
        guard !chain.isCutShort, chain.readableByteCount <= NetCommand.byteCountMax else {
            return nil
        }
        var bytes: [UInt8] = []
        for index in 0..<chain.readableCount {
            var rest = chain[index]
            while rest.byteCount > 0 {
                guard let run = memoryMap.translatePrefix(of: rest) else { return nil }
                let count = run.hostRange.byteCount
                // SAFETY: the map keeps the memory; each byte is loaded once.
                for offset in 0..<count { bytes.append(unsafe run.hostRange.load(at: offset)) }
                rest = rest.slice(offset: count, byteCount: rest.byteCount - count)
            }
        }
        return NetCommand(bytes: bytes)
    }

    /// Writes the answer into the first byte that there is for it.
    ///
    /// - Returns: false where there is none.
    private func store(_ answer: NetCommandAnswer) -> Bool {
        for index in chain.readableCount..<chain.count where chain[index].byteCount > 0 {
            guard memoryMap.store(answer.rawValue, at: chain[index].address) else { return false }
            dirtyLog?.mark(GuestRange(address: chain[index].address, byteCount: 1))
            return true
        }
        return false
    }
}
