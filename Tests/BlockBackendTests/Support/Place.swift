import BlockBackend
import SystemPackage
import Testing
import Virtqueue

/// Where the storage of an end-to-end test is, and how it is opened.
enum Place: String, CaseIterable, CustomTestStringConvertible {
    case diskDirect
    case diskBuffered
    case tmpfsDirect
    case tmpfsBuffered
    /// A block device with sectors of 4096 bytes.
    case loopDirect
    case loopBuffered

    static let files: [Place] = [.diskDirect, .diskBuffered, .tmpfsDirect, .tmpfsBuffered]

    var testDescription: String { rawValue }

    var isBuffered: Bool {
        switch self {
        case .diskBuffered, .tmpfsBuffered, .loopBuffered: true
        case .diskDirect, .tmpfsDirect, .loopDirect: false
        }
    }

    var isInMemory: Bool { self == .tmpfsDirect || self == .tmpfsBuffered }

    /// Gives `body` storage of random bytes and its path, or cancels the test with a reason.
    func withStorage(
        byteCount: Int, readOnly: Bool = false,
        _ body: (BlockStorage, FilePath) throws -> Void
    ) throws {
        var options: BlockStorage.Options = []
        if isBuffered { options.insert(.buffered) }
        if readOnly { options.insert(.readOnly) }
        switch self {
        case .diskDirect where !Machine.diskHasDirectIO:
            try Test.cancel("no O_DIRECT beside the build directory")
        case .tmpfsDirect where !Machine.tmpfsHasDirectIO:
            try Test.cancel("no O_DIRECT on tmpfs")
        case .loopDirect where !Machine.canLoop, .loopBuffered where !Machine.canLoop:
            try Test.cancel("no loop device with sectors of 4096 bytes to be had")
        case .loopDirect, .loopBuffered:
            try withLoopDevice(byteCount: byteCount, sectorByteCount: 4096) { path in
                try body(try BlockStorage(path: path, options: options), path)
            }
        case .diskDirect, .diskBuffered, .tmpfsDirect, .tmpfsBuffered:
            let isDisk = self == .diskDirect || self == .diskBuffered
            try withDirectory(in: isDisk ? Machine.buildDirectory : "/dev/shm") { directory in
                let path = directory.appending("storage")
                try writeFile(path, bytes: initialBytes(byteCount))
                try body(try BlockStorage(path: path, options: options), path)
            }
        }
    }
}

/// A place, and how the engine transfers there.
struct Setting: CustomTestStringConvertible {
    let place: Place
    let registersMemory: Bool
    var transfersAtOnce = false

    var testDescription: String {
        place.rawValue + (registersMemory ? ", fixed buffers" : ", plain buffers")
            + (transfersAtOnce ? ", at once" : "")
    }

    static let files = Place.files.flatMap { settings($0) }
    static let all = Place.allCases.flatMap { settings($0) }

    private static func settings(_ place: Place) -> [Setting] {
        let settings = [
            Setting(place: place, registersMemory: true),
            Setting(place: place, registersMemory: false),
        ]
        guard place.isInMemory else { return settings }
        return settings + [
            Setting(place: place, registersMemory: false, transfersAtOnce: true)
        ]
    }

    var configuration: BlockEngine.Configuration {
        var configuration = BlockEngine.Configuration()
        configuration.registersMemory = registersMemory
        configuration.transfersAtOnce = transfersAtOnce
        return configuration
    }
}
