// How a driver maps requests of several buffers each, and gets them back from the ring that it
// shares with the device.
// snippet.hide
import BasicContainers
import SharedMemory
import SwiotlbPool

// snippet.show
/// What the driver writes into the ring, and what the device writes.
struct Descriptor {
    var range: GuestRange
    var userData: UInt64
}
struct Completion {
    var userData: UInt64
    var usedByteCount: Int
}

/// Maps each request into one run of slots where it fits, which is one descriptor.
func submit(
    _ requests: [[GuestRange]], _ mapper: inout BounceMapper
) throws -> [Descriptor] {
    var ring: [Descriptor] = []
    var mappings = RigidArray<DMAMapping>(capacity: 8)  // made once, for all requests
    for buffers in requests {
        try mapper.map(buffers.span, .fromDevice, into: &mappings)  // all of it or nothing
        while !mappings.isEmpty {
            let mapping = mappings.removeLast()
            let range = mapping.deviceRange
            // 64 bits take the mapping's place until the device gives them back.
            ring.append(Descriptor(range: range, userData: mapper.park(mapping).rawValue))
        }
    }
    return ring
}

/// Ends what the device says is done. Whatever it says, each mapping ends once.
func complete(_ completions: [Completion], _ mapper: inout BounceMapper) {
    for completion in completions {
        do throws(TokenFault) {
            let mapping = try mapper.redeem(MappingToken(rawValue: completion.userData))
            let byteCount = mapping.byteCount
            mapper.unmap(mapping, usedByteCount: completion.usedByteCount)
            print("used \(completion.usedByteCount) of \(byteCount) bytes")
        } catch {
            print("a completion that is none: \(error)")
        }
    }
}

func run() throws {
    let guest = try HostMemory.anonymous(byteCount: 1 << 20)  // the driver's private memory
    let window = try HostMemory.window(byteCount: 1 << 20)  // all that the device sees
    let pool = try BouncePool(
        window: window, at: GuestAddress(1 << 40),
        privateMemory: MemoryMap(guest, at: GuestAddress(0)))
    var mapper = try pool.makeMapper()
    let requests = [
        // A header, two pages of data, and a status byte.
        [(0x1000, 16), (0x5000, 4096), (0x9000, 4096), (0x1010, 1)],
        [(0x20000, 1500)],
    ].map { $0.map { GuestRange(address: GuestAddress($0), byteCount: $1) } }
    let ring = try submit(requests, &mapper)

    // The device fills what it is shown, the last one in part, and says one thing twice.
    var completions: [Completion] = []
    for descriptor in ring {
        let offset = Int(descriptor.range.address.rawValue - pool.windowAddress.rawValue)
        window.fill(at: offset, byteCount: descriptor.range.byteCount, with: 7)
        completions.append(
            Completion(userData: descriptor.userData, usedByteCount: descriptor.range.byteCount))
    }
    completions[completions.count - 1].usedByteCount = 60
    completions.append(completions[0])

    complete(completions, &mapper)
    print("the second page begins with", guest.bytes(at: 0x9000, byteCount: 1))
    print("slots in use:", pool.statistics.usedSlotCount)
}
try run()
