import SharedMemory
import SystemPackage
import TestSupport
import Testing
import Virtqueue

@testable import VhostUser

@Suite struct VhostUserRandomFrontendTests {
    /// Whatever comes, the backend ends or goes on, leaves nothing, and serves the next.
    @Test func randomConversationsLeaveNothingBehind() throws {
        var random = SeededGenerator()
        let guest = try GuestMemory()
        let event = try EventDescriptor()
        for _ in 0..<30 {
            let stand = try BackendStand()
            let socket = try #require(stand.socket)
            #expect(try stand.send(.setProtocolFeatures(.all)) == 0)
            #expect(try stand.send(.setFeatures([.version1, .protocolFeatures])) == 0)
            #expect(try stand.send(.setMemoryTable([guest.description]), [guest.descriptor]) == 0)
            for _ in 0..<60 {
                let request = Self.randomRequest(&random, guest)
                let count =
                    random.below(8) == 0 ? random.below(9) : request.descriptorCounts.lowerBound
                let isEvent = ![.setMemoryTable, .addRegion, .setInflight].contains(request.code)
                let descriptor = isEvent ? event.fileDescriptor : guest.descriptor
                do throws(VhostUserError) {
                    try socket.send(
                        code: request.code.rawValue, flags: .needsReply, payload: request.payload,
                        descriptors: [FileDescriptor](repeating: descriptor, count: count), .short)
                    _ = try socket.receive(.short)
                } catch {
                    // Refused where an answer of its own was due.
                    #expect(error == .closed, "seed \(random.seed)")
                    break
                }
            }
            stand.stop.signal()
            _ = stand.waitForEnd()
            #expect(stand.device.running.isEmpty, "seed \(random.seed)")
            #expect(guest.descriptorCount == 1, "seed \(random.seed)")
            #expect(guest.mappingCount == 1, "seed \(random.seed)")
            #expect(openDescriptorCount(of: event.fileDescriptor) == 1, "seed \(random.seed)")
        }
    }

    /// A request that could be one, about the queues that there are and some more.
    private static func randomRequest(
        _ random: inout SeededGenerator, _ guest: GuestMemory
    ) -> FrontendRequest {
        let index = UInt32(random.below(5))
        let vring = VringDescriptor(index: UInt8(index), isAttached: random.below(4) != 0)
        switch random.below(12) {
        case 0: return .setVringSize(VringState(index: index, value: 1 << UInt32(random.below(10))))
        case 1: return .setVringAddresses(guest.addresses(index))
        case 2:
            return .setVringBase(VringState(index: index, value: UInt32(random.below(0x2_0000))))
        case 3: return .setVringEnabled(VringState(index: index, value: UInt32(random.below(3))))
        case 4: return .setVringKick(vring)
        case 5: return .setVringCall(vring)
        case 6: return .getVringBase(VringState(index: UInt32(random.below(4)), value: 0))
        case 7: return .setMemoryTable(random.below(2) == 0 ? [] : [guest.description])
        case 8: return .addRegion(guest.description)
        case 9: return .removeRegion(guest.description)
        case 10:
            return .setFeatures(
                random.below(2) == 0 ? [.version1, .packedRing] : [.version1, .protocolFeatures])
        default:
            return .setInflight(
                InflightDescription(
                    byteCount: 1 << 20, mmapOffset: UInt64(random.below(2)) * 32,
                    queueCount: UInt16(random.below(6)), queueSize: 256))
        }
    }
}
