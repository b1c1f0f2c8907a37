import Synchronization

/// Whether completed writes may still be volatile (`VIRTIO_BLK_F_CONFIG_WCE`), for all queues of a
/// device.
///
/// **Threading.** Any thread; a write that is begun after a change follows it.
public final class BlockCacheMode: Sendable {
    private let writesBack: Atomic<Bool>

    public init(isWriteback: Bool = true) {
        writesBack = Atomic(isWriteback)
    }

    /// Whether a completed write is durable only after a flush. If not, it completes when it is.
    public var isWriteback: Bool {
        get { writesBack.load(ordering: .relaxed) }
        set { writesBack.store(newValue, ordering: .relaxed) }
    }
}
