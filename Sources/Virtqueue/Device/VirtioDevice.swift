public import SharedMemory

/// A virtio device as its transport sees it: what it offers, its configuration space, and queues
/// that can be started and stopped.
///
/// vhost-user is such a transport; a VMM that has the device in its own process would be another.
///
/// **Threading.** A transport calls from one thread, its control plane. Queues run on threads of
/// the device, and no call stalls a queue other than the one it names.
public protocol VirtioDevice: AnyObject, Sendable {
    /// What the device can do, ring features among it.
    var features: VirtioFeatures { get }
    /// How many queues it has at most.
    var queueCountMax: Int { get }
    /// How long a queue may be.
    var queueSizeMax: Int { get }
    /// The longest packets that a network device takes, in bytes; `nil` for a device of another kind.
    var mtuMax: Int? { get }

    /// Whether it is of a network that it can tell of a driver: ``announce(_:)``.
    var canAnnounce: Bool { get }

    /// A part of the configuration space, as the driver reads it.
    ///
    /// - Returns: exactly `byteCount` bytes, zeroes where the device has none; `nil` where the part
    ///   begins beyond the end.
    func configuration(at offset: Int, byteCount: Int) -> [UInt8]?

    /// Writes a part of the configuration space.
    ///
    /// - Returns: false, with nothing changed, where the part is not the driver's to write.
    func setConfiguration(_ bytes: [UInt8], at offset: Int) -> Bool

    /// Starts a queue that is not running. It runs until it is stopped, also where nobody refers to the
    /// device any more.
    ///
    /// - Throws: where the set-up cannot be used; the queue then is not running.
    func startQueue(_ index: Int, _ setup: QueueSetup) throws(QueueStartFailure)

    /// Stops a queue, after everything that was taken from it has been given back, and says where
    /// it is.
    ///
    /// - Returns: `nil` where the queue is not running. A queue that stopped itself for a fault
    ///   still counts as running until this was called.
    func stopQueue(_ index: Int) -> QueuePosition?

    /// Changes what a running queue calls its driver by; the queue does not stop for it.
    func setCall(_ call: EventDescriptor?, ofQueue index: Int)

    /// Tells its network that the interface of an address is here now, where ``canAnnounce``.
    ///
    /// - Throws: where that cannot be told at the moment.
    func announce(_ address: MACAddress) throws(SystemCallError)

    /// Forgets everything a driver has set. No queue is running.
    func reset()
}

extension VirtioDevice {
    public var mtuMax: Int? { nil }
    public var canAnnounce: Bool { false }
    public func announce(_ address: MACAddress) throws(SystemCallError) {}
}

/// What a device needs to run a queue.
public struct QueueSetup: Sendable {
    public var configuration: QueueConfiguration
    /// All memory that the device may touch.
    public var memoryMap: MemoryMap
    /// Where to begin.
    public var position: QueuePosition
    /// How the driver says that there are buffers; `nil` where it never does: the queue is polled.
    public var kick: EventDescriptor?
    /// How the driver is told that buffers were used; `nil` where it does not want to be.
    public var call: EventDescriptor?
    /// Whether to look for buffers before the first kick.
    public var startsUnkicked = false
    /// Where to note what is under way, so that another process can finish it.
    public var inflight: InflightRegion?
    /// Where to note which pages were written.
    public var dirtyLog: DirtyLog?
    /// Where the device area is for ``dirtyLog``, if writes to the rings are to be noted. What else a
    /// device writes of a packed queue is noted at its own address.
    public var usedRingLogAddress: GuestAddress?
    /// Told when the queue stops itself. Called on a thread of the device, once; it must not wait
    /// for the device.
    public var onFault: @Sendable (QueueFault) -> Void = { _ in }

    public init(
        configuration: QueueConfiguration, memoryMap: MemoryMap, position: QueuePosition,
        kick: EventDescriptor?, call: EventDescriptor?
    ) {
        self.configuration = configuration
        self.memoryMap = memoryMap
        self.position = position
        self.kick = kick
        self.call = call
    }
}

/// Why a queue could not be started.
public enum QueueStartFailure: Error, Equatable, Sendable {
    /// The device has no such queue, or it is running.
    case unavailable
    /// What the driver has set up cannot be used.
    case fault(QueueFault)
    /// The system refused something.
    case system(SystemCallError)
}
