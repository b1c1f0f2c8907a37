import Foundation
import SharedMemory
import Testing
import VhostUser
import Virtqueue

@testable import perfbench

@Suite(.enabled(if: hasUring, "io_uring is not permitted here"))
struct RemoteNetDeviceTests {
    @Test func `a queue that runs is stopped where the other cannot be started`() throws {
        let backend = try BackendProcess(running: ["net", "--loopback"], readsLog: true)
        let frontend = try backend.connect()
        let features = VirtioFeatures.version1
        try frontend.negotiate(
            features: features, protocolFeatures: BackendProcess.protocolFeatures)
        let map = MemoryMap(
            try HostMemory.window(byteCount: 1 << 20), at: Memories.windowBase)
        try frontend.setMemory(map)
        let receive = QueueLayout(size: 64, isPacked: false).configuration(
            at: Memories.windowBase, features: features)
        var transmit = receive
        // Longer than the backend has queues.
        transmit.size = 32768
        #expect(throws: VhostUserError.self) {
            _ = try RemoteNetDevice(backend, frontend, transmit: transmit, receive: receive)
        }
        // A pair has a thread as long as one of its queues runs.
        let id = try #require(frontend.backendProcess)
        let threads = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(id)/task")
        let names = threads.map {
            (try? String(contentsOfFile: "/proc/\(id)/task/\($0)/comm", encoding: .utf8)) ?? ""
        }
        #expect(names.count > 1 && !names.contains("net-pair-0\n"), "\(names)")
        extendLifetime(frontend)
    }
}
