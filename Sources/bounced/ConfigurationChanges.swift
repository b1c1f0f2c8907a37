import Synchronization
import VhostUser

/// Tells the frontend of the moment that the configuration space of a device has changed.
///
/// The device is given it before there is a backend, and then nobody is told. **Threading.** Any thread.
final class ConfigurationChanges: Sendable {
    private let backend = Mutex<VhostUserBackend?>(nil)

    /// Tells the frontends of a backend from now on.
    func follow(_ backend: VhostUserBackend) {
        self.backend.withLock { $0 = backend }
    }

    /// To be called when there is a change. No answer is waited for.
    func notify() {
        let backend = backend.withLock { $0 }
        backend?.notifyConfigurationChange()
    }
}
