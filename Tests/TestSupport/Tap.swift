import Foundation
import Glibc

/// A TAP device that is there without any process, as an administrator makes it; gone with this object.
public final class Tap {
    public let name = "bnc\(getpid() % 1_000_000)x\(UInt16.random(in: 0...9999))"

    /// Whether such devices can be made.
    public static let isPermitted: Bool = (try? Tap()) != nil

    /// - Parameter mode: `tap`, or `tun` for what is none.
    public init(_ options: String..., mode: String = "tap") throws {
        try ip(["tuntap", "add", "dev", name, "mode", mode] + options)
        // The kernel's own frames would come in between.
        try? "1".write(
            toFile: "/proc/sys/net/ipv6/conf/\(name)/disable_ipv6", atomically: false,
            encoding: .utf8)
    }

    deinit {
        try? delete()
    }

    public var exists: Bool { FileManager.default.fileExists(atPath: "/sys/class/net/\(name)") }

    /// Brings it up or down, with packets of at most a length.
    public func set(isUp: Bool, mtu: Int = 1500) throws {
        try ip(["link", "set", name, "mtu", "\(mtu)", isUp ? "up" : "down"])
    }

    /// Deletes it, whoever uses it.
    public func delete() throws {
        if exists { try deleteInterface(name) }
    }
}

/// Deletes an interface, whoever has it open.
public func deleteInterface(_ name: String) throws {
    try ip(["link", "delete", name])
}

/// What a test wants and this machine has not got, or does not permit.
public struct NotToBeHad: Error {
    let description: String

    public init(_ description: String) {
        self.description = description
    }
}

/// Runs `ip` with its arguments.
public func ip(_ arguments: [String]) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["ip"] + arguments
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
        throw NotToBeHad("ip \(arguments.joined(separator: " "))")
    }
}
