import CSocket
import Glibc
import SharedMemory
import SystemPackage
import Testing
import Virtqueue

@testable import VhostUser

@Suite struct VhostUserListenerTests {
    /// A path that nobody else uses.
    private let path = FilePath("/tmp/bounce-test-\(UInt64.random(in: .min ... .max)).sock")

    private var isThere: Bool { unsafe access(path.string, F_OK) == 0 }

    private func makeBackend(_ device: MockDevice = MockDevice()) -> VhostUserBackend {
        VhostUserBackend(device: device, logger: .silent)
    }

    /// Serves on a thread of its own until `stop` is signalled.
    private func serve(
        _ listener: VhostUserListener, _ backend: VhostUserBackend, _ stop: EventDescriptor
    ) -> BackgroundThread<VhostUserError?> {
        BackgroundThread {
            do throws(VhostUserError) {
                try listener.serve(with: backend, until: stop)
                return nil
            } catch {
                return error
            }
        }
    }

    @Test func frontendsAreServedOneAfterAnother() throws {
        let device = MockDevice()
        let stop = try EventDescriptor()
        do {
            let listener = try VhostUserListener(path: path)
            let thread = serve(listener, makeBackend(device), stop)
            for round in 0..<3 {
                let frontend = try VhostUserFrontend(connecting: path)
                try frontend.negotiate(features: .version1)
                #expect(try frontend.queueCountMax() == 4)
                // One that misbehaves does not keep the next from being served.
                if round == 1 { _ = try? frontend.startAbsurdQueue() }
            }
            stop.signal()
            #expect(thread.join() == nil)
            #expect(device.takeCalls() == [])
            #expect(isThere)
        }
        #expect(!isThere)
    }

    @Test func stopEndsAWaitForAFrontend() throws {
        let stop = try EventDescriptor()
        let thread = serve(try VhostUserListener(path: path), makeBackend(), stop)
        stop.signal()
        #expect(thread.join() == nil)
    }

    @Test func pathThatIsServedIsInUse() throws {
        let listener = try VhostUserListener(path: path)
        #expect(throws: VhostUserError.pathInUse(path.string)) {
            try VhostUserListener(path: path)
        }
        #expect(isThere)
        withExtendedLifetime(listener) {}
    }

    @Test func socketThatWasLeftBehindIsReplaced() throws {
        let descriptor = try MessageSocket.makeSocket()
        try MessageSocket.attach(descriptor, to: path, listening: true)
        try descriptor.close()
        #expect(isThere)
        let listener = try VhostUserListener(path: path)
        _ = try VhostUserFrontend(connecting: path)
        withExtendedLifetime(listener) {}
    }

    @Test func fileThatIsNoSocketIsLeftAlone() throws {
        let file = try FileDescriptor.open(
            path, .writeOnly, options: .create, permissions: .ownerReadWrite)
        try file.close()
        defer { unsafe unlink(path.string) }
        #expect(throws: VhostUserError.pathInUse(path.string)) {
            try VhostUserListener(path: path)
        }
        #expect(isThere)
    }

    @Test func socketOfAnotherIsNotRemovedAtTheEnd() throws {
        do {
            let first = try VhostUserListener(path: path)
            unsafe unlink(path.string)
            let second = try MessageSocket.makeSocket()
            try MessageSocket.attach(second, to: path, listening: true)
            try second.close()
            withExtendedLifetime(first) {}
        }
        #expect(isThere)
        unsafe unlink(path.string)
    }

    @Test(arguments: ["", "/nowhere/at/all"]) func pathThatCannotBeIsRefused(path: String) {
        #expect(throws: VhostUserError.self) { try VhostUserListener(path: FilePath(path)) }
    }

    @Test func pathThatIsTooLongIsRefused() {
        let path = FilePath("/tmp/" + String(repeating: "a", count: 104))
        #expect(throws: VhostUserError.system(SystemCallError("bind", .fileNameTooLong))) {
            try VhostUserListener(path: path)
        }
    }

    @Test func inheritedListenerAccepts() throws {
        let descriptor = try MessageSocket.makeSocket()
        try MessageSocket.attach(descriptor, to: path, listening: true)
        defer { unsafe unlink(path.string) }
        #expect(listen(descriptor.rawValue, 1) == 0)
        let stop = try EventDescriptor()
        let thread = serve(try VhostUserListener(adopting: descriptor), makeBackend(), stop)
        for _ in 0..<2 {
            let frontend = try VhostUserFrontend(connecting: path)
            try frontend.negotiate(features: .version1)
        }
        stop.signal()
        #expect(thread.join() == nil)
        #expect(isThere)
    }

    @Test func inheritedConnectionIsServedOnce() throws {
        let (own, theirs) = try MessageSocket.makePair()
        let listener = try VhostUserListener(adopting: theirs.fileDescriptor.duplicate())
        let thread = serve(listener, makeBackend(), try EventDescriptor())
        do {
            let frontend = VhostUserFrontend(own, 10_000)
            try frontend.negotiate(features: .version1)
        }
        // Its end is what ends the service.
        #expect(shutdown(own.fileDescriptor.rawValue, Int32(SHUT_RDWR)) == 0)
        #expect(thread.join() == nil)
    }

    @Test func descriptorThatIsNoSocketIsRefusedAndClosed() throws {
        let event = try EventDescriptor()
        let copy = try event.fileDescriptor.duplicate()
        #expect(throws: VhostUserError.notASocket) { try VhostUserListener(adopting: copy) }
        #expect(openDescriptorCount(of: event.fileDescriptor) == 1)
    }
}

extension VhostUserFrontend {
    /// Says something about a queue that there is not.
    func startAbsurdQueue() throws {
        try perform(.setVringSize(VringState(index: 99, value: 64)))
        _ = try ask(.getVringBase(VringState(index: 99, value: 0)))
    }
}
