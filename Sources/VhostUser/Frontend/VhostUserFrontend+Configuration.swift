import SharedMemory
import SystemPackage

extension VhostUserFrontend {
    /// Reads a part of the configuration space.
    ///
    /// - Throws: `failed` where there is no such part.
    /// - Precondition: it has 1 to 256 bytes, within the first 256.
    public func configuration(
        at offset: Int, byteCount: Int
    ) throws(VhostUserError) -> [UInt8] {
        let part = part(at: offset, [UInt8](repeating: 0, count: byteCount))
        let request = FrontendRequest.getConfiguration(part)
        let reply = try ask(request)
        guard !reply.payload.isEmpty else { throw .failed(.getConfiguration) }
        var reader = PayloadReader(reply.payload)
        guard let answer = ConfigurationPart(&reader), answer.bytes.count == byteCount else {
            throw giveUp(.unexpectedReply(code: request.code.rawValue))
        }
        return answer.bytes
    }

    /// Writes a part of the configuration space.
    ///
    /// - Parameter isMigration: whether it is to be what it was before a migration.
    /// - Throws: `failed` where it cannot be written.
    /// - Precondition: it has 1 to 256 bytes, within the first 256.
    public func setConfiguration(
        _ bytes: [UInt8], at offset: Int, isMigration: Bool = false
    ) throws(VhostUserError) {
        var part = part(at: offset, bytes)
        part.flags = isMigration ? ConfigurationPart.migrationFlag : 0
        try perform(.setConfiguration(part))
    }

    private func part(at offset: Int, _ bytes: [UInt8]) -> ConfigurationPart {
        precondition(offset >= 0 && offset <= ConfigurationPart.byteCountMax, "it is in range")
        let part = ConfigurationPart(offset: UInt32(offset), bytes: bytes)
        precondition(part.isInRange, "it is in range")
        return part
    }
}
