import Testing
import VhostUser
import Virtqueue

@Suite struct VhostUserVringMessagesTests {
    @Test func baseOfASplitQueueIsItsAvailableIndex() {
        let position = QueuePosition(available: 0x9234, used: 7)
        #expect(position.vringBase(isPacked: false) == 0x9234)
        #expect(
            QueuePosition(vringBase: 0x9234, isPacked: false)
                == QueuePosition(available: 0x9234, used: 0x9234))
        #expect(QueuePosition(vringBase: 0x1_0000, isPacked: false) == nil)
    }

    @Test func baseOfAPackedQueueHasBothIndices() {
        let position = QueuePosition(available: 0x8003, used: 0x0002)
        #expect(position.vringBase(isPacked: true) == 0x0002_8003)
        #expect(QueuePosition(vringBase: 0x0002_8003, isPacked: true) == position)
    }
}
