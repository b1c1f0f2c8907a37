import SharedMemory
import SystemPackage
import Virtqueue

extension TapDevice {
    /// Tells whoever is behind the interface that an address is here now: bridges and switches learn from any
    /// frame where its sender is.
    ///
    /// Beside frames of queues; any thread.
    func announce(_ address: MACAddress) throws(SystemCallError) {
        let bytes =
            [UInt8](repeating: 0, count: NetHeader.byteCount)
            + Self.announcement(of: address)
        do {
            try queues[0].writeAll(bytes)
        } catch {
            throw SystemCallError("write", error as? Errno ?? .ioError)
        }
    }

    /// The shortest frame that is sent on a wire.
    private static let byteCountMin = 60

    /// A request of RARP to all, by which a machine asks for its own protocol address (RFC 903): what vhost-user
    /// wants sent, and nobody answers.
    static func announcement(of address: MACAddress) -> [UInt8] {
        let noAddress: [UInt8] = [0, 0, 0, 0]
        let header = MACAddress.broadcast.bytes + address.bytes + [0x80, 0x35]
        // Ethernet and IPv4, of six and four bytes; the request.
        let packet: [UInt8] =
            [0, 1, 8, 0, 6, 4, 0, 3] + address.bytes + noAddress + address.bytes + noAddress
        let frame = header + packet
        return frame + [UInt8](repeating: 0, count: byteCountMin - frame.count)
    }
}
