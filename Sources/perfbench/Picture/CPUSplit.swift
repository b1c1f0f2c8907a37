/// What the CPU time of a block operation is for, in nanoseconds.
struct CPUSplit: Equatable {
    /// In the kernel.
    let system: Double
    /// An estimate: what `memcpy` takes for as many bytes as were copied, at most what is not the kernel's.
    let copy: Double
    /// The rest: mapping, queues, the ring, completions.
    let path: Double

    var parts: [Double] { [system, copy, path] }

    /// - Parameter floor: of the run's copies; `nil` where nothing is copied.
    init(_ run: BlockRun, floor: Floor?) {
        // Medians do not add up, so that of the kernel is of use for its share only.
        let told = run.systemNsPerOp + run.userNsPerOp
        system = told > 0 ? run.cpuNsPerOp * run.systemNsPerOp / told : 0
        let copies = (floor?.memcpyNs ?? 0) * run.copiedBytesPerOp / Double(run.blockBytes)
        copy = min(copies, run.cpuNsPerOp - system)
        path = run.cpuNsPerOp - system - copy
    }
}
