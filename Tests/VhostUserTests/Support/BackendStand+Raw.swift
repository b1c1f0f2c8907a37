import CSocket
import Glibc
import SystemPackage
import Testing

@testable import VhostUser

extension BackendStand {
    /// Sends a request with more descriptors than this package would.
    func sendRaw(_ request: FrontendRequest, _ descriptors: [Int32]) throws {
        let socket = try #require(socket)
        let bytes =
            MessageHeader(
                code: request.code.rawValue, flags: [.version1, .needsReply],
                payloadByteCount: UInt32(request.payload.count)
            ).bytes + request.payload
        // What CMSG_SPACE and CMSG_LEN yield: a header of 16 bytes, and multiples of 8.
        var control = [UInt8](repeating: 0, count: 16 + (descriptors.count * 4 + 7) / 8 * 8)
        let sent = unsafe control.withUnsafeMutableBytes { control in
            unsafe bytes.withUnsafeBytes { bytes in
                // SAFETY: all of it lives for the call, and the control data has room for a header
                // and the descriptors.
                var header = cmsghdr()
                header.cmsg_len = 16 + descriptors.count * 4
                header.cmsg_level = SOL_SOCKET
                header.cmsg_type = Int32(SCM_RIGHTS)
                unsafe control.storeBytes(of: header, as: cmsghdr.self)
                for (index, descriptor) in descriptors.enumerated() {
                    unsafe control.storeBytes(
                        of: descriptor, toByteOffset: 16 + index * 4, as: Int32.self)
                }
                var vector = unsafe iovec(
                    iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress),
                    iov_len: bytes.count)
                return unsafe withUnsafeMutablePointer(to: &vector) { vector in
                    var message = unsafe msghdr()
                    unsafe message.msg_iov = vector
                    unsafe message.msg_iovlen = 1
                    unsafe message.msg_control = control.baseAddress
                    unsafe message.msg_controllen = control.count
                    return unsafe sendmsg(socket.fileDescriptor.rawValue, &message, 0)
                }
            }
        }
        #expect(sent == bytes.count)
    }
}

/// Ends a connection though others hold its descriptors.
func shutdownBoth(_ socket: MessageSocket) {
    _ = shutdown(socket.fileDescriptor.rawValue, Int32(SHUT_RDWR))
}
