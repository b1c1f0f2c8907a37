import ArgumentParser
import CommandSupport
import Logging
import NetBackend
import VhostUser
import Virtqueue

/// `bounced net`: a virtio-net device on a TAP device, or on nothing.
struct NetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "net",
        abstract: "Serves a TAP device as a virtio-net device.",
        discussion: """
            The TAP device is made where there is none of the name, and goes with this process then; it \
            is left to others to bring it up and to give it an address.

            \(ServeOptions.discussion)
            """)

    @OptionGroup var options: ServeOptions

    @Option(help: "TAP device to connect to, by its name.")
    var tap: String?

    @Flag(help: "Send back what is sent.")
    var loopback = false

    @Flag(help: "Read what is sent, and forget it.")
    var drop = false

    @Option(
        help: """
            Pairs of queues, one to receive and one to send, each with a thread and with a queue of the \
            TAP device: 1 to 127.
            """)
    var numQueues = 1

    @Option(help: "Greatest length of a packet in bytes: 68 to 65535.")
    var mtu = 1500

    @Option(
        help: """
            The device's address, as in 52:54:00:12:34:56; without it the frontend gives one, or the \
            driver makes one up.
            """)
    var mac: String?

    func validate() throws {
        guard [tap != nil, loopback, drop].count(where: { $0 }) == 1 else {
            throw ValidationError("name one thing to connect to, by --tap, --loopback or --drop")
        }
        guard (1...127).contains(numQueues) else {
            throw ValidationError("--num-queues \(numQueues) is not 1 to 127")
        }
        guard (NetConfiguration.mtuMin...65535).contains(mtu) else {
            throw ValidationError("--mtu \(mtu) is not 68 to 65535")
        }
        if let mac {
            guard let address = MACAddress(mac), address.isOfOne else {
                throw ValidationError("--mac \(mac) is no address that a device can have")
            }
        }
    }

    /// What a management program can ask of this one: the specification names no features of network
    /// devices.
    static let capabilities = #"{"type": "net", "features": []}"#

    /// Without ``ProtocolFeatures/memorySlots``: to QEMU a pair of queues is a device of its own, and before
    /// 8.0 it adds each region of memory once for each.
    private static let protocolFeatures = VhostUserBackend.protocolFeaturesByDefault.subtracting(
        .memorySlots)

    func run() throws {
        try reportingFailures(of: "bounced") {
            let logger = options.makeLogger()
            let changes = ConfigurationChanges()
            var configuration = NetDevice.Configuration()
            configuration.pairCount = numQueues
            configuration.queueSizeMax = options.queueSize
            configuration.mtu = mtu
            configuration.macAddress = mac.flatMap { MACAddress($0) }
            configuration.pollMicroseconds = options.pollMicroseconds ?? 8
            configuration.onConfigurationChange = { changes.notify() }
            let device = NetDevice(
                try connection(), configuration: configuration, logger: logger)
            let name = tap.map { "TAP device \($0)" } ?? (loopback ? "a loopback" : "nothing")
            try options.serve(
                device, named: name, protocolFeatures: Self.protocolFeatures, changes: changes,
                logger: logger)
        }
    }

    private func connection() throws -> NetConnection {
        guard let tap else { return loopback ? .loopback : .drop }
        return .tap(try TapDevice(name: tap, queueCount: numQueues))
    }
}
