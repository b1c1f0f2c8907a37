/// Looks for what distorts measurements on this machine.
///
/// **Cost.** Half a second, in which it watches the processors.
struct Doctor {
    var files = SystemFiles()
    /// What is to be measured on; the folder of temporary files where nothing is named.
    var storage: String?
    /// Where temporary files may be.
    var places = ScratchFile.places

    /// What is found, of every subject.
    func examine() -> [Diagnosis] {
        [build, processorCount, frequency, siblings, clock, load, steal, quota]
            + [availableMemory, lockedMemory, hugePages, uring] + storageFindings
            + [daemon, valgrind, objcopy, gnuplot]
    }

    private var build: Diagnosis {
        #if DEBUG
        .serious(
            "build", "a debug build: its figures say nothing about release builds",
            "swift build -c release --product perfbench")
        #else
        .ok("build", "a release build")
        #endif
    }
}
