import CLinux
import Glibc
import SharedMemory
import Synchronization
import SystemPackage
import TestSupport
import Testing
import Virtqueue

@testable import BlockBackend

/// What happens between the control plane and a running queue.
@Suite(.enabled(if: Machine.hasUring, "io_uring is not permitted here"))
struct BlockQueueWorkerTests {
    @Test("Another call descriptor while requests end: none is missed")
    func newCalls() throws {
        try BlockDeviceTests.withDevice(poll: 0) { device in
            var bench = try DeviceBench()
            try device.startQueue(0, bench.setup())
            for round in 0..<3000 {
                bench.submit(BlockHeader.read, sector: 0, slot: 0)
                bench.publish()
                if round % 3 == 0 {
                    bench.call = try EventDescriptor()
                    device.setCall(bench.call, ofQueue: 0)
                }
                #expect(try bench.wait() == 0, "round \(round)")
            }
            _ = device.stopQueue(0)
        }
    }

    @Test("Who goes on for a device that ended before its call makes that call")
    func callThatWasLost() throws {
        try BlockDeviceTests.withDevice(poll: 0) { device in
            var bench = try DeviceBench()
            let memory = try HostMemory.anonymous(byteCount: 1 << 16)
            var setup = bench.setup()
            setup.inflight = InflightRegion(
                memory: memory, offset: 0, queueSize: 64, isPacked: false)
            try device.startQueue(0, setup)
            #expect(!bench.call.wait(timeoutMilliseconds: 0))
            #expect(try bench.run(BlockHeader.read, sector: 0) == 0)
            setup.position = try #require(device.stopQueue(0))
            bench.call.clear()
            try device.startQueue(0, setup)
            // Nothing is under way, and nobody kicks.
            #expect(bench.call.wait(timeoutMilliseconds: 20_000))
            _ = device.stopQueue(0)
        }
    }

    @Test("A call descriptor that was replaced is closed, busy or not")
    func closedCalls() throws {
        try BlockDeviceTests.withDevice { device in
            var bench = try DeviceBench()
            var setup = bench.setup()
            let first = try EventDescriptor()
            let copy = try first.fileDescriptor.duplicate()
            defer { try? copy.close() }
            weak var held: EventDescriptor?
            do {
                let call = try EventDescriptor(adopting: copy.duplicate())
                held = call
                setup.call = call
                try device.startQueue(0, setup)
                setup.call = nil
            }
            #expect(held != nil)
            device.setCall(bench.call, ofQueue: 0)
            // The queue answers for these between two turns, and lets go of the call before.
            for _ in 0..<200 where held != nil { _ = device.statistics }
            #expect(held == nil)
            #expect(try bench.run(BlockHeader.read, sector: 0) == 0)
            _ = device.stopQueue(0)
        }
    }

