import BasicContainers
import SharedMemory
import Virtqueue

/// A frame on its way: its header in private memory, its bytes where they are.
///
/// It is made once and filled again and again. Who holds one keeps the memory that its parts are of.
struct NetFrame: ~Copyable {
    /// What the sender left to do, checked.
    var header = NetHeader()
    /// The length in bytes, without the header.
    var byteCount = 0
    /// The bytes, in order; none of the parts is empty.
    var parts: RigidArray<HostRange>

    /// - Parameter partCountMax: how many parts a frame has at most.
    init(partCountMax: Int) {
        parts = RigidArray(capacity: partCountMax)
    }
}
