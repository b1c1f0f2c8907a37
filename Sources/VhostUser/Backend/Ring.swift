import SharedMemory
import Virtqueue

/// What a frontend has said about one queue, and what became of it.
struct Ring {
    /// How the device learns of new buffers.
    enum Kick {
        /// It has not been said: the ring is stopped.
        case unset
        /// It looks by itself.
        case polled
        case event(EventDescriptor)
    }

    var size: Int?
    var addresses: VringAddresses?
    /// Where to begin, as the message has it: what it means depends on the features.
    var base: UInt32?
    var kick = Kick.unset
    var call: EventDescriptor?
    let alarm: QueueAlarm
    var isEnabled = false
    /// Whether the device has it.
    var isRunning = false
    /// Whether the device has had it since it was set up, and may have taken a kick back.
    var wasRunning = false

    init(alarm: QueueAlarm) {
        self.alarm = alarm
    }

    /// Back to how a connection begins.
    mutating func reset() {
        alarm.set(nil)
        self = Ring(alarm: alarm)
    }

    /// Whether everything is there that it takes to run.
    var isComplete: Bool {
        guard case .unset = kick else { return isEnabled && size != nil && addresses != nil }
        return false
    }

    /// Where the ring goes on.
    func position(isPacked: Bool) -> QueuePosition? {
        guard let base else { return .start(isPacked: isPacked) }
        return QueuePosition(vringBase: base, isPacked: isPacked)
    }

    /// Where the ring is, in guest addresses.
    ///
    /// - Returns: `nil` where it has not been said, or a part of it is not in one region of the
    ///   memory.
    func configuration(
        in memory: RegionTable, features: VirtioFeatures
    ) -> QueueConfiguration? {
        guard let size, let addresses,
            let descriptor = memory.guestAddress(ofUserAddress: addresses.descriptor),
            let driver = memory.guestAddress(ofUserAddress: addresses.available),
            let device = memory.guestAddress(ofUserAddress: addresses.used)
        else { return nil }
        let configuration = QueueConfiguration(
            size: size, descriptorArea: descriptor, driverArea: driver, deviceArea: device,
            features: features)
        let byteCounts = QueueConfiguration.areaByteCounts(
            size: size, isPacked: configuration.isPacked)
        let areas = [
            (descriptor, byteCounts.descriptor), (driver, byteCounts.driver),
            (device, byteCounts.device),
        ]
        let isReachable = areas.allSatisfy { address, byteCount in
            memory.memoryMap.translate(GuestRange(address: address, byteCount: byteCount)) != nil
        }
        return isReachable ? configuration : nil
    }
}
