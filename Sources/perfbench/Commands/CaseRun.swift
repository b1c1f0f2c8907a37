import CommandSupport
import SharedMemory

/// What was measured of some cases, one after another.
struct CaseRun<Result> {
    private(set) var results: [Result] = []
    /// Why no more were measured, if something failed.
    private(set) var failure: CommandFailure?

    /// Measures cases until one fails or the run is interrupted. A case that fails keeps what was measured
    /// until then.
    ///
    /// - Parameter cases: results that nothing was measured of yet.
    init(_ cases: [Result], _ measure: (inout Result) throws -> Void) rethrows {
        for var result in cases where failure == nil && !Interruption.isRequested {
            do {
                try measure(&result)
            } catch let error as CommandFailure {
                failure = error
            } catch let error as SystemCallError {
                failure = CommandFailure(error)
            }
            results.append(result)
        }
    }

    /// Ends a command whose report was written.
    ///
    /// - Throws: the failure, or that the run was interrupted.
    func end() throws {
        if let failure { throw failure }
        if Interruption.isRequested { throw CommandFailure(.interrupted, "interrupted") }
    }
}
