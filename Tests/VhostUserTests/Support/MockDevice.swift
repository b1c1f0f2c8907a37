import SharedMemory
import Synchronization
import SystemPackage
import Virtqueue

/// A device that notes what its transport asks of it.
final class MockDevice: VirtioDevice {
    enum Call: Equatable {
        case start(Int)
        case stop(Int)
        case setCall(Int, isNil: Bool)
        case setConfiguration(offset: Int, [UInt8])
        case announce(MACAddress)
        case reset
    }

    private struct State {
        var calls: [Call] = []
        var running: [Int: QueueSetup] = [:]
        var lastSetups: [Int: QueueSetup] = [:]
        var startFailure: QueueStartFailure?
        var failsAnnouncements = false
        var configuration: [UInt8]
        var progress: UInt16 = 0
    }

    let features: VirtioFeatures
    let queueCountMax: Int
    let queueSizeMax: Int
    let mtuMax: Int?
    let canAnnounce: Bool
    private let state: Mutex<State>

    init(
        features: VirtioFeatures = [
            .version1, .eventIndex, .indirectDescriptors, .accessPlatform, .packedRing, .logAll,
        ],
        queueCountMax: Int = 4, queueSizeMax: Int = 256, mtuMax: Int? = 1500,
        canAnnounce: Bool = true
    ) {
        self.features = features
        self.queueCountMax = queueCountMax
        self.queueSizeMax = queueSizeMax
        self.mtuMax = mtuMax
        self.canAnnounce = canAnnounce
        state = Mutex(State(configuration: (0..<60).map { UInt8($0) }))
    }

    /// What was called since the last time.
    func takeCalls() -> [Call] {
        state.withLock { state in
            defer { state.calls = [] }
            return state.calls
        }
    }

    /// The queues that run.
    var running: [Int: QueueSetup] { state.withLock { $0.running } }

    /// What a queue was started with last.
    func setup(_ index: Int) -> QueueSetup? { state.withLock { $0.lastSetups[index] } }

    /// What the next starts end with.
    func failStarts(with failure: QueueStartFailure?) {
        state.withLock { $0.startFailure = failure }
    }

    /// How many buffers each queue takes between its start and its end.
    func setProgress(_ count: UInt16) {
        state.withLock { $0.progress = count }
    }

    /// Lets go of what the queues were started with.
    func forgetSetups() {
        state.withLock { $0.lastSetups = [:] }
    }

    /// Has a queue stop itself.
    func raiseFault(_ index: Int, _ fault: QueueFault) {
        running[index]?.onFault(fault)
    }

    func configuration(at offset: Int, byteCount: Int) -> [UInt8]? {
        state.withLock { state in
            guard offset <= state.configuration.count else { return nil }
            let bytes = Array(state.configuration[offset...].prefix(byteCount))
            return bytes + [UInt8](repeating: 0, count: byteCount - bytes.count)
        }
    }

    /// The byte at 32 is the driver's to write, as a disk's `writeback` is.
    func setConfiguration(_ bytes: [UInt8], at offset: Int) -> Bool {
        state.withLock { state in
            state.calls.append(.setConfiguration(offset: offset, bytes))
            guard offset == 32, bytes.count == 1 else { return false }
            state.configuration[32] = bytes[0]
            return true
        }
    }

    func startQueue(_ index: Int, _ setup: QueueSetup) throws(QueueStartFailure) {
        let failure = state.withLock { state -> QueueStartFailure? in
            state.calls.append(.start(index))
            if let failure = state.startFailure { return failure }
            guard state.running[index] == nil else { return .unavailable }
            state.running[index] = setup
            state.lastSetups[index] = setup
            return nil
        }
        if let failure { throw failure }
    }

    func stopQueue(_ index: Int) -> QueuePosition? {
        state.withLock { state in
            state.calls.append(.stop(index))
            guard let setup = state.running.removeValue(forKey: index) else { return nil }
            return QueuePosition(
                available: setup.position.available &+ state.progress,
                used: setup.position.used &+ state.progress)
        }
    }

    func setCall(_ call: EventDescriptor?, ofQueue index: Int) {
        state.withLock {
            $0.calls.append(.setCall(index, isNil: call == nil))
            $0.running[index]?.call = call
        }
    }

    func announce(_ address: MACAddress) throws(SystemCallError) {
        let fails = state.withLock { state in
            state.calls.append(.announce(address))
            return state.failsAnnouncements
        }
        if fails { throw SystemCallError("write", .ioError) }
    }

    /// Has announcements fail from now on.
    func failAnnouncements() {
        state.withLock { $0.failsAnnouncements = true }
    }

    func reset() {
        state.withLock {
            $0.calls.append(.reset)
            $0.lastSetups = [:]
        }
    }
}
