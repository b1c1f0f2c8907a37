import ArgumentParser
import SwiotlbPool

/// A piece of the data path that only computes: no system call, no other thread, nothing that depends on
/// time. So a number of runs takes the same number of instructions every time.
enum Probe: String, CaseIterable, ExpressibleByArgument {
    /// A mapping of 4 KiB made and ended, nothing copied.
    case mapUnmap = "map-unmap"
    /// The same with 4 KiB copied into the window, or out of it.
    case mapCopyInUnmap = "map-copy-in-unmap"
    case mapUnmapCopyOut = "map-unmap-copy-out"
    /// A list of four buffers mapped and unmapped, nothing copied.
    case mapList = "map-list"
    /// 64 bytes of a mapping handed to the device and back.
    case sync
    /// A block request made, seen by the device, given back and ended: three descriptors.
    case chainWalkSplit = "chain-walk-split"
    case chainWalkPacked = "chain-walk-packed"
    /// The same in a split queue with the request decoded.
    case requestDecode = "request-decode"
    /// A frame of 1514 bytes sent through the window to a device that reads every byte.
    case frame

    /// Runs it so many times.
    func run(count: Int) throws {
        let stand = try ProbeStand()
        switch self {
        case .mapUnmap: try stand.map(count, .fromDevice, usedByteCount: 0)
        case .mapCopyInUnmap: try stand.map(count, .toDevice, usedByteCount: 0)
        case .mapUnmapCopyOut:
            try stand.map(count, .fromDevice, usedByteCount: ProbeStand.byteCount)
        case .mapList: try stand.mapList(count)
        case .sync: try stand.sync(count)
        case .chainWalkSplit: try stand.walk(count, isPacked: false, decodes: false)
        case .chainWalkPacked: try stand.walk(count, isPacked: true, decodes: false)
        case .requestDecode: try stand.walk(count, isPacked: false, decodes: true)
        case .frame: try stand.send(count)
        }
    }
}
