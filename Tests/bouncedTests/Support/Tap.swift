import Foundation
import Glibc
import NetBackend
import Testing

/// A TAP device that is there without any process, as an administrator makes it; gone with this object.
final class Tap {
    let name = "bnc\(getpid() % 1_000_000)x\(UInt16.random(in: 0...9999))"

    /// Whether such devices can be made.
    static let isPermitted: Bool = (try? Tap()) != nil
    static let hasSetpriv = FileManager.default.isExecutableFile(atPath: "/usr/bin/setpriv")

    /// - Parameter mode: `tap`, or `tun` for what is none.
    init(_ options: String..., mode: String = "tap") throws {
        try Self.ip(["tuntap", "add", "dev", name, "mode", mode] + options)
        // The kernel's own frames would come in between.
        try? "1".write(
            toFile: "/proc/sys/net/ipv6/conf/\(name)/disable_ipv6", atomically: false,
            encoding: .utf8)
    }

    deinit {
        try? delete()
    }

    /// Brings it up or down.
    func set(isUp: Bool) throws {
        try Self.ip(["link", "set", name, isUp ? "up" : "down"])
    }

    /// Deletes it, whoever uses it.
    func delete() throws {
        guard FileManager.default.fileExists(atPath: "/sys/class/net/\(name)") else { return }
        try Self.ip(["link", "delete", name])
    }

    private static func ip(_ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["ip"] + arguments
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw DaemonFailure(description: "ip \(arguments) failed")
        }
    }
}
