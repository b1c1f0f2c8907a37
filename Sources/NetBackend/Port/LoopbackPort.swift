import Virtqueue

/// What is sent is received, copied once, like a wire: the ceiling of sending and receiving. Nothing is
/// filtered; without a receive queue nothing is sent.
struct LoopbackPort: NetPort, ~Copyable {
    @inline(__always)
    mutating func send(
        _ frame: borrowing NetFrame, _ token: ChainToken, _ receive: inout ReceiveQueue?,
        _ ring: inout NetRing
    ) throws(NetFault) -> NetSending {
        switch try receive?.deliver(frame) {
        case .done: .done
        case .dropped: .rejected
        case .full, nil: .full
        }
    }
}
