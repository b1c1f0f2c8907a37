import CommandSupport
import Glibc
import NetBackend
import SharedMemory
import SystemPackage
import Uring
import Virtqueue

/// What stands for a guest's network stack: the kernel's, by a TAP device. What it sends is read into the
/// guest's memory, and what the guest receives is written to it from there.
///
/// **Threading.** One thread. **Cost.** A system call a frame.
final class GuestTap {
    private let device: TapDevice
    private let vectors: IOVectors
    /// Those of the frame that is written next.
    private var parts: IOVectors.List

    /// - Parameter partCountMax: how many parts a frame has at most.
    init(_ device: TapDevice, partCountMax: Int) {
        self.device = device
        vectors = IOVectors(rowCount: 1, rowCapacity: partCountMax)
        parts = vectors.emptyList(inRow: 0)
        let flags = fcntl(fileDescriptor.rawValue, F_GETFL)
        _ = fcntl(fileDescriptor.rawValue, F_SETFL, flags | O_NONBLOCK)
    }

    /// Readable when there is a frame to read.
    var fileDescriptor: FileDescriptor { device.queues[0] }

    /// Has the kernel leave to the card what that takes: checksums, and frames to segment.
    ///
    /// - Parameter features: what was agreed on with the card.
    func leaveWork(to features: VirtioFeatures) throws(SystemCallError) {
        // The kernel sends here what it is, to a guest's driver, that receives.
        let counterparts: [(VirtioFeatures, VirtioFeatures)] = [
            (.netChecksum, .netGuestChecksum), (.netHostTSO4, .netGuestTSO4),
            (.netHostTSO6, .netGuestTSO6), (.netHostUSO, [.netGuestUSO4, .netGuestUSO6]),
        ]
        var offloads: VirtioFeatures = []
        for (sent, received) in counterparts where features.contains(sent) {
            offloads.formUnion(received)
        }
        try device.setOffloads(offloads)
    }

    /// Reads the next frame with its header.
    ///
    /// - Returns: its length; `nil` where there is none now.
    func read(into range: HostRange) throws(CommandFailure) -> Int? {
        // A TAP device has no places to read from: any will do.
        let result = ImmediateTransfer.perform(.read, range, file: fileDescriptor, fileOffset: 0)
        guard result < 0 else { return Int(result) }
        let error = Errno(rawValue: -result)
        guard error == .wouldBlock || error == .interrupted else {
            throw CommandFailure(.ioError, "TAP device \(device.name) cannot be read (\(error))")
        }
        return nil
    }

    /// Adds a part to the frame that is written next; the first begins with its header.
    func append(_ part: HostRange) {
        let isAppended = vectors.append(part, to: &parts)
        precondition(isAppended, "a frame has no more parts than that")
    }

    /// Writes the frame whose parts were added.
    ///
    /// - Returns: whether the kernel has taken it.
    func write() -> Bool {
        defer { parts = vectors.emptyList(inRow: 0) }
        return ImmediateTransfer.perform(
            .write, parts, of: vectors, file: fileDescriptor, fileOffset: 0) >= 0
    }
}
