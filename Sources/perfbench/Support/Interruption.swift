import Glibc
import Synchronization

/// Whether the user asked to stop, by Ctrl-C or SIGTERM.
///
/// Loops look at ``isRequested`` and wind down in order: what is under way completes, mappings are
/// unmapped, results so far are printed. A second signal ends the process as usual.
enum Interruption {
    private static let requested = Atomic(false)

    /// Begins to listen.
    static func install() {
        // Initialised before a handler can run.
        requested.store(false, ordering: .relaxed)
        for number in [SIGINT, SIGTERM] {
            // Only what is safe in a signal handler: a store, and signal(2).
            signal(number) { number in
                Interruption.requested.store(true, ordering: .relaxed)
                signal(number, SIG_DFL)
            }
        }
    }

    static var isRequested: Bool { requested.load(ordering: .relaxed) }
}
