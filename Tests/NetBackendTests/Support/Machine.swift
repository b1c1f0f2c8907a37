import Uring

/// What this machine lets tests do.
enum Machine {
    /// Whether io_uring is permitted.
    static let hasUring: Bool = {
        do {
            _ = try Ring(entryCount: 1)
            return true
        } catch {
            return false
        }
    }()
}