    @Test("A call descriptor that blocks holds up neither a stop nor anything else")
    func blockingCall() throws {
        try BlockDeviceTests.withDevice { device in
            var bench = try DeviceBench(features: [.blockFlush])
            try device.startQueue(0, bench.setup())
            #expect(try bench.run(BlockHeader.read, sector: 0) == 0)
            // As a peer can do with the same open file.
            let descriptor = bench.call.fileDescriptor.rawValue
            while eventfd_write(descriptor, .max - 1) != 0 { bench.call.clear() }
            _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_NONBLOCK)
            bench.submit(BlockHeader.read, sector: 0, slot: 0)
            bench.publish()
            // No call comes, so the driver has to look.
            for _ in 0..<20_000 where bench.status(0) == 0xEE { usleep(1000) }
            #expect(bench.status(0) == 0)
            let start = ContinuousClock.now
            device.setCall(bench.call, ofQueue: 0)
            _ = device.statistics
            #expect(device.stopQueue(0)?.available == 2)
            #expect(start.duration(to: .now) < .seconds(30))
        }
    }

    @Test("A queue that breaks says so once, and can be stopped and started")
    func fault() throws {
        try BlockDeviceTests.withDevice { device in
            for round in 0..<20 {
                var bench = try DeviceBench(features: [.blockFlush])
                let faults = Mutex<[QueueFault]>([])
                let isTold = try EventDescriptor()
                var setup = bench.setup()
                setup.onFault = { fault in
                    faults.withLock { $0.append(fault) }
                    isTold.signal()
                }
                try device.startQueue(0, setup)
                #expect(try bench.run(BlockHeader.read, sector: 0) == 0)
                // The driver's index, far ahead.
                let offset = setup.configuration.driverArea.rawValue - bench.base.rawValue + 2
                bench.memory.store(0x8000 as UInt16, at: Int(offset))
                bench.kick.signal()
                #expect(isTold.wait(timeoutMilliseconds: 20_000))
                bench.kick.signal()
                // It still answers the control plane.
                #expect(device.statistics[0].faultCount == round + 1)
                device.setCall(nil, ofQueue: 0)
                #expect(device.stopQueue(0)?.available == 1)
                #expect(
                    faults.withLock { $0 }
                        == [.availableIndexOutOfRange(available: 0x8000, next: 1)])
            }
        }
    }

    @Test("Statistics can be had by any thread while the queue runs")
    func statistics() throws {
        try BlockDeviceTests.withDevice { device in
            let isOver = Atomic(false)
            let failures = Atomic(0)
            onThreads(3) { index in
                if index > 0 {
                    var last = 0
                    while !isOver.load(ordering: .relaxed) {
                        let count = device.statistics[0].requestCount
                        if count < last { failures.add(1, ordering: .relaxed) }
                        last = count
                    }
                    return
                }
                defer { isOver.store(true, ordering: .relaxed) }
                do {
                    for _ in 0..<10 {
                        var bench = try DeviceBench()
                        try device.startQueue(0, bench.setup())
                        for _ in 0..<50 where try bench.run(BlockHeader.read, sector: 0) != 0 {
                            failures.add(1, ordering: .relaxed)
                        }
                        _ = device.stopQueue(0)
                    }
                } catch {
                    failures.add(1, ordering: .relaxed)
                }
            }
            #expect(failures.load(ordering: .relaxed) == 0)
            #expect(device.statistics[0].readCount == 500)
        }
    }

    @Test("A queue that cannot be started leaves nothing running")
    func badSetup() throws {
        try BlockDeviceTests.withDevice { device in
            var bench = try DeviceBench()
            var setup = bench.setup()
            setup.configuration.size = 63
            #expect(throws: QueueStartFailure.fault(.invalidSize(63))) {
                try device.startQueue(0, setup)
            }
            #expect(throws: QueueStartFailure.unavailable) {
                try device.startQueue(1, bench.setup())
            }
            #expect(device.stopQueue(0) == nil)
            #expect(device.stopQueue(-1) == nil && device.stopQueue(7) == nil)
            try device.startQueue(0, bench.setup())
            #expect(try bench.run(BlockHeader.read, sector: 0) == 0)
            _ = device.stopQueue(0)
        }
    }

    @Test("Stopped in the midst of requests, all that was taken is given back")
    func stopUnderLoad() throws {
        try BlockDeviceTests.withDevice { device in
            var bench = try DeviceBench(features: [.blockFlush])
            var position: QueuePosition?
            for _ in 0..<100 {
                var setup = bench.setup(at: position)
                setup.startsUnkicked = true
                for slot in 0..<16 { bench.submit(BlockHeader.read, sector: 0, slot: slot) }
                _ = bench.driver.publish()
                try device.startQueue(0, setup)
                let stopped = try #require(device.stopQueue(0))
                var ended = 0
                while try bench.driver.nextUsed() != nil { ended += 1 }
                #expect(ended == Int(stopped.available &- (position?.available ?? 0)))
                // The rest with the next start.
                setup.position = stopped
                try device.startQueue(0, setup)
                while ended < 16 {
                    _ = try #require(try bench.wait())
                    ended += 1
                }
                position = device.stopQueue(0)
            }
        }
    }

    @Test(
        "Started anew, a queue is kicked for what was left, and asks for kicks of what comes",
        arguments: BlockDeviceTests.formats, [0, 50])
    func restart(format: VirtioFeatures, poll: Int) throws {
        try BlockDeviceTests.withDevice(poll: poll) { device in
            var bench = try DeviceBench(features: format)
            var position: QueuePosition?
            for round in 0..<200 {
                // As a frontend does that stops a queue for good: the first kick starts it.
                try device.startQueue(0, bench.setup(at: position))
                for slot in 0..<8 { bench.submit(BlockHeader.read, sector: 0, slot: slot) }
                bench.publish()
                for _ in 0..<round % 16 { sched_yield() }
                position = device.stopQueue(0)
                try device.startQueue(0, bench.setup(at: position))
                for _ in 0..<8 {
                    _ = try #require(try bench.wait(), "round \(round)")
                }
                position = device.stopQueue(0)
                #expect(try bench.driver.nextUsed() == nil)
            }
        }
    }

    @Test("Stopped right after it was started, kicked or not, a queue ends", arguments: [0, 50])
    func earlyStops(poll: Int) throws {
        try BlockDeviceTests.withDevice(poll: poll) { device in
            let bench = try DeviceBench()
            for round in 0..<500 {
                try device.startQueue(0, bench.setup())
                if round % 3 == 1 { bench.kick.signal() }
                // What else wakes a queue that nobody has kicked.
                if round % 5 == 1 { device.setCall(bench.call, ofQueue: 0) }
                for _ in 0..<round % 64 { sched_yield() }
                #expect(device.stopQueue(0)?.available == 0, "round \(round)")
                bench.kick.clear()
            }
        }
    }

    @Test(
        "A queue that has kept direct and misaligned requests apart can be stopped",
        arguments: [Place.tmpfsDirect, .diskDirect])
    func stopAfterGate(place: Place) throws {
        try place.withStorage(byteCount: 1 << 20) { storage, _ in
            let device = BlockDevice(storage: storage)
            var bench = try DeviceBench()
            for _ in 0..<50 {
                bench = try DeviceBench()
                try device.startQueue(0, bench.setup())
                for slot in 0..<8 {
                    bench.submit(
                        BlockHeader.write, sector: UInt64(slot) * 8, slot: slot, shift: slot & 1)
                }
                bench.publish()
                for _ in 0..<8 {
                    let slot = try #require(try bench.wait())
                    #expect(bench.status(slot) == 0)
                }
                #expect(device.stopQueue(0)?.available == 8)
            }
        }
    }
}
