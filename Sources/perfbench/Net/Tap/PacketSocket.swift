import CPacket
import CommandSupport
import Glibc
import SystemPackage
import Virtqueue

/// A socket of the host by which whole frames are sent or received on an interface (`packet(7)`), each with the
/// header of virtio before it.
///
/// **Threading.** Any thread.
final class PacketSocket: Sendable {
    let interface: String
    private let descriptor: Int32

    /// How long the header is here: that of ``NetHeader`` without its last field.
    static let headerByteCount = Int(cpacket_header_byte_count)
    /// How many frames are sent by one system call at most.
    static let burstCountMax = Int(cpacket_burst_max)
    /// How much a socket keeps of what nobody has taken yet: as many of the longest frames as a queue has.
    private static let receiveByteCount: Int32 = 128 << 20

    /// - Parameter receives: whether it receives what comes in by the interface; else it only sends.
    init(interface: String, receives: Bool) throws {
        self.interface = interface
        // SAFETY: the string lives for the call.
        let index = unsafe if_nametoindex(interface)
        guard index > 0 else { throw Self.failure(interface, errno) }
        descriptor = cpacket_open(Int32(index), receives ? Self.receiveByteCount : 0)
        guard descriptor >= 0 else { throw Self.failure(interface, errno) }
    }

    deinit {
        close(descriptor)
    }

    /// Sends frames that lie one behind the other, each with its header before it.
    ///
    /// - Parameters:
    ///   - byteCount: how long each is, with its header.
    ///   - count: how many, at most ``burstCountMax``.
    /// - Returns: how many the interface took, and whether it dropped one more, for which it had no room. Why a
    ///   burst ends early after its first frame the kernel does not say: that counts as dropped, too.
    func send(
        _ frames: [UInt8], byteCount: Int, count: Int
    ) throws(CommandFailure) -> (takenCount: Int, isOneLost: Bool) {
        precondition(count * byteCount <= frames.count, "there are as many frames")
        // SAFETY: the array lives for the call, and has as many frames.
        let sent = unsafe cpacket_send(descriptor, frames, byteCount, byteCount, Int32(count))
        guard sent < 0 else { return (Int(sent), sent < count) }
        switch errno {
        case ENOBUFS: return (0, true)
        // Nothing was tried.
        case EAGAIN, EINTR: return (0, false)
        default: throw Self.failure(interface, errno)
        }
    }

    /// The next frame that came in and that nobody has taken, if there is one.
    func receive(into buffer: inout [UInt8]) -> (header: NetHeader, frame: ArraySlice<UInt8>)? {
        // SAFETY: the array has as much room.
        let count = unsafe cpacket_receive(descriptor, &buffer, buffer.count)
        guard count >= Self.headerByteCount else { return nil }
        return (
            NetHeader(bytes: buffer.prefix(Self.headerByteCount)),
            buffer[Self.headerByteCount..<count]
        )
    }

    private static func failure(_ interface: String, _ errno: Int32) -> CommandFailure {
        switch errno {
        case EPERM, EACCES:
            CommandFailure(
                .noPermission,
                "frames on TAP device \(interface) are sent and looked at by the host's end, which takes "
                    + "root or CAP_NET_RAW; without, use --direction tx, and not --verify")
        case ENETDOWN:
            CommandFailure(
                .unavailable,
                "TAP device \(interface) is down; bring it up by 'ip link set dev \(interface) up'")
        case ENODEV, ENXIO:
            CommandFailure(.noInput, "TAP device \(interface) is not there any more")
        default:
            CommandFailure(
                .ioError,
                "the host's end of TAP device \(interface) failed (\(Errno(rawValue: errno)))")
        }
    }
}
