import SharedMemory
import SystemPackage
import Testing

@testable import BlockBackend

@Suite struct StorageErrorTests {
    @Test(
        "An error of the system is told as what a user can act on",
        arguments: [
            (Errno.noSuchFileOrDirectory, StorageError.Reason.notFound),
            (.notDirectory, .notFound),
            (.permissionDenied, .permissionDenied),
            (.notPermitted, .permissionDenied),
            (.readOnlyFileSystem, .readOnlyFileSystem),
            (.isDirectory, .isDirectory),
            (.tooManyOpenFiles, .systemCall(SystemCallError("open", .tooManyOpenFiles))),
        ])
    func reasons(errno: Errno, reason: StorageError.Reason) {
        let error = StorageError(path: "/x", systemCall: SystemCallError("open", errno))
        #expect(error.reason == reason)
    }

    @Test("Every description is one line that names the path")
    func descriptions() {
        let reasons: [StorageError.Reason] = [
            .notFound, .permissionDenied, .isDirectory, .notStorage, .directIOUnsupported,
            .systemCall(SystemCallError("open", .tooManyOpenFiles)),
        ]
        let texts = reasons.map { StorageError(path: "/some/path", reason: $0).description }
        #expect(texts.allSatisfy { $0.contains("/some/path") && !$0.contains("\n") })
        #expect(Set(texts).count == reasons.count)
    }
}
