import Testing
import Virtqueue

@testable import NetBackend

struct FrameRulesTests {
    private static let all: VirtioFeatures = [
        .netChecksum, .netHostTSO4, .netHostTSO6, .netHostUSO, .netMTU,
    ]
    private typealias Kind = NetHeader.Segmentation

    private func check(
        _ header: NetHeader, _ byteCount: Int, features: VirtioFeatures = all
    ) -> Result<NetHeader, FrameRefusal> {
        let rules = FrameRules(features: features, mtu: 1500)
        do throws(FrameRefusal) {
            return .success(try rules.check(header, byteCount: byteCount))
        } catch {
            return .failure(error)
        }
    }

    @Test(arguments: [(13, false), (14, true), (1514, true), (1518, true), (1519, false)])
    func lengths(byteCount: Int, isAllowed: Bool) {
        let result = check(NetHeader(), byteCount)
        if isAllowed {
            #expect(result == .success(NetHeader()))
        } else {
            #expect(result == .failure(byteCount < 100 ? .tooShort : .tooLong))
        }
    }

    @Test func lengthsWithoutMTU() {
        #expect(
            check(NetHeader(), EthernetFrame.byteCountMax, features: []) == .success(NetHeader()))
        #expect(
            check(NetHeader(), EthernetFrame.byteCountMax + 1, features: []) == .failure(.tooLong))
    }

    @Test("Only frames to be segmented may be longer than the MTU")
    func segmentedLengths() {
        let header = NetHeader.offload(Kind.tcp4, segment: 1448)
        #expect(check(header, EthernetFrame.byteCountMax) == .success(header))
        #expect(check(header, EthernetFrame.byteCountMax + 1) == .failure(.tooLong))
        #expect(check(.offload(), 1519) == .failure(.tooLong))
    }

    @Test(arguments: [
        (Kind.tcp4, VirtioFeatures.netHostTSO4), (Kind.tcp6, .netHostTSO6), (Kind.udp, .netHostUSO),
    ])
    func segmentationIsNegotiated(kind: UInt8, feature: VirtioFeatures) {
        let header = NetHeader.offload(kind, segment: 1000)
        #expect(check(header, 4000) == .success(header))
        #expect(
            check(header, 4000, features: Self.all.subtracting(feature))
                == .failure(.unknownSegmentation))
        #expect(
            check(header, 4000, features: feature) == .failure(.unexpectedChecksum))
    }

    @Test("Kinds that nobody offers")
    func unknownSegmentation() {
        for kind in UInt8.min...UInt8.max where ![0, 1, 4, 5].contains(kind) {
            let header = NetHeader.offload(kind, segment: 1000)
            #expect(
                check(header, 4000, features: VirtioFeatures(rawValue: .max))
                    == .failure(.unknownSegmentation), "\(kind)")
        }
    }

    @Test func segmentsOutOfRange() {
        #expect(
            check(.offload(Kind.tcp4, segment: 0), 4000) == .failure(.segmentSizeOutOfRange))
        #expect(
            check(.offload(Kind.tcp4, segment: 4000), 4000) == .failure(.segmentSizeOutOfRange))
        #expect(
            check(.offload(Kind.tcp4, segment: 65535), 4000) == .failure(.segmentSizeOutOfRange))
        #expect(throws: Never.self) {
            try check(.offload(Kind.tcp4, segment: 3999), 4000).get()
        }
        var header = NetHeader.offload(Kind.tcp4, segment: 1000)
        header.flags = 0
        #expect(check(header, 4000) == .failure(.segmentationWithoutChecksum))
        header = .offload(Kind.tcp4, segment: 1000)
        header.headerByteCount = 4001
        #expect(check(header, 4000) == .failure(.headerLengthOutOfRange))
        header.headerByteCount = 4000
        #expect(check(header, 4000) == .success(header))
    }

    @Test(
        arguments: [
            (14, 0, true), (13, 0, false), (0, 0, false), (34, 16, true), (98, 0, true),
            (99, 0, false),
            (98, 1, false), (50, 48, true), (50, 49, false), (65535, 65535, false),
            (14, 65535, false),
            (65535, 0, false),
        ] as [(UInt16, UInt16, Bool)])
    func checksums(start: UInt16, offset: UInt16, isAllowed: Bool) {
        let header = NetHeader.offload(start: start, offset: offset)
        #expect(
            check(header, 100) == (isAllowed ? .success(header) : .failure(.checksumOutOfRange)))
    }

    @Test func checksumsAreNegotiated() {
        #expect(check(.offload(), 100, features: []) == .failure(.unexpectedChecksum))
    }

    @Test("What was not asked for is left out of the header")
    func leftOut() {
        var header = NetHeader()
        header.flags = 0xfe
        header.headerByteCount = 65535
        header.segmentByteCount = 7
        header.checksumStart = 65535
        header.checksumOffset = 65535
        header.bufferCount = 9
        #expect(check(header, 100, features: []) == .success(NetHeader()))
        var wanted = NetHeader.offload()
        header = wanted
        header.flags = 0xff
        header.headerByteCount = 65535
        header.segmentByteCount = 3
        header.bufferCount = 3
        #expect(check(header, 100) == .success(wanted))
        wanted = .offload(Kind.udp, segment: 50)
        header = wanted
        header.flags |= NetHeader.isChecked
        header.bufferCount = 1
        #expect(check(header, 100) == .success(wanted))
    }
}
