import SharedMemory
import Virtqueue

/// What the control plane asks of a pair's thread.
enum NetRequest {
    case start(NetSide, QueueSetup)
    case stop(NetSide)
    /// What the driver is called by from now on. It is called once, for what it may have missed.
    case setCall(NetSide, EventDescriptor?)
    case statistics
    /// Nothing is running any more: the thread ends, and says last what the pair has done.
    case end
}

/// What the thread answers.
enum NetAnswer {
    case done
    case refused(QueueStartFailure)
    case stopped(QueuePosition?)
    case statistics(NetPairStatistics)
}
