import BasicContainers
import SharedMemory
import Virtqueue

/// Reads every byte of what is sent, and forgets it: the ceiling of sending.
struct DropPort: NetPort, ~Copyable {
    /// The sum of all words: so that nobody can leave the reading out.
    private(set) var sum: UInt64 = 0

    @inline(__always)
    mutating func send(
        _ frame: borrowing NetFrame, _ token: ChainToken, _ receive: inout ReceiveQueue?,
        _ ring: inout NetRing
    ) throws(NetFault) -> NetSending {
        for index in 0..<frame.parts.count {
            // SAFETY: the transmit queue keeps the memory.
            sum &+= unsafe frame.parts[index].sum()
        }
        return .done
    }
}
