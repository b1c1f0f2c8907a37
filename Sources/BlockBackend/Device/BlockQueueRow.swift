import SharedMemory
import Virtqueue

/// A request under way.
struct BlockQueueRow: ~Copyable {
    var chain: DescriptorChain
    var statusAddress = GuestAddress(0)
    var status = HostRange.empty
    var step = Step.only
    var rangeCount = 0
    var nextRange = 0

    /// What follows on the operation under way.
    enum Step {
        case only
        /// The cache writes through: the write counts when it is durable.
        case flushAfterwards
        case discard
        case writeZeroes
    }

    init(chain: consuming DescriptorChain) {
        self.chain = chain
    }
}
