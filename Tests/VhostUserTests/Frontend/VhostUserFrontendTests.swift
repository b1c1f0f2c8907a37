import SharedMemory
import SystemPackage
import Testing
import Virtqueue

@testable import VhostUser

/// The frontend before backends that do not keep to the protocol, or know little of it.
@Suite struct VhostUserFrontendTests {
    /// A message put together by hand, with which a backend answers.
    struct Answer {
        var code: UInt32?
        var flags: MessageHeader.Flags = .reply
        var payload: [UInt8]
        var descriptors: [FileDescriptor] = []

        static func number(_ number: UInt64) -> Answer {
            Answer(payload: Reply.number(number).payload)
        }
    }

    /// Runs `body` before a backend that answers with what it is told, whatever it is asked, and then
    /// closes the connection.
    ///
    /// - Returns: what it was asked.
    @discardableResult
    private func converse(
        _ answers: [Answer?], timeoutMilliseconds: Int = 10_000,
        _ body: (VhostUserFrontend) throws -> Void
    ) throws -> [FrontendRequest] {
        let (own, theirs) = try MessageSocket.makePair()
        let thread = BackgroundThread { () -> [FrontendRequest] in
            var requests: [FrontendRequest] = []
            for answer in answers {
                guard let message = try? theirs.receive(.short),
                    let request = try? FrontendRequest(
                        code: message.header.code, payload: message.payload,
                        descriptorCount: message.descriptors.count)
                else { break }
                requests.append(request)
                guard let answer else { continue }
                try? theirs.send(
                    code: answer.code ?? message.header.code, flags: answer.flags,
                    payload: answer.payload, descriptors: answer.descriptors, .short)
            }
            _ = try? theirs.receive(.short)
            return requests
        }
        do {
            let frontend = VhostUserFrontend(own, timeoutMilliseconds)
            do {
                try body(frontend)
            } catch {
                shutdownBoth(own)
                _ = thread.join()
                throw error
            }
        }
        shutdownBoth(own)
        return thread.join()
    }

    @Test func backendWithoutExtensionsIsNotAskedForThem() throws {
        let requests = try converse([.number(1 << 32 | 1 << 29), nil, nil]) { frontend in
            try frontend.negotiate(features: [.version1, .inOrder])
            #expect(frontend.features == .version1)
            #expect(frontend.protocolFeatures == [])
            // It has no such message, and runs what was started.
            try frontend.setQueueEnabled(0, true)
        }
        #expect(requests == [.getFeatures, .setOwner, .setFeatures(.version1)])
    }

