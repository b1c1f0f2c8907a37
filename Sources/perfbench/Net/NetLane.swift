import ArgumentParser

/// How a frame gets from the guest's buffer to the device, or the other way.
enum NetPath: String, CaseIterable, ExpressibleByArgument, Codable {
    /// The device may touch all of guest memory, and does.
    case direct
    /// The device sees the window; frames are copied.
    case bounce
}

/// What lies between the driver and the device.
enum NetVia: String, CaseIterable, ExpressibleByArgument, Codable {
    /// Virtqueues, with both sides in one thread.
    case virtqueue
    /// Virtqueues with the device in another process, over its vhost-user socket.
    case vhostUser = "vhost-user"
}

/// What the device is connected to.
enum NetSink: String, CaseIterable, ExpressibleByArgument, Codable {
    /// Every byte is read and forgotten.
    case drop
    /// What is sent is received.
    case loopback
    /// A network interface of the host, by a TAP device.
    case tap

    /// Which frames can be counted with it, the usual ones first.
    var directions: [NetDirection] {
        switch self {
        case .drop: [.transmit]
        case .loopback: [.both]
        case .tap: [.transmit, .receive, .both]
        }
    }

    /// Lengths of frames to measure where nothing is said. 65536 bytes do not fit through a TAP device; the
    /// next best is what Linux sends at most.
    var frameByteCounts: [Int] {
        [64, 512, 1514, 9000, self == .tap ? TapInterface.frameByteCountUsual : 65536]
    }
}

/// Which frames are counted.
enum NetDirection: String, CaseIterable, ExpressibleByArgument, Codable {
    /// Those that are sent.
    case transmit = "tx"
    /// Those that the host sends by the interface.
    case receive = "rx"
    /// Those that are sent and come back; with a TAP device, those that are sent and those that come.
    case both

    var transmits: Bool { self != .receive }
    var receives: Bool { self != .transmit }
}

/// One of the things that are compared: a path, by one way.
struct NetLane: Hashable {
    let via: NetVia
    let path: NetPath

    var description: String { "\(path.rawValue) via \(via.rawValue)" }
}

/// One point of the plan: all lanes are compared at it.
struct NetCase: Hashable {
    let sink: NetSink
    let direction: NetDirection
    let frameByteCount: Int
    let burst: Int

    var description: String {
        "\(sink.rawValue) \(direction.rawValue) \(ByteSize(frameByteCount)) ×\(burst)"
    }

    /// How many copies a bounced frame takes, on the way in and on the way out; of frames both ways, half
    /// of either.
    var copies: [(direction: CopyFloor.Direction, count: Double)] {
        switch (sink, direction) {
        case (.tap, .both): [(.intoWindow, 0.5), (.outOfWindow, 0.5)]
        case (_, .transmit): [(.intoWindow, 1)]
        case (_, .receive): [(.outOfWindow, 1)]
        case (_, .both): [(.intoWindow, 1), (.outOfWindow, 1)]
        }
    }
}
