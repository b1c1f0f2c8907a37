import SharedMemory
import Virtqueue

@testable import VhostUser

extension Seeds {
    private static let userAddress: UInt64 = 0x7f00_0000_0000
    private static let guestAddress: UInt64 = 0x10_0000

    private static var region: RegionDescription {
        RegionDescription(
            guestAddress: guestAddress, byteCount: 0x8000, userAddress: userAddress, mmapOffset: 0)
    }

    private static func ring(_ index: UInt32) -> VringAddresses {
        VringAddresses(
            index: index, flags: VringAddresses.logFlag, descriptor: userAddress,
            used: userAddress + 0x2000, available: userAddress + 0x1000, log: guestAddress)
    }

    private static func setup(_ features: VirtioFeatures) -> [FrontendRequest] {
        [
            .getFeatures, .getProtocolFeatures, .setProtocolFeatures(.all), .setOwner,
            .setFeatures(features.union([.version1, .protocolFeatures, .logAll])),
            .getQueueCount, .getMemorySlotCount, .setMemoryTable([region]),
            .setLogBase(LogDescription(byteCount: 0x1000, mmapOffset: 0x7000)),
            .getConfiguration(
                ConfigurationPart(offset: 0, bytes: [UInt8](repeating: 0, count: 60))),
            .setVringSize(VringState(index: 0, value: 8)),
            .setVringBase(
                VringState(index: 0, value: features.contains(.packedRing) ? 0x8000_8000 : 0)),
            .setVringAddresses(ring(0)),
            .setVringError(VringDescriptor(index: 0, isAttached: true)),
            .setVringCall(VringDescriptor(index: 0, isAttached: true)),
            .setVringKick(VringDescriptor(index: 0, isAttached: true)),
            .setVringEnabled(VringState(index: 0, value: 1)),
        ]
    }

    private static var rest: [FrontendRequest] {
        let inflight = InflightDescription(
            byteCount: 0x400, mmapOffset: 0x6000, queueCount: 2, queueSize: 8)
        return [
            .getVringBase(VringState(index: 0, value: 0)),
            .getInflight(inflight), .setInflight(inflight),
            .setVringKick(VringDescriptor(index: 0, isAttached: false)),
            .setConfiguration(ConfigurationPart(offset: 32, bytes: [0])),
            .removeRegion(region), .addRegion(region),
            .setBackendChannel, .setLogDescriptor, .resetOwner, .setStatus(15), .getStatus,
            .setMTU(1500), .announce(MACAddress(rawValue: 0x5254_0012_3456)), .resetDevice,
        ]
    }

    static var messages: [(String, [UInt8])] {
        var seeds: [(String, [UInt8])] = []
        for request in setup(.packedRing) + rest {
            var seed = SeedWriter(0, UInt8(request.code.rawValue))
            seed.put(UInt8(request.descriptorCounts.lowerBound))
            seed.put(request.payload)
            seeds.append(("request-\(request.code)", seed.bytes))
        }
        let replies: [Reply] = [
            .number(1), .vringState(VringState(index: 1, value: 0x8001_8002)),
            .configuration(ConfigurationPart(offset: 0, bytes: BlockConfiguration().bytes)),
            .inflight(
                InflightDescription(byteCount: 0x400, mmapOffset: 0, queueCount: 2, queueSize: 8)),
        ]
        for (number, reply) in replies.enumerated() {
            seeds.append(("reply-\(number)", [4] + reply.payload))
        }
        let header = MessageHeader(
            code: 5, flags: [.version1, .needsReply], payloadByteCount: 40)
        seeds.append(("header", [2] + header.bytes))
        seeds.append(("backend-request", [1, 2, 0]))
        return seeds
    }

    static var sessions: [(String, [UInt8])] {
        [("split", VirtioFeatures()), ("packed", .packedRing)].map { name, features in
            var seed = SeedWriter()
            // A descriptor to read, available in either format.
            let word: UInt64 = 64 | (features.contains(.packedRing) ? UInt64(0x80) << 48 : 0)
            seed.put(0xff, 0, 0, 16)
            seed.put(number: guestAddress + 0x4000)
            seed.put(number: word)
            if features.isEmpty { seed.put(0xff, 0, 0x10, 6, 0, 0, 1, 0, 0, 0) }
            for request in setup(features) + rest {
                put(request, into: &seed)
            }
            return (name, seed.bytes)
        }
    }

    private static func put(_ request: FrontendRequest, into seed: inout SeedWriter) {
        let isEvent =
            switch request.code {
            case .setVringKick, .setVringCall, .setVringError, .setLogDescriptor: true
            default: false
            }
        let count = UInt8(request.descriptorCounts.lowerBound)
        seed.put(UInt8(request.code.rawValue), count << 4 | 8 | (isEvent ? 2 : 0))
        let payload = request.payload
        seed.put(UInt8(payload.count))
        seed.put(payload)
    }
}
