import Foundation
import SharedMemory
import SystemPackage
import Testing
import Virtqueue

@testable import VhostUser

/// The backend before a frontend that others have written: QEMU, whose firmware looks for a disk.
@Suite(.enabled(if: VirtualMachine.isInstalled), .timeLimit(.minutes(1)))
struct VhostUserVirtualMachineTests {
    @Test func firmwareKicksAQueueInTheGuestsMemory() throws {
        let device = MockDevice()
        let log = LineLog()
        let backend = VhostUserBackend(device: device, logger: log.logger)
        let path = FilePath("/tmp/bounce-test-\(UInt64.random(in: .min ... .max)).sock")
        let stop = try EventDescriptor()
        let listener = try VhostUserListener(path: path)
        let thread = BackgroundThread { try? listener.serve(with: backend, until: stop) }
        do {
            let machine = try VirtualMachine(path)
            defer { withExtendedLifetime(machine) {} }
            var setup = device.running[0]
            for _ in 0..<3000 where setup == nil {
                Thread.sleep(forTimeInterval: 0.01)
                setup = device.running[0]
            }
            let queue = try #require(setup)
            #expect(queue.configuration.size == 128)
            #expect(queue.configuration.features.contains(.version1))
            #expect(!queue.configuration.features.contains(.protocolFeatures))
            #expect(queue.position == .start(isPacked: false))
            #expect(queue.inflight?.queueSize == 128)
            #expect(queue.memoryMap.regions.reduce(0) { $0 + $1.byteCount } >= 60 << 20)

            // The firmware kicks for its first request; QEMU has kicked when it started the queue.
            let kick = try #require(queue.kick)
            let ring = GuestRange(address: queue.configuration.driverArea, byteCount: 4)
            let run = try #require(queue.memoryMap.translate(ring))
            let region = queue.memoryMap.regions[run.regionIndex]
            let index = region.memoryOffset + run.regionOffset + 2
            repeat {
                try #require(kick.wait(timeoutMilliseconds: 30_000))
            } while region.memory.loadAcquiring(UInt16.self, at: index) == 0
            #expect(region.memory.load(UInt16.self, at: index) == 1)
        }
        stop.signal()
        _ = thread.join()
        #expect(device.running.isEmpty)
        #expect(
            log.lines.allSatisfy { $0.hasPrefix("info:") }, "\(log.lines.joined(separator: "; "))")
    }
}

/// A machine without a kernel.
private final class VirtualMachine {
    private let process = Process()

    static let executable = "/usr/bin/qemu-system-x86_64"
    static let isInstalled = FileManager.default.isExecutableFile(atPath: executable)

    init(_ socket: FilePath) throws {
        process.executableURL = URL(fileURLWithPath: Self.executable)
        process.arguments = [
            "-accel", "tcg", "-m", "64M", "-display", "none", "-nodefaults", "-object",
            "memory-backend-memfd,id=m,size=64M,share=on", "-machine", "q35,memory-backend=m",
            "-chardev", "socket,id=c,path=\(socket)", "-device",
            "vhost-user-blk-pci,chardev=c,num-queues=1,bootindex=0",
        ]
        process.standardOutput = FileHandle.nullDevice
        try process.run()
    }

    deinit {
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }
}
