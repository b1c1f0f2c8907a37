import Glibc
import SharedMemory
import SystemPackage

/// How a card's driver and its device wake each other, and what wakes the driver besides: frames of the stack.
struct GuestEvents {
    let transmitKick: EventDescriptor
    let transmitCall: EventDescriptor
    let receiveKick: EventDescriptor
    let receiveCall: EventDescriptor
    private let frames: FileDescriptor
    /// What is waited for: both calls, and frames.
    private var awaited: [pollfd]

    /// How long is slept at once, for somebody to look at signals and at the device's process.
    private static let sleepMilliseconds: Int32 = 250

    /// - Parameter frames: readable when the stack has sent one.
    init(frames: FileDescriptor) throws(SystemCallError) {
        transmitKick = try EventDescriptor()
        transmitCall = try EventDescriptor()
        receiveKick = try EventDescriptor()
        receiveCall = try EventDescriptor()
        self.frames = frames
        awaited = [transmitCall.fileDescriptor, receiveCall.fileDescriptor, frames].map {
            pollfd(fd: $0.rawValue, events: Int16(POLLIN), revents: 0)
        }
    }

    /// Sleeps until the device calls or, where that is wanted, the stack has a frame.
    ///
    /// - Returns: false where nothing came for a while.
    mutating func wait(forFrames waitsForFrames: Bool) -> Bool {
        // What is negative is passed over.
        awaited[2].fd = waitsForFrames ? frames.rawValue : -1
        // SAFETY: the array has as many entries, and lives for the call.
        guard unsafe poll(&awaited, nfds_t(awaited.count), Self.sleepMilliseconds) > 0 else {
            return false
        }
        if awaited[0].revents != 0 { transmitCall.clear() }
        if awaited[1].revents != 0 { receiveCall.clear() }
        return true
    }
}
