import Glibc
import SharedMemory
import SystemPackage
import Virtqueue

@testable import VhostUser

/// A guest's memory in a memfd whose name no other has, so that its descriptors and mappings in this
/// process can be counted while other tests run.
final class GuestMemory {
    let name: String
    let memory: HostMemory
    let region: MemoryMap.Region

    static let address = GuestAddress(0x10_0000)

    init(byteCount: Int = 1 << 20, at address: GuestAddress = GuestMemory.address) throws {
        name = "bounce-guest-\(UInt64.random(in: .min ... .max))"
        memory = try HostMemory.window(byteCount: byteCount, name: name)
        region = MemoryMap.Region(guestAddress: address, memory: memory)
    }

    var map: MemoryMap { MemoryMap(memory, at: region.guestAddress) }

    var descriptor: FileDescriptor { memory.fileDescriptor! }

    /// The region as messages have it, at an address of the frontend's that is not the guest's.
    var description: RegionDescription {
        RegionDescription(
            guestAddress: region.guestAddress.rawValue, byteCount: UInt64(memory.byteCount),
            userAddress: region.guestAddress.rawValue + 0x7000_0000_0000, mmapOffset: 0)
    }

    /// A ring's addresses as messages have them, some pages into the memory.
    func addresses(_ index: UInt32 = 0, offset: UInt64 = 0) -> VringAddresses {
        let start = description.userAddress + offset + UInt64(index) * 0x10000
        return VringAddresses(
            index: index, descriptor: start, used: start + 0x4000, available: start + 0x2000,
            log: region.guestAddress.rawValue + offset + 0x4000)
    }

    /// The same in guest addresses.
    func configuration(_ index: Int = 0, size: Int = 64) -> QueueConfiguration {
        let start = region.guestAddress.rawValue + UInt64(index) * 0x10000
        return QueueConfiguration(
            size: size, descriptorArea: GuestAddress(start),
            driverArea: GuestAddress(start + 0x2000), deviceArea: GuestAddress(start + 0x4000),
            features: [])
    }

    /// How many mappings of it this process has; one is this object's.
    var mappingCount: Int {
        lines(of: "/proc/self/maps").count { $0.contains(name) }
    }

    /// How many descriptors of it this process has; one is this object's.
    var descriptorCount: Int { openDescriptorCount(of: descriptor) }
}

/// How many descriptors of this process lead to what `descriptor` does.
func openDescriptorCount(of descriptor: FileDescriptor) -> Int {
    let wanted = identity(descriptor.rawValue)
    guard wanted != nil else { return 0 }
    // Numbers are handed out from below, and tests have few.
    return (0..<4096).count { identity(Int32($0)) == wanted }
}

/// What a descriptor leads to. All eventfds have one inode: they differ by a number of their own.
private func identity(_ descriptor: Int32) -> String? {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { return nil }
    let event = lines(of: "/proc/self/fdinfo/\(descriptor)").first { $0.hasPrefix("eventfd-id") }
    return "\(status.st_dev) \(status.st_ino) \(event ?? "")"
}

private func lines(of path: String) -> [Substring] {
    var text: [UInt8] = []
    guard let file = try? FileDescriptor.open(FilePath(path), .readOnly, options: .closeOnExec)
    else { return [] }
    defer { try? file.close() }
    var piece = [UInt8](repeating: 0, count: 65536)
    while let count = try? unsafe piece.withUnsafeMutableBytes({ try unsafe file.read(into: $0) }),
        count > 0
    {
        text += piece.prefix(count)
    }
    return String(decoding: text, as: UTF8.self).split(separator: "\n")
}
