import Glibc
import SharedMemory
import TestSupport
import Testing
import Virtqueue

@testable import NetBackend

@Suite struct NetStateTests {
    @Test("Of two that look at the link, the one who looked last is right")
    func link() throws {
        let state = NetState(NetConfiguration())
        let hasLooked = try EventDescriptor()
        onThreads(2) { index in
            if index == 0 {
                state.followLink {
                    hasLooked.signal()
                    // It has seen that the link is up, and takes its time.
                    usleep(100_000)
                    return true
                }
            } else {
                _ = hasLooked.comes()
                state.followLink { false }
            }
        }
        #expect(!state.configuration.isLinkUp)
    }
}
