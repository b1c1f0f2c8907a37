import SharedMemory
import Virtqueue

extension BackendSession {
    /// Does what a request about one ring asks.
    func handleVring(
        _ request: FrontendRequest, _ descriptors: inout ReceivedDescriptors
    ) throws(RequestRefusal) -> Answer? {
        switch request {
        case .setVringSize(let state):
            let index = try checked(state.index)
            let size = Int(state.value)
            guard QueueConfiguration.isValid(size: size), size <= device.queueSizeMax else {
                throw .queueSize(state.value)
            }
            try change(index) { $0.size = size }
        case .setVringAddresses(let addresses):
            let index = try checked(addresses.index)
            let areas = [addresses.descriptor, addresses.available, addresses.used]
            guard areas.allSatisfy({ memory.guestAddress(ofUserAddress: $0) != nil }) else {
                throw .unreachableRing
            }
            try change(index) { $0.addresses = addresses }
        case .setVringBase(let state):
            let index = try checked(state.index)
            guard QueuePosition(vringBase: state.value, isPacked: isPacked) != nil else {
                throw .vringBase(state.value)
            }
            try change(index) { $0.base = state.value }
        case .getVringBase(let state): return try getBase(try checked(state.index))
        case .setVringEnabled(let state):
            let index = try checked(state.index)
            let isEnabled = state.value == 1
            // Frontends repeat this, and a ring that runs need not stop for it.
            guard !(isEnabled && rings[index].isRunning) else { break }
            try change(index) { $0.isEnabled = isEnabled }
        case .setVringKick(let vring):
            let index = try checked(UInt32(vring.index))
            let kick = try takeEvent(&descriptors)
            try change(index) { $0.kick = kick.map { .event($0) } ?? .polled }
        case .setVringCall(let vring):
            let index = try checked(UInt32(vring.index))
            rings[index].call = try takeEvent(&descriptors)
            if rings[index].isRunning { device.setCall(rings[index].call, ofQueue: index) }
        case .setVringError(let vring):
            let index = try checked(UInt32(vring.index))
            rings[index].alarm.set(try takeEvent(&descriptors))
        default: preconditionFailure("the request is about no ring")
        }
        return nil
    }

    private var isPacked: Bool { features.contains(.packedRing) }

    /// A queue's index, if there is such a queue.
    private func checked(_ index: UInt32) throws(RequestRefusal) -> Int {
        guard index < rings.count else { throw .queueOutOfRange(index) }
        return Int(index)
    }

    /// Stops a ring for good, until it has a new kick descriptor, and says where it is.
    private func getBase(_ index: Int) throws(RequestRefusal) -> Answer {
        stop(index)
        rings[index].kick = .unset
        rings[index].wasRunning = false
        let start = QueuePosition.start(isPacked: isPacked)
        let base = rings[index].base ?? start.vringBase(isPacked: isPacked)
        return Answer(reply: .vringState(VringState(index: UInt32(index), value: base)))
    }

    /// Changes what was said about one ring; it does not run meanwhile.
    private func change(
        _ index: Int, _ change: (inout Ring) -> Void
    ) throws(RequestRefusal) {
        stop(index)
        change(&rings[index])
        try start(index)
    }

    /// Changes what concerns all rings; none runs meanwhile.
    ///
    /// A ring that is no longer in the memory waits until it is again: a frontend that changes a
    /// region removes it first, and adds it anew.
    func reconfigure(_ change: () -> Void) throws(RequestRefusal) {
        for index in rings.indices { stop(index) }
        change()
        var first: RequestRefusal?
        for index in rings.indices {
            do throws(RequestRefusal) {
                try start(index)
            } catch {
                if error != .unreachableRing { first = first ?? error }
            }
        }
        if let first { throw first }
    }

    /// Hands a ring to the device, if all is there that it takes and the device has it not.
    private func start(_ index: Int) throws(RequestRefusal) {
        let ring = rings[index]
        guard !ring.isRunning, ring.isComplete else { return }
        let setup = try makeSetup(ring, index)
        do {
            try device.startQueue(index, setup)
        } catch {
            if case .fault(let fault) = error { ring.alarm.raise(fault, isControlPlane: true) }
            throw .queueStart(index: index, error)
        }
        rings[index].isRunning = true
        rings[index].wasRunning = true
    }

    private func makeSetup(_ ring: Ring, _ index: Int) throws(RequestRefusal) -> QueueSetup {
        // Those of the protocol mean nothing to a device.
        let features = features.subtracting([.protocolFeatures, .logAll])
        guard let configuration = ring.configuration(in: memory, features: features) else {
            throw .unreachableRing
        }
        guard let position = ring.position(isPacked: isPacked) else {
            throw .vringBase(ring.base ?? 0)
        }
        var setup = QueueSetup(
            configuration: configuration, memoryMap: memory.memoryMap, position: position,
            kick: nil, call: ring.call)
        if case .event(let kick) = ring.kick {
            setup.kick = kick
            // The device may have taken a kick back just before it was stopped.
            setup.startsUnkicked = ring.wasRunning
        } else {
            setup.startsUnkicked = true
        }
        if let inflight, inflight.hasRegion(ofQueue: index) {
            guard let region = inflight.region(ofQueue: index, isPacked: isPacked),
                region.queueSize >= configuration.size
            else { throw .inflight }
            setup.inflight = region
        }
        if self.features.contains(.logAll), let log {
            setup.dirtyLog = log
            if let addresses = ring.addresses, addresses.flags & VringAddresses.logFlag != 0 {
                setup.usedRingLogAddress = GuestAddress(addresses.log)
            }
        }
        let alarm = ring.alarm
        setup.onFault = { alarm.raise($0) }
        return setup
    }

    /// Takes a ring back from the device, if it has it, after all it took from it was given back.
    func stop(_ index: Int) {
        guard rings[index].isRunning else { return }
        rings[index].isRunning = false
        guard let position = device.stopQueue(index) else { return }
        rings[index].base = position.vringBase(isPacked: isPacked)
    }
}
