import BasicContainers
import SharedMemory
import Uring
import Virtqueue

@testable import NetBackend

/// Frames that a driver sends: headers with anything in them, in parts inside, outside and across the
/// regions of a map.
///
/// Input: what was negotiated; the MTU; a header, and bytes to put somewhere; the parts.
enum FrameTarget {
    private static let choices: [VirtioFeatures] = [
        .netChecksum, .netHostTSO4, .netHostTSO6, .netHostUSO, .netMTU, .packedRing,
    ]

    static func run(_ input: FuzzInput) {
        var input = input
        let bits = input.next(UInt8.self)
        var features: VirtioFeatures = .version1
        for (index, choice) in choices.enumerated() where bits & 1 << UInt8(index) != 0 {
            features.formUnion(choice)
        }
        let mtu = NetConfiguration.mtuMin + Int(input.next(UInt16.self)) % 9000
        let header = input.take(NetHeader.byteCount)
        NetStand.data.clear()
        for address in [0, 0x1000, 0x11000] { NetStand.data.poke(header, at: address) }
        let count = input.below(32)
        NetStand.data.poke(
            input.take(count), at: Int(input.next(UInt16.self)) % NetStand.data.byteCount)
        var (readable, writable): ([GuestRange], [GuestRange]) = ([], [])
        while !input.isAtEnd, readable.count + writable.count < 48 {
            let part = NetStand.part(&input)
            if part.isWritable { writable.append(part.range) } else { readable.append(part.range) }
        }
        guard !(readable + writable).isEmpty else { return }
        send(readable, writable, features, mtu: mtu)
    }

    private static func send(
        _ readable: [GuestRange], _ writable: [GuestRange], _ features: VirtioFeatures, mtu: Int
    ) {
        let setup = NetStand.setup(features)
        var driver = NetStand.driver(features)
        let isAdded = driver.add((readable + writable).span, readableCount: readable.count, tag: 1)
        require(isAdded, "there is room for a frame")
        _ = driver.publish()
        do {
            var queue = try TransmitQueue(setup, mtu: mtu)
            var port = CheckingPort(
                features: features,
                byteCount: readable.reduce(0) { $0 + $1.byteCount } - NetHeader.byteCount,
                byteCountMax: features.contains(.netMTU)
                    ? EthernetFrame.byteCountMax(mtu: mtu) : EthernetFrame.byteCountMax)
            let taken = NetStand.withRing { ring in
                var none: ReceiveQueue?
                return try? queue.take(into: &port, &none, &ring, atMost: 4)
            }
            require(taken == 1, "a frame is taken, whatever it is")
            let statistics = queue.statistics
            require(
                statistics.frameCount == port.count
                    && statistics.frameCount + statistics.refusedCount == 1,
                "a frame is handed on, or counted as refused")
            _ = queue.queue.publish()
            let used = try driver.nextUsed()
            require(used?.tag == 1 && used?.writtenByteCount == 0, "its buffer comes back")
        } catch {
            fatalError("\(error)")
        }
    }
}

/// Looks whether what it is handed is as it must be.
private struct CheckingPort: NetPort, ~Copyable {
    let features: VirtioFeatures
    let byteCount: Int
    let byteCountMax: Int
    var count = 0

    mutating func send(
        _ frame: borrowing NetFrame, _ token: ChainToken, _ receive: inout ReceiveQueue?,
        _ ring: inout NetRing
    ) throws(NetFault) -> NetSending {
        count += 1
        require(frame.byteCount == byteCount, "all bytes behind the header are the frame's")
        require(byteCount >= EthernetFrame.headerByteCount, "a frame has a header")
        let memory = NetStand.data.hostRange
        var sum = 0
        for index in 0..<frame.parts.count {
            let part = frame.parts[index]
            sum += part.byteCount
            require(
                part.address >= memory.address
                    && part.address + UInt64(part.byteCount)
                        <= memory.address + UInt64(memory.byteCount)
                    || isInRings(part),
                "a part is in the map")
        }
        require(sum == byteCount, "the parts are the frame")
        check(frame.header)
        return .done
    }

    private func isInRings(_ part: HostRange) -> Bool {
        let rings = NetStand.rings.hostRange
        return part.address >= rings.address
            && part.address + UInt64(part.byteCount) <= rings.address + UInt64(rings.byteCount)
    }

    private func check(_ header: NetHeader) {
        require(header.bufferCount == 0, "a sent frame is in no other buffers")
        guard header.flags != 0 else {
            require(header == NetHeader(), "nothing is left of what was not asked for")
            require(byteCount <= byteCountMax, "a frame keeps to the MTU")
            return
        }
        require(header.flags == NetHeader.needsChecksum, "no other flags")
        require(features.contains(.netChecksum), "checksums were negotiated")
        let start = Int(header.checksumStart)
        require(
            start >= EthernetFrame.headerByteCount
                && start + Int(header.checksumOffset) + 2 <= byteCount,
            "a checksum is within the frame")
        switch header.segmentation {
        case NetHeader.Segmentation.none:
            require(byteCount <= byteCountMax, "a frame keeps to the MTU")
            require(header.segmentByteCount == 0, "no segments")
            return
        case NetHeader.Segmentation.tcp4: require(features.contains(.netHostTSO4), "negotiated")
        case NetHeader.Segmentation.tcp6: require(features.contains(.netHostTSO6), "negotiated")
        case NetHeader.Segmentation.udp: require(features.contains(.netHostUSO), "negotiated")
        default: require(false, "an unknown kind of segments")
        }
        require(
            header.segmentByteCount > 0 && header.segmentByteCount < byteCount
                && header.headerByteCount <= byteCount
                && byteCount <= EthernetFrame.byteCountMax,
            "segments are of the frame")
    }
}
