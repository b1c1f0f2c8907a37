import CommandSupport
import FoundationEssentials
import SystemPackage

/// Files that perfbench writes beside its results.
enum OutputFile {
    /// Writes a file, in place of one that is there.
    ///
    /// - Throws: `CommandFailure` with status 73 where it cannot be made, 74 where the disk is full.
    static func write(_ text: String, to path: FilePath) throws(CommandFailure) {
        do {
            let file = try FileDescriptor.open(
                path, .writeOnly, options: [.create, .truncate, .closeOnExec],
                permissions: [.ownerReadWrite, .groupRead, .otherRead])
            try file.closeAfter { _ = try file.writeAll(text.utf8) }
        } catch {
            let errno = error as? Errno ?? .ioError
            throw CommandFailure(
                errno == .noSpace ? .ioError : .cannotCreate,
                "\(path) cannot be written (\(errno)); use --output with another place")
        }
    }

    /// Makes a directory where there is none.
    static func makeDirectory(_ path: FilePath) throws(CommandFailure) {
        do {
            try FileManager.default.createDirectory(
                atPath: path.string, withIntermediateDirectories: true)
        } catch {
            throw CommandFailure(
                .cannotCreate,
                "the directory \(path) cannot be made; use --output with another place")
        }
    }
}
