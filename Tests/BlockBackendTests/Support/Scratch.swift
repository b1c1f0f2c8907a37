import Foundation
import Glibc
import SharedMemory
import SystemPackage
import TestSupport
import Virtqueue

/// A tool that a test needs could not be run, or failed.
struct ToolFailure: Error, CustomStringConvertible {
    let description: String
}

/// Runs a tool of the system and returns what it printed, without the line's end.
@discardableResult
func run(_ tool: String, _ arguments: String...) throws -> String {
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [tool] + arguments
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    process.environment = ["PATH": "/usr/sbin:/sbin:/usr/bin:/bin", "LC_ALL": "C"]
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
        throw ToolFailure(description: "\(tool) ended with \(process.terminationStatus)")
    }
    return String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
}

/// Gives `body` a new directory, which is removed with all it holds however `body` ends.
func withDirectory<Result>(
    in parent: FilePath = Machine.buildDirectory, _ body: (FilePath) throws -> Result
) throws -> Result {
    let path = parent.appending("block-tests-\(UUID().uuidString)")
    try FileManager.default.createDirectory(
        atPath: path.string, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: path.string) }
    return try body(path)
}

/// Gives `body` a mounted tmpfs of a certain size. Needs root.
func withTmpfs(
    byteCount: Int, options: String = "rw", _ body: (FilePath) throws -> Void
) throws {
    try withDirectory { path in
        try run(
            "mount", "-t", "tmpfs", "-o", "size=\(byteCount),\(options)", "block-tests", path.string
        )
        defer { _ = try? run("umount", "-l", path.string) }
        try body(path)
    }
}

/// Gives `body` a loop device over a file of random bytes. Needs root.
///
/// The device is detached at once and lives as long as a descriptor of it does, so that not even a
/// crash of the test leaves it behind.
func withLoopDevice(
    byteCount: Int, sectorByteCount: Int, _ body: (FilePath) throws -> Void
) throws {
    try withDirectory { directory in
        let file = directory.appending("backing")
        try writeFile(file, bytes: initialBytes(byteCount))
        let device = FilePath(
            try run(
                "losetup", "--sector-size", "\(sectorByteCount)", "--direct-io=on", "-f", "--show",
                file.string))
        let holder: FileDescriptor
        do {
            defer { _ = try? run("losetup", "-d", device.string) }
            holder = try FileDescriptor.open(device, .readOnly, options: .closeOnExec)
        }
        defer { try? holder.close() }
        try body(device)
    }
}

/// Creates or overwrites a file.
func writeFile(_ path: FilePath, bytes: [UInt8]) throws {
    let file = try FileDescriptor.open(
        path, .readWrite, options: [.create, .truncate, .closeOnExec], permissions: .ownerReadWrite)
    defer { try? file.close() }
    guard !bytes.isEmpty else { return }
    let memory = try HostMemory.anonymous(byteCount: bytes.count)
    memory.store(bytes.span, at: 0)
    try memory.write(to: file, atFileOffset: 0, offset: 0, byteCount: bytes.count)
}

/// Reads a file or device from its start through a new descriptor and the page cache.
func readFile(_ path: FilePath, byteCount: Int) throws -> [UInt8] {
    let file = try FileDescriptor.open(path, .readOnly, options: .closeOnExec)
    defer { try? file.close() }
    let memory = try HostMemory.anonymous(byteCount: byteCount)
    let count = try memory.read(from: file, atFileOffset: 0, offset: 0, byteCount: byteCount)
    return memory.bytes(at: 0, byteCount: count)
}

/// What storage holds when a test gets it; at most 4 MiB.
func initialBytes(_ count: Int) -> [UInt8] { Array(initialPattern[..<count]) }

private let initialPattern = randomBytes(4 << 20, seed: 1)

/// The same bytes for the same seed.
func randomBytes(_ count: Int, seed: UInt64) -> [UInt8] {
    var generator = SeededGenerator(seed: seed)
    var bytes = [UInt8](repeating: 0, count: count)
    var word: UInt64 = 0
    for index in 0..<count {
        if index & 7 == 0 { word = generator.next() }
        bytes[index] = UInt8(truncatingIfNeeded: word)
        word >>= 8
    }
    return bytes
}

/// Where two arrays differ first, or `nil` where they are equal: a message a person can read.
func firstDifference(_ left: [UInt8], _ right: [UInt8]) -> Int? {
    // SAFETY: both buffers live for the call, and no more than the shorter of them is compared.
    let isEqual = unsafe left.withUnsafeBytes { left in
        unsafe right.withUnsafeBytes { right in
            guard let first = left.baseAddress, let second = right.baseAddress else {
                return left.count == right.count
            }
            return unsafe left.count == right.count && memcmp(first, second, left.count) == 0
        }
    }
    if isEqual { return nil }
    return zip(left, right).enumerated().first { $1.0 != $1.1 }?.offset
        ?? min(left.count, right.count)
}
