import ArgumentParser

/// What lies between the loop that makes requests and the storage.
enum BlockVia: String, CaseIterable, ExpressibleByArgument, Codable {
    /// The engine alone.
    case engine
    /// A virtqueue, with both sides in one thread.
    case virtqueue
    /// A virtqueue with the backend in another process, over its vhost-user socket.
    case vhostUser = "vhost-user"

    /// Which paths there are: another process decides itself what it registers.
    var paths: [BlockPath] { self == .vhostUser ? [.direct, .bounce] : BlockPath.allCases }
}

/// One of the things that are compared: a path, by one way.
struct BlockLane: Hashable {
    let via: BlockVia
    let path: BlockPath

    var description: String {
        via == .engine ? path.rawValue : "\(path.rawValue) via \(via.rawValue)"
    }
}
