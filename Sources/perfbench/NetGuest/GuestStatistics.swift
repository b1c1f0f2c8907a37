/// What a guest's card has done.
struct GuestStatistics {
    /// Frames and their bytes, without headers.
    struct Traffic {
        private(set) var frameCount = 0
        private(set) var byteCount = 0

        mutating func add(frameCount: Int, byteCount: Int) {
            self.frameCount += frameCount
            self.byteCount += byteCount
        }
    }

    var sent = Traffic()
    var received = Traffic()
    /// Frames that the kernel has not taken.
    var refusedCount = 0
    /// How often there was nothing to do.
    var waitCount = 0

    /// In a line.
    var report: String {
        "\(sent.frameCount) frames sent (\(sent.byteCount) bytes), \(received.frameCount) received "
            + "(\(received.byteCount) bytes), \(refusedCount) not taken by the kernel, "
            + "\(waitCount) waits\n"
    }
}