    @Test func onlyWhatBothSidesHaveIsAgreedOn() throws {
        let offered: ProtocolFeatures = [.configuration, .multipleQueues, .status]
        let requests = try converse(
            [.number(1 << 30 | 1 << 32), .number(offered.rawValue), nil, nil, nil]
        ) { frontend in
            try frontend.negotiate(
                features: .version1, protocolFeatures: [.configuration, .resetDevice])
            #expect(frontend.protocolFeatures == .configuration)
            #expect(throws: VhostUserError.notNegotiated(.resetDevice)) {
                try frontend.resetDevice()
            }
            #expect(throws: VhostUserError.notNegotiated(.multipleQueues)) {
                try frontend.queueCountMax()
            }
        }
        #expect(
            requests == [
                .getFeatures, .getProtocolFeatures, .setProtocolFeatures(.configuration), .setOwner,
                .setFeatures([.version1, .protocolFeatures]),
            ])
    }

    @Test func silenceIsTimedOutAndEndsTheConnection() throws {
        try converse([nil], timeoutMilliseconds: 30) { frontend in
            #expect(throws: VhostUserError.timedOut) { try frontend.negotiate(features: []) }
            // A late answer must not be taken for that to another question.
            #expect(throws: VhostUserError.closed) { try frontend.negotiate(features: []) }
        }
    }

    @Test func backendThatGoesAwayIsClosed() throws {
        let (own, theirs) = try MessageSocket.makePair()
        let frontend = VhostUserFrontend(own, 10_000)
        shutdownBoth(theirs)
        #expect(throws: VhostUserError.closed) { try frontend.negotiate(features: []) }
    }

    @Test func answersThatAreNoneEndTheConnection() throws {
        let guest = try GuestMemory(byteCount: 4096)
        let number = Answer.number(0)
        let answers: [Answer] = [
            // To another question, not as an answer, too short, too long, with a descriptor.
            Answer(code: 2, payload: number.payload), Answer(flags: [], payload: number.payload),
            Answer(payload: []), Answer(payload: [1]), Answer(payload: number.payload + [0]),
            Answer(payload: number.payload, descriptors: [guest.descriptor]),
        ]
        for answer in answers {
            try converse([answer]) { frontend in
                #expect(throws: VhostUserError.unexpectedReply(code: 1)) {
                    try frontend.negotiate(features: [])
                }
                #expect(throws: VhostUserError.closed) { try frontend.negotiate(features: []) }
            }
        }
        #expect(guest.descriptorCount == 1)
    }

    /// Agrees on everything with a backend whose answers follow.
    private func negotiated(_ answers: [Answer?], _ body: (VhostUserFrontend) throws -> Void) throws
    {
        let negotiation: [Answer?] = [
            .number(1 << 30), .number(ProtocolFeatures.all.rawValue), nil, .number(0), .number(0),
        ]
        try converse(negotiation + answers) { frontend in
            try frontend.negotiate(features: [])
            try body(frontend)
        }
    }

    @Test func failureOfARequestIsReportedAndTheConnectionGoesOn() throws {
        try negotiated([.number(1), .number(0)]) { frontend in
            #expect(throws: VhostUserError.failed(.resetDevice)) { try frontend.resetDevice() }
            try frontend.resetDevice()
        }
    }

    @Test func configurationOfAnotherLengthIsNoAnswer() throws {
        let short = Reply.configuration(ConfigurationPart(offset: 0, bytes: [1])).payload
        try negotiated([Answer(payload: short)]) { frontend in
            #expect(throws: VhostUserError.unexpectedReply(code: 24)) {
                try frontend.configuration(at: 0, byteCount: 2)
            }
        }
    }

    @Test func baseOfAnotherQueueIsNoAnswer() throws {
        let other = Reply.vringState(VringState(index: 1, value: 0)).payload
        try negotiated([Answer(payload: other)]) { frontend in
            #expect(throws: VhostUserError.unexpectedReply(code: 11)) { try frontend.stopQueue(0) }
        }
    }

    @Test func inflightMemoryIsChecked() throws {
        let guest = try GuestMemory(byteCount: 4096)
        func answer(_ byteCount: UInt64, _ count: UInt16, _ descriptors: [FileDescriptor]) -> Answer
        {
            Answer(
                payload: Reply.inflight(
                    InflightDescription(
                        byteCount: byteCount, mmapOffset: 0, queueCount: count, queueSize: 64)
                ).payload, descriptors: descriptors)
        }
        try negotiated([answer(0, 1, [])]) { frontend in
            let none = try frontend.makeInflight(queueCount: 1, queueSize: 64)
            #expect(none?.description == nil)
        }
        for wrong in [
            answer(4096, 1, []), answer(4096, 2, [guest.descriptor]),
            answer(4096, 1, [guest.descriptor, guest.descriptor]),
        ] {
            try negotiated([wrong]) { frontend in
                #expect(throws: VhostUserError.unexpectedReply(code: 31)) {
                    try frontend.makeInflight(queueCount: 1, queueSize: 64)
                }
            }
        }
        try negotiated([answer(4097, 1, [guest.descriptor])]) { frontend in
            #expect(
                throws: VhostUserError.system(SystemCallError("mmap", .invalidArgument))
            ) {
                try frontend.makeInflight(queueCount: 1, queueSize: 64)
            }
        }
        #expect(guest.descriptorCount == 1)
    }

    @Test func tooManyRegionsAreNotSent() throws {
        let map = try MemoryMap(
            (0..<9).map {
                try GuestMemory(byteCount: 4096, at: GuestAddress(UInt64($0) << 20)).region
            })
        try converse([.number(1 << 32), nil, nil]) { frontend in
            try frontend.negotiate(features: [])
            #expect(throws: VhostUserError.tooManyRegions(maximum: 8)) {
                try frontend.setMemory(map)
            }
        }
        try negotiated([.number(8)]) { frontend in
            #expect(throws: VhostUserError.tooManyRegions(maximum: 8)) {
                try frontend.setMemory(map)
            }
        }
    }

    @Test func queueOutsideTheMemoryIsNotSent() throws {
        let guest = try GuestMemory()
        try negotiated([.number(0)]) { frontend in
            #expect(throws: VhostUserError.unreachableRing) {
                try frontend.startQueue(
                    0, guest.configuration(), at: .start(isPacked: false), kick: nil, call: nil)
            }
            try frontend.setMemory(guest.map)
            #expect(throws: VhostUserError.unreachableRing) {
                try frontend.startQueue(
                    0, guest.configuration(99), at: .start(isPacked: false), kick: nil, call: nil)
            }
        }
    }

    @Test func unknownRequestsOfABackendAreDeclined() throws {
        let (own, theirs) = try MessageSocket.makePair()
        let channel = BackendRequestChannel(own)
        try theirs.send(code: 3, flags: .needsReply, payload: [1], .short)
        try theirs.send(code: 3, flags: [], payload: [], .short)
        try theirs.send(code: 2, flags: .needsReply, payload: [], .short)
        try channel.receive(timeoutMilliseconds: 10_000) { _ in true }
        for (code, number) in [(3, 1), (2, 0)] as [(UInt32, UInt8)] {
            let reply = try theirs.receive(.short)
            #expect(reply.header.code == code)
            #expect(reply.header.flags == [.version1, .reply])
            #expect(reply.payload == [number, 0, 0, 0, 0, 0, 0, 0])
        }
        #expect(throws: VhostUserError.timedOut) {
            try channel.receive(timeoutMilliseconds: 0) { _ in true }
        }
    }
}
