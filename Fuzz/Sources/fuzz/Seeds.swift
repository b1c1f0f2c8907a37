import Glibc
import SystemPackage

/// Inputs that mean something, for a corpus to begin with: `fuzz --target=chain --seeds DIRECTORY`.
enum Seeds {
    static func write(of target: String, into directory: String) {
        for (name, bytes) in seeds(of: target) {
            do {
                let file = try FileDescriptor.open(
                    FilePath(directory).appending("seed-" + name), .writeOnly,
                    options: [.create, .truncate],
                    permissions: [.ownerReadWrite, .groupRead, .otherRead])
                try file.closeAfter { _ = try file.writeAll(bytes) }
            } catch {
                print("\(directory): \(error)")
                exit(74)
            }
        }
    }

    private static func seeds(of target: String) -> [(String, [UInt8])] {
        switch target {
        case "message": messages
        case "chain": chains
        case "driver": drivers
        case "request": requests
        case "frame": frames
        case "command": commands
        default: sessions
        }
    }
}

/// Puts an input together, as ``FuzzInput`` takes it apart.
struct SeedWriter {
    private(set) var bytes: [UInt8] = []

    init(_ bytes: UInt8...) {
        self.bytes = bytes
    }

    mutating func put(_ more: UInt8...) {
        bytes += more
    }

    mutating func put(_ more: [UInt8]) {
        bytes += more
    }

    mutating func put(number: some FixedWidthInteger & UnsignedInteger) {
        for index in 0..<number.bitWidth / 8 {
            bytes.append(UInt8(truncatingIfNeeded: number >> (8 * index)))
        }
    }
}
