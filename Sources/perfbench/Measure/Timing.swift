/// Repeats `body` for a time and returns what one operation of it costs, in CPU nanoseconds of this
/// thread. `body` performs as many operations as it is told; the clock is read in between only.
func cpuNanosecondsPerOperation<Failure: Error>(
    seconds: Double, _ body: (_ count: Int) throws(Failure) -> Void
) throws(Failure) -> Double {
    let batch = 64
    var count = 0
    let begin = threadCPUNanoseconds()
    let deadline = begin + UInt64(seconds * 1e9)
    var now = begin
    while now < deadline, !Interruption.isRequested {
        try body(batch)
        count += batch
        now = threadCPUNanoseconds()
    }
    return Double(now - begin) / Double(max(count, 1))
}
