import BlockBackend
import CommandSupport
import SystemPackage
import VhostUser
import Virtqueue

extension BackendProcess {
    /// Starts a backend of block devices.
    ///
    /// - Parameter file: what it serves.
    convenience init(serving file: FilePath, readOnly: Bool, buffered: Bool, queueSize: Int) throws
    {
        try self.init(
            running: ["blk", "--blk-file", file.string, "--queue-size", "\(queueSize)"]
                + (readOnly ? ["--read-only"] : []) + (buffered ? ["--buffered"] : []))
    }

    /// How long the block device is, in bytes.
    func storageByteCount() throws -> UInt64 {
        do {
            let frontend = try connect()
            try frontend.negotiate(
                features: [.version1, .accessPlatform],
                protocolFeatures: Self.protocolFeatures)
            let bytes = try frontend.configuration(at: 0, byteCount: 8)
            return BlockConfiguration(bytes: bytes).sectorCount * UInt64(sectorByteCount)
        } catch {
            throw CommandFailure(.unavailable, "the backend cannot be used: \(error)")
        }
    }
}
