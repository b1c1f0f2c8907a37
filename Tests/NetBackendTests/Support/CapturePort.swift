import BasicContainers
import SharedMemory
import Uring
import Virtqueue

@testable import NetBackend

/// A port that keeps what it is handed, and answers what a test wants.
struct CapturePort: NetPort, ~Copyable {
    struct Frame: Equatable {
        var header: NetHeader
        var bytes: [UInt8]
        var partCount: Int
    }

    var frames: [Frame] = []
    var answer = NetSending.done
    /// Tokens of frames that were said to be under way.
    var tokens: [ChainToken] = []

    mutating func send(
        _ frame: borrowing NetFrame, _ token: ChainToken, _ receive: inout ReceiveQueue?,
        _ ring: inout NetRing
    ) throws(NetFault) -> NetSending {
        if case .full = answer { return .full }
        var bytes: [UInt8] = []
        for index in 0..<frame.parts.count {
            let part = frame.parts[index]
            // SAFETY: the bench keeps the memory.
            for offset in 0..<part.byteCount { bytes.append(unsafe part.load(at: offset)) }
        }
        frames.append(Frame(header: frame.header, bytes: bytes, partCount: frame.parts.count))
        if case .underWay = answer { tokens.append(token) }
        return answer
    }

    var underWayCount: Int { tokens.count }
}
