import ArgumentParser

/// How a payload gets from the storage to the guest's buffer, or the other way.
enum BlockPath: String, CaseIterable, ExpressibleByArgument, Codable {
    /// The backend may touch all of guest memory, and does.
    case direct
    /// The same, with guest memory registered as fixed buffers.
    case directFixed = "direct-fixed"
    /// The backend sees the window, which is registered; payloads are copied.
    case bounce
    /// The same, with the window not registered.
    case bounceUnregistered = "bounce-unregistered"

    var bounces: Bool { self == .bounce || self == .bounceUnregistered }
    var registersMemory: Bool { self == .directFixed || self == .bounce }
}

/// The access pattern, by fio's names.
enum ReadWrite: String, CaseIterable, ExpressibleByArgument, Codable {
    case read
    case write
    case randread
    case randwrite
    case randrw

    var isRandom: Bool { self == .randread || self == .randwrite || self == .randrw }
    var writes: Bool { self != .read && self != .randread }
    var isMixed: Bool { self == .randrw }

    /// Which way a bounce copies.
    var copyDirection: CopyFloor.Direction {
        isMixed ? .alternating : writes ? .intoWindow : .outOfWindow
    }
}

/// One point of the plan: all paths are compared at it.
struct BlockCase: Hashable {
    let pattern: ReadWrite
    let blockByteCount: Int
    let depth: Int

    var description: String { "\(pattern.rawValue) \(ByteSize(blockByteCount)) depth \(depth)" }
}
