import Foundation
import SharedMemory
import SystemPackage
import Testing

@testable import BlockBackend

@Suite struct BlockStorageTests {
    private func reason(
        _ path: FilePath, _ options: BlockStorage.Options = []
    ) -> StorageError.Reason? {
        do throws(StorageError) {
            _ = try BlockStorage(path: path, options: options)
            return nil
        } catch {
            #expect(error.path == path)
            return error.reason
        }
    }

    @Test(
        "A path that leads nowhere is not found",
        arguments: ["/nonexistent/file", "/etc/passwd/file"] as [FilePath])
    func missing(path: FilePath) {
        #expect(reason(path) == .notFound)
        #expect(reason(path, [.buffered, .readOnly]) == .notFound)
    }

    @Test("A directory is not storage")
    func directory() throws {
        try withDirectory { #expect(reason($0) == .isDirectory) }
    }

    @Test("A character device is not storage")
    func characterDevice() {
        #expect(reason("/dev/null") == .notStorage)
        #expect(reason("/dev/null", .buffered) == .notStorage)
    }

    @Test("A pipe is refused without waiting for its other end")
    func pipe() throws {
        try withDirectory { directory in
            let path = directory.appending("pipe")
            try run("mkfifo", path.string)
            #expect(reason(path, .readOnly) == .notStorage)
        }
    }

    @Test(
        "A file without permission is refused",
        .enabled(if: !Machine.isRoot, "root may open everything"))
    func noPermission() throws {
        try withDirectory { directory in
            let path = directory.appending("file")
            try writeFile(path, bytes: [UInt8](repeating: 0, count: 4096))
            try FileManager.default.setAttributes(
                [.posixPermissions: 0], ofItemAtPath: path.string)
            #expect(reason(path) == .permissionDenied)
        }
    }

    @Test(
        "A file that cannot be written is refused, unless opened to be read",
        .enabled(if: Machine.canMount, "no tmpfs can be mounted here"))
    func readOnlyFileSystem() throws {
        try withTmpfs(byteCount: 1 << 20) { directory in
            let path = directory.appending("file")
            try writeFile(path, bytes: [UInt8](repeating: 0, count: 4096))
            try run("mount", "-o", "remount,ro", directory.string)
            #expect(reason(path, .buffered) == .readOnlyFileSystem)
            #expect(reason(path, [.buffered, .readOnly]) == nil)
        }
    }

    @Test("A file system without direct I/O is told apart from other errors")
    func directIOUnsupported() {
        #expect(reason("/proc/version", .readOnly) == .directIOUnsupported)
    }

    @Test("A file without a size to be asked for is refused with the system's error")
    func noSize() {
        #expect(
            reason("/proc/version", [.readOnly, .buffered])
                == .systemCall(SystemCallError("lseek", .invalidArgument)))
    }

    @Test(
        "A size is rounded down to whole sectors",
        arguments: [(0, 0), (1, 0), (511, 0), (512, 512), (1023, 512), (10_000, 9728)])
    func size(byteCount: Int, served: UInt64) throws {
        for place in [Place.diskBuffered, .diskDirect] {
            try place.withStorage(byteCount: byteCount) { storage, _ in
                #expect(storage.byteCount == served)
                #expect(!storage.isBlockDevice)
            }
        }
    }

    @Test("A file has two descriptors where it is direct, one where it is buffered")
    func descriptors() throws {
        try Place.diskBuffered.withStorage(byteCount: 4096) { storage, _ in
            #expect(!storage.isDirect)
            #expect(storage.bufferedDescriptor == nil)
            #expect(!storage.isReadOnly)
        }
        try Place.diskDirect.withStorage(byteCount: 4096, readOnly: true) { storage, _ in
            #expect(storage.isDirect)
            #expect(storage.bufferedDescriptor != nil)
            #expect(storage.isReadOnly)
        }
    }

    /// The nodes of devices are in a file system that is in memory, which the devices are not.
    @Test("Files on tmpfs are in memory, others and devices are not", arguments: Place.allCases)
    func inMemory(place: Place) throws {
        try place.withStorage(byteCount: 1 << 20) { storage, _ in
            #expect(storage.isInMemory == place.isInMemory)
            #expect((storage.gate != nil) == (storage.isDirect && !place.isInMemory))
        }
    }

    @Test("Storage closes its descriptors when it goes")
    func closes() throws {
        try Place.diskDirect.withStorage(byteCount: 4096) { _, path in
            func openCount() throws -> Int {
                let names = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")
                return names.count {
                    let target = try? FileManager.default.destinationOfSymbolicLink(
                        atPath: "/proc/self/fd/" + $0)
                    return target == path.string
                }
            }
            let before = try openCount()
            var storage: BlockStorage? = try BlockStorage(path: path)
            #expect(storage != nil)
            #expect(try openCount() == before + 2)
            storage = nil
            #expect(try openCount() == before)
        }
    }

    @Test("A block device has its size and its kind", arguments: [Place.loopDirect, .loopBuffered])
    func blockDevice(place: Place) throws {
        try place.withStorage(byteCount: 3 << 20) { storage, _ in
            #expect(storage.isBlockDevice)
            #expect(storage.byteCount == 3 << 20)
        }
    }
}
