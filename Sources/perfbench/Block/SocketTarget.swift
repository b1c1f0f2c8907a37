import BlockBackend
import CommandSupport
import GuestDriver
import SharedMemory
import SwiotlbPool
import SystemPackage
import VhostUser
import Virtqueue

/// A driver in this process and a backend in another, over a vhost-user socket.
///
/// The backend is sent the memory of its path: the window alone, or all of guest memory as well. It
/// serves one frontend at a time, so a target connects for its turn and disconnects after it.
struct SocketTarget<Mapper: DMAMapper & ~Copyable>: ~Copyable, BlockTarget {
    private let backend: BackendProcess
    private let setting: BlockQueueSetting
    private let deviceMap: MemoryMap
    private let pool: BouncePool
    private let makeMapper: () throws -> Mapper

    private var session: Session?
    /// What former drivers have copied.
    private var formerlyCopied = 0
    private var poll = AdaptivePoll(limitMicroseconds: 20)

    /// What lasts as long as a connection.
    private struct Session: ~Copyable {
        var driver: BlockDriver<Mapper>
        let frontend: VhostUserFrontend
        let kick: EventDescriptor
        let call: EventDescriptor
    }

    init(
        backend: BackendProcess, setting: BlockQueueSetting, deviceMap: MemoryMap,
        pool: BouncePool, makeMapper: @escaping () throws -> Mapper
    ) {
        self.backend = backend
        self.setting = setting
        self.deviceMap = deviceMap
        self.pool = pool
        self.makeMapper = makeMapper
    }

    var copiedByteCount: Int {
        switch session {
        case .some(let session): formerlyCopied + session.driver.copiedByteCount
        case .none: formerlyCopied
        }
    }
    var cpuTime: CPUTime { .now + backend.cpuTime }
    var isIdle: Bool {
        switch session {
        case .some(let session): session.driver.inflightCount == 0
        case .none: true
        }
    }

    mutating func connect() throws {
        do {
            let frontend = try backend.connect()
            try frontend.negotiate(
                features: setting.features, protocolFeatures: BackendProcess.protocolFeatures)
            try frontend.setMemory(deviceMap)
            let features = frontend.features.intersection(setting.features)
            let layout = setting.layout(features: features)
            let driver = try BlockDriver(
                mapper: try makeMapper(),
                memory: try pool.allocateCoherent(byteCount: layout.byteCount), layout: layout,
                features: features, payloadByteCountMax: setting.payloadByteCountMax)
            let kick = try EventDescriptor()
            let call = try EventDescriptor()
            try frontend.startQueue(
                0, driver.queueConfiguration, at: .start(isPacked: layout.queue.isPacked),
                kick: kick, call: call)
            session = Session(driver: driver, frontend: frontend, kick: kick, call: call)
        } catch let error as VhostUserError {
            throw CommandFailure(.unavailable, "the backend cannot be used: \(error)")
        }
    }

    mutating func disconnect() {
        guard let session = session.take() else { return }
        // The backend lets go of the rings before their memory is used for something else.
        _ = try? session.frontend.stopQueue(0)
        formerlyCopied += session.driver.copiedByteCount
    }

    mutating func start(_ request: RequestSource.Request, row: Int) throws -> Bool {
        try session?.driver.start(request, row: row) ?? false
    }

    mutating func submit() {
        if session?.driver.publish() == true { session?.kick.signal() }
    }

    mutating func submitAndWait() throws {
        submit()
        if session?.driver.hasCompletion == true { return }
        let begin = AdaptivePoll.now()
        defer { poll.note(waitNanoseconds: AdaptivePoll.now() - begin) }
        if poll.current > 0, isFound(since: begin) { return }
        while session?.driver.enableCalls() == false {
            if isCalled() { continue }
            if Interruption.isRequested, backend.isAlive { continue }
            try failUnlessAlive()
        }
        session?.driver.disableCalls()
    }

    /// Waits for a call for ten seconds, as far as this process has them: while it stands still, the
    /// backend often does, too.
    private mutating func isCalled() -> Bool {
        for _ in 0..<100 where backend.isAlive {
            if session?.call.wait(timeoutMilliseconds: 100) == true { return true }
        }
        return false
    }

    private mutating func isFound(since begin: UInt64) -> Bool {
        repeat {
            for _ in 0..<16 {
                if session?.driver.hasCompletion == true { return true }
                AdaptivePoll.relax()
            }
            AdaptivePoll.yield()
        } while AdaptivePoll.now() - begin < poll.current
        return false
    }

    mutating func nextCompletion() throws -> TargetCompletion? {
        guard let completion = try session?.driver.nextCompletion() else { return nil }
        return TargetCompletion(
            row: Int(completion.tag), status: completion.status, errno: nil)
    }

    /// A backend that does not answer for ten seconds is given up: what is with it never ends.
    private mutating func failUnlessAlive() throws {
        session?.driver.abandon()
        session = nil
        throw CommandFailure(
            .unavailable,
            backend.isAlive
                ? "the backend did not complete a request within 10 s" : "the backend is gone")
    }
}
