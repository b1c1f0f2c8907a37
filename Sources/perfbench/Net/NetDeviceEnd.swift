/// The device, as the loop that drives it knows it: one type for each way to it (``NetVia``).
protocol NetDeviceEnd: ~Copyable {
    /// CPU time of everything that moves frames, this process included.
    var cpuTime: CPUTime { get }

    /// Lets the device go on, after the driver has published.
    ///
    /// - Parameters:
    ///   - kicksTransmit: whether it wants to be kicked for frames.
    ///   - kicksReceive: whether it wants to be kicked for buffers.
    mutating func advance(kicksTransmit: Bool, kicksReceive: Bool) throws
    /// Nothing has come back.
    ///
    /// - Parameter count: how often in a row, from 1.
    mutating func wait(_ count: Int) throws
    /// Frames that the device has dropped, by reason; `nil` where it does not tell. To be asked for once.
    var drops: [String: Int]? { mutating get throws }
    /// Lets go of the queues; nothing is under way.
    mutating func end()
}
