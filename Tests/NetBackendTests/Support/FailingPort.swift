import SharedMemory
import SystemPackage
import Virtqueue

@testable import NetBackend

/// A port whose system refuses to go on, with a frame under way for ever if a test wants one.
struct FailingPort: NetPort, ~Copyable {
    var underWayCount = 0

    mutating func send(
        _ frame: borrowing NetFrame, _ token: ChainToken, _ receive: inout ReceiveQueue?,
        _ ring: inout NetRing
    ) throws(NetFault) -> NetSending { .full }

    mutating func turn(
        _ transmit: inout TransmitQueue?, _ receive: inout ReceiveQueue?, _ ring: inout NetRing
    ) throws(NetFault) -> Int {
        guard transmit != nil else { return 0 }
        throw .system(SystemCallError("io_uring_enter", .ioError))
    }
}
