import CommandSupport
import Glibc
import SystemPackage

/// What a `bounced` of this run's own says on standard error: a file that it writes to and that is read now and
/// then. Nobody reads a pipe while a measurement runs, and a full one would stop who writes.
///
/// Its statistics are for this program; what else it says is passed on to the user.
final class BackendLog {
    let file: FileDescriptor
    /// How far it was read.
    private var position: Int64 = 0

    init(_ path: FilePath) throws {
        do {
            file = try FileDescriptor.open(
                path, .readWrite, options: [.create, .append, .closeOnExec],
                permissions: .ownerReadWrite)
        } catch {
            throw CommandFailure(.cannotCreate, "\(path) cannot be made (\(error))")
        }
        // It goes with whoever has it open. SAFETY: the string lives for the call.
        unsafe unlink(path.string)
    }

    deinit {
        try? file.close()
    }

    /// The lines of statistics that are new. All others are shown to the user.
    func takeReport() -> [String] {
        var report: [String] = []
        for line in takeLines() {
            if line.hasPrefix("pair ") {
                report.append(line)
            } else {
                StandardError.write(line + "\n")
            }
        }
        return report
    }

    /// Why the program has ended, which it says last; `nil` where it says nothing.
    func takeReason() -> String? {
        let prefix = "bounced: "
        guard let line = takeLines().last, line.hasPrefix(prefix) else { return nil }
        return String(line.dropFirst(prefix.count))
    }

    /// The whole lines that are new.
    private func takeLines() -> [String] {
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 4096)
        while true {
            // SAFETY: the array has as much room.
            let count = unsafe part.withUnsafeMutableBytes {
                (try? unsafe file.read(fromAbsoluteOffset: position + Int64(bytes.count), into: $0))
                    ?? 0
            }
            guard count > 0 else { break }
            bytes += part.prefix(count)
        }
        guard let end = bytes.lastIndex(of: UInt8(ascii: "\n")) else { return [] }
        position += Int64(end + 1)
        return bytes[..<end].split(separator: UInt8(ascii: "\n")).map {
            String(decoding: $0, as: UTF8.self)
        }
    }
}
