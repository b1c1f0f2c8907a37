import CommandSupport
import NetBackend
import SystemPackage

/// What the lanes of a run are connected to: each way to a device has a device of its own.
struct NetEnds {
    /// What devices in this process are connected to.
    private(set) var connection = NetConnection.drop
    /// The other process, where lanes go there.
    private(set) var backend: BackendProcess?
    /// The interfaces of TAP devices.
    private(set) var taps: [NetVia: TapInterface] = [:]

    /// Makes devices, and starts what is to be started.
    ///
    /// - Parameters:
    ///   - tap: the name of a TAP device that is there; `nil` to make some.
    ///   - socket: of a backend that is there.
    init(_ sink: NetSink, tap: String?, socket: String?, via: [NetVia]) throws {
        guard sink == .tap else {
            connection = sink == .loopback ? .loopback : .drop
            if via.contains(.vhostUser) {
                backend = try Self.backend(socket, ["--\(sink.rawValue)"])
            }
            return
        }
        // Before anybody makes one of the name.
        if let tap { _ = try TapInterface(existing: tap) }
        for via in via {
            let name = tap ?? TapInterface.newName(via)
            switch via {
            case .virtqueue: connection = .tap(try Self.device(name, isNew: tap == nil))
            case .vhostUser: backend = try Self.backend(socket, ["--tap", name])
            }
            taps[via] =
                tap == nil ? try TapInterface(made: name) : try TapInterface(existing: name)
        }
    }

    private static func backend(_ socket: String?, _ sink: [String]) throws -> BackendProcess {
        if let socket { return try BackendProcess(socket: FilePath(socket)) }
        return try BackendProcess(running: ["net"] + sink, readsLog: true)
    }

    private static func device(_ name: String, isNew: Bool) throws -> TapDevice {
        do {
            return try TapDevice(name: name)
        } catch {
            guard isNew, error.reason == .permissionDenied else { throw error }
            throw CommandFailure(
                .noPermission,
                "--sink tap makes a TAP device, which takes root or CAP_NET_ADMIN; without, name one that "
                    + "was made for this user, by --tap")
        }
    }

    /// How long a packet on the network may be.
    var mtu: Int { taps.values.map(\.mtu).min() ?? 65535 }
}
