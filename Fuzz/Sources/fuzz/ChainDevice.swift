import SharedMemory

@testable import Virtqueue

/// A device that keeps to the rules, and looks whether its queue does.
struct ChainDevice: ~Copyable {
    private let setup: ChainSetup
    private var queue: DeviceQueue?
    private var chain: DescriptorChain
    private var taken: [(token: ChainToken, writableByteCount: Int)] = []
    /// The queue is to be stopped: nothing more is taken from it.
    private var isFaulty = false
    /// The set-up cannot be used, whatever else happens.
    private var cannotStart = false

    init(_ setup: ChainSetup) {
        self.setup = setup
        chain = DescriptorChain(capacity: setup.chainCapacity)
    }

    private var size: Int { setup.configuration.size }

    private mutating func starts() -> Bool {
        if queue != nil { return true }
        guard !cannotStart else { return false }
        do throws(QueueFault) {
            queue = try DeviceQueue(
                setup.configuration, memoryMap: ChainMemory.map, position: setup.position,
                inflight: setup.inflight, dirtyLog: setup.dirtyLog,
                usedRingLogAddress: setup.usedRingLogAddress)
            return true
        } catch {
            cannotStart = error != .invalidInflightRegion
            return false
        }
    }

    /// Takes a buffer, if there is one.
    mutating func take() -> Bool {
        guard starts(), !isFaulty else { return false }
        let isTaken: Bool
        do throws(QueueFault) {
            // Tested before: `starts` has made it.
            isTaken = try queue?.next(&chain) ?? false
        } catch {
            isFaulty = true
            require(queue?.inflightCount == taken.count, "after a fault nothing was taken")
            return false
        }
        if isTaken {
            checkChain()
            taken.append((chain.token, chain.writableByteCount))
        }
        require(queue?.inflightCount == taken.count, "what was taken is counted")
        require(taken.count <= size, "a queue has no more buffers than descriptors")
        return isTaken
    }

    mutating func takeAll() {
        var count = 0
        while take() {
            count += 1
            require(count <= size, "a driver that does not run cannot go on for ever")
        }
    }

    private func checkChain() {
        require(chain.count > 0 && chain.count <= setup.chainCapacity, "a chain has its limits")
        require(
            chain.readableCount >= 0 && chain.readableCount <= chain.count,
            "what is to be read is a part")
        let token = chain.token
        require(
            setup.configuration.isPacked || Int(token.id) < size, "a head is a descriptor's number")
        require(
            token.descriptorCount > 0 && Int(token.descriptorCount) <= size,
            "a buffer takes a descriptor")
        let descriptorCount = taken.reduce(0) { $0 + Int($1.token.descriptorCount) }
        require(
            !setup.configuration.isPacked || descriptorCount + Int(token.descriptorCount) <= size,
            "the ring holds what was taken")
        guard !chain.isCutShort else { return }
        var readable = 0
        var writable = 0
        for index in 0..<chain.count {
            if index < chain.readableCount {
                readable += chain[index].byteCount
            } else {
                writable += chain[index].byteCount
            }
        }
        require(
            readable == chain.readableByteCount && writable == chain.writableByteCount,
            "sums are those of the parts")
    }

    /// Gives back one of those that were taken; with in-order use it is always the first.
    mutating func use(_ number: Int, writtenByteCount: Int) {
        guard !taken.isEmpty else { return }
        let isInOrder = setup.configuration.features.contains(.inOrder)
        let buffer = taken.remove(at: isInOrder ? 0 : number % taken.count)
        queue?.use(
            buffer.token, writtenByteCount: min(writtenByteCount, buffer.writableByteCount))
        require(queue?.inflightCount == taken.count, "what was given back is counted")
    }

    mutating func publish() {
        _ = queue?.publish()
    }

    mutating func enableKicks() {
        if starts() { _ = queue?.enableKicks() }
    }

    mutating func disableKicks() {
        if starts() { queue?.disableKicks() }
    }

    /// Ends as by a crash. What needs a queue then makes a successor.
    mutating func die() {
        queue = nil
        taken = []
        isFaulty = false
    }

    mutating func drain() {
        while !taken.isEmpty { use(0, writtenByteCount: 1) }
        publish()
        _ = queue?.position
    }
}
