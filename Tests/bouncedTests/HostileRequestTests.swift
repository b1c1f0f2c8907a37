import SharedMemory
import SystemPackage
import TestSupport
import Testing

@testable import VhostUser
@testable import Virtqueue

/// Requests that no honest driver makes, over a real socket and real rings: the classes of CVE-2018-1059,
/// CVE-2022-2132, CVE-2016-5403 and CVE-2024-8612, and the rules of descriptor chains.
@Suite(.serialized) struct HostileRequestTests {
    static let formats: [VirtioFeatures] = [[], .packedRing]

    @Test("A range across regions is served, one that leaves them is not", arguments: formats)
    func rangesAcrossRegions(format: VirtioFeatures) throws {
        try withDaemon { daemon in
            // A neighbour in the guest that is elsewhere in the frontend, and a gap behind it.
            let neighbour = try HostMemory.window(byteCount: 65536)
            let end = Peer.base.rawValue + UInt64(Peer.byteCount)
            let peer = try Peer(
                daemon, features: Peer.usual.union(format),
                regions: [MemoryMap.Region(guestAddress: GuestAddress(end), memory: neighbour)])
            let across = GuestRange(address: GuestAddress(end - 1024), byteCount: 2048)
            peer.memory.fill(at: Peer.byteCount - 1024, byteCount: 1024, with: 0xA1)
            neighbour.fill(at: 0, byteCount: 1024, with: 0xB2)
            #expect(try #require(try peer.run(BlockHeader.write, reads: [across])) == (0, 1))
            let copy = peer.room(2048)
            #expect(try #require(try peer.run(BlockHeader.read, writes: [copy])) == (0, 2049))
            #expect(
                peer.bytes(copy) == [UInt8](repeating: 0xA1, count: 1024)
                    + [UInt8](repeating: 0xB2, count: 1024))
            for (address, count) in [
                (end + 65536 - 512, 1024), (end + 65536, 512), (Peer.base.rawValue - 512, 1024),
                (0, 512), (.max - 511, 512), (.max - 255, 512), (end - 512, 1 << 30),
            ] as [(UInt64, Int)] {
                let range = GuestRange(address: GuestAddress(address), byteCount: count)
                #expect(try #require(try peer.run(BlockHeader.read, writes: [range])) == (1, 0))
                #expect(try #require(try peer.run(BlockHeader.write, reads: [range])) == (1, 1))
            }
            // A status outside of the memory leaves nothing to answer with.
            let header = peer.header(BlockHeader.flush)
            let status = GuestRange(address: GuestAddress(end + 65536), byteCount: 1)
            peer.submit([header, status], readable: 1)
            #expect(peer.queueStopped())
        }
    }

    @Test("Header in pieces, or too short", arguments: formats)
    func shortChains(format: VirtioFeatures) throws {
        try withDaemon { daemon in
            let peer = try Peer(daemon, features: Peer.usual.union(format))
            let header = peer.header(BlockHeader.flush)
            func status(of parts: [GuestRange]) throws -> UInt8? {
                let status = peer.put([0xEE])
                peer.submit(parts + [status], readable: parts.count)
                return try peer.wait().map { _ in peer.bytes(status)[0] }
            }
            for pieces in 1...16 {
                let parts = (0..<pieces).map {
                    let (begin, end) = (16 * $0 / pieces, 16 * ($0 + 1) / pieces)
                    return header.slice(offset: begin, byteCount: end - begin)
                }
                #expect(try status(of: parts) == 0)
                #expect(try status(of: parts.dropLast()) == 1, "\(pieces) pieces")
            }
            for count in 0..<16 {
                #expect(try status(of: [header.slice(offset: 0, byteCount: count)]) == 1)
            }
            // Nothing to answer with, at last.
            peer.submit([header], readable: 1)
            #expect(peer.queueStopped())
        }
    }

    @Test("Descriptors that loop, nest, or come in the wrong order", arguments: 0..<9)
    func descriptorRules(_ kind: Int) throws {
        try withDaemon { daemon in
            let peer = try Peer(daemon, features: Peer.usual.union(.indirectDescriptors))
            let header = peer.header(BlockHeader.flush)
            let status = peer.put([0xEE])
            let table = peer.room(4096)
            func put(_ index: Int, _ range: GuestRange, _ flags: UInt16, next: UInt16 = 0) {
                let descriptor = Descriptor(range, flags: flags, next: next)
                peer.memory.store(descriptor.address, at: index * 16)
                peer.memory.store(descriptor.word, at: index * 16 + 8)
            }
            func entry(_ index: Int, _ range: GuestRange, _ flags: UInt16, next: UInt16 = 0) {
                let descriptor = Descriptor(range, flags: flags, next: next)
                let offset = peer.offset(table) + index * 16
                peer.memory.store(descriptor.address, at: offset)
                peer.memory.store(descriptor.word, at: offset + 8)
            }
            func tableRange(_ byteCount: Int) -> GuestRange {
                GuestRange(address: table.address, byteCount: byteCount)
            }
            switch kind {
            case 0: put(0, header, Descriptor.next, next: 0)
            case 1:
                put(0, header, Descriptor.next, next: 1)
                put(1, status, Descriptor.next | Descriptor.write, next: 0)
            case 2: put(0, header, Descriptor.next, next: 64)
            case 3:
                put(0, status, Descriptor.next | Descriptor.write, next: 1)
                put(1, header, 0)
            case 4:
                put(0, tableRange(32), Descriptor.indirect)
                entry(0, tableRange(32), Descriptor.indirect)
            case 5: put(0, tableRange(32), Descriptor.indirect | Descriptor.next, next: 1)
            case 6: put(0, tableRange(24), Descriptor.indirect)
            case 7:
                put(0, tableRange(32), Descriptor.indirect)
                entry(0, header, Descriptor.next, next: 0)
            default:
                put(
                    0, GuestRange(address: GuestAddress(0), byteCount: 32), Descriptor.indirect)
            }
            let available = Int(
                peer.configuration.driverArea.rawValue - Peer.base.rawValue)
            peer.memory.store(0 as UInt16, at: available + 4)
            peer.memory.storeReleasing(1 as UInt16, at: available + 2)
            peer.kick.signal()
            #expect(peer.queueStopped())
        }
    }

    @Test("More requests than the ring has room for")
    func moreThanTheRing() throws {
        try withDaemon { daemon in
            for index in [65, 0x8000, 0xFFFF] as [UInt16] {
                let peer = try Peer(daemon)
                let available = Int(
                    peer.configuration.driverArea.rawValue - Peer.base.rawValue)
                peer.memory.storeReleasing(index, at: available + 2)
                peer.kick.signal()
                #expect(peer.queueStopped())
            }
            // One buffer again and again, before it comes back: it may be served, or not.
            let peer = try Peer(daemon)
            let (header, status) = (peer.header(BlockHeader.flush), peer.put([0xEE]))
            peer.submit([header, status], readable: 1)
            let available = Int(peer.configuration.driverArea.rawValue - Peer.base.rawValue)
            for index in 1...2000 as ClosedRange<UInt16> {
                peer.memory.store(0 as UInt16, at: available + 4 + 2 * Int(index % 64))
                peer.memory.storeReleasing(index, at: available + 2)
                if index % 7 == 0 { peer.kick.signal() }
            }
        }
    }

    @Test("What was not written is not said to be", arguments: formats)
    func usedLength(format: VirtioFeatures) throws {
        try withDaemon { daemon in
            let peer = try Peer(daemon, features: Peer.usual.union(format))
            // Past the end, not whole sectors, and an identifier shorter than its place.
            for (sector, count) in [(2048, 4096), (2047, 1024), (0, 4095), (1 << 60, 512)] {
                let target = peer.put([UInt8](repeating: 0xEE, count: count))
                let end = try #require(
                    try peer.run(BlockHeader.read, sector: UInt64(sector), writes: [target]))
                #expect(end == (1, 0))
                #expect(peer.bytes(target) == [UInt8](repeating: 0xEE, count: count))
            }
            let target = peer.put([UInt8](repeating: 0xEE, count: 512))
            let end = try #require(try peer.run(BlockHeader.identify, writes: [target]))
            #expect(end == (0, 20))
            #expect(peer.bytes(target)[20...].allSatisfy { $0 == 0xEE })
        }
    }

    @Test("A chain longer than is served, with an empty end", arguments: [true, false])
    func longChain(endsEmpty: Bool) throws {
        try withDaemon("--queue-size", "1024") { daemon in
            let peer = try Peer(daemon, size: 1024)
            let part = peer.room(1)
            let status = peer.put([0xEE])
            let parts = Array(repeating: part, count: 300)
            let empty = GuestRange(address: status.address, byteCount: 0)
            peer.submit(parts + (endsEmpty ? [status, empty] : [status]), readable: 300)
            #expect(try #require(try peer.wait()).writtenByteCount == 1)
            #expect(peer.bytes(status) == [1])
        }
    }
}
