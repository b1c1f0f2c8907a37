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

    /// Which frames are counted with it.
    var direction: NetDirection { self == .loopback ? .both : .transmit }
}

/// Which frames are counted.
enum NetDirection: String, CaseIterable, ExpressibleByArgument, Codable {
    /// Those that are sent.
    case transmit = "tx"
    /// Those that are sent and come back.
    case both
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
    let frameByteCount: Int
    let burst: Int

    var direction: NetDirection { sink.direction }
    var description: String { "\(sink.rawValue) \(ByteSize(frameByteCount)) ×\(burst)" }
}
