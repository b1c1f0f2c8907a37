import SharedMemory

@testable import VhostUser
@testable import Virtqueue

/// Everything that turns bytes from a vhost-user peer into values: headers, requests of both sides,
/// and the fields of replies.
///
/// Input: a byte that says what it is; for requests a byte of the code and one of the number of
/// descriptors; the payload.
enum MessageTarget {
    static func run(_ input: FuzzInput) {
        var input = input
        switch input.below(5) {
        case 0: frontendRequest(&input)
        case 1: backendRequest(&input)
        case 2: header(input.rest())
        case 3: reply(input.rest(), isPacked: false)
        default: reply(input.rest(), isPacked: true)
        }
    }

    private static func code(_ input: inout FuzzInput) -> UInt32 {
        let code = input.next(UInt8.self)
        return code < 0xf0 ? UInt32(code) : input.next(UInt32.self)
    }

    private static func frontendRequest(_ input: inout FuzzInput) {
        let code = code(&input)
        let count = Int(input.next(UInt8.self))
        let payload = input.rest()
        do throws(MalformedMessage) {
            let request = try FrontendRequest(
                code: code, payload: payload, descriptorCount: count)
            require(request.code.rawValue == code, "the request is the one asked for")
            require(request.descriptorCounts.contains(count), "the descriptors were counted")
            let sent = request.payload
            require(
                sent.count <= MessageHeader.payloadByteCountMax, "what was read can be sent")
            let again = try FrontendRequest(code: code, payload: sent, descriptorCount: count)
            require(again == request, "what is sent is what was read")
        } catch {
            require(!error.description.isEmpty, "an error says what it is")
        }
    }

    private static func backendRequest(_ input: inout FuzzInput) {
        let code = code(&input)
        let count = Int(input.next(UInt8.self))
        let payload = input.rest()
        let request = try? BackendRequest(code: code, payload: payload, descriptorCount: count)
        require(
            (request != nil) == (code == 2 && count == 0 && payload.isEmpty),
            "there is one request, without anything")
    }

    private static func header(_ bytes: [UInt8]) {
        guard let header = try? MessageHeader(bytes) else { return }
        require(header.bytes == bytes, "what is sent is what was read")
        require(
            header.payloadByteCount <= MessageHeader.payloadByteCountMax, "a payload has a limit")
    }

    /// What a frontend does with the payload of an answer, for all answers.
    private static func reply(_ bytes: [UInt8], isPacked: Bool) {
        func read<Value>(_ body: (inout PayloadReader) -> Value?) -> Value? {
            var reader = PayloadReader(bytes)
            guard let value = body(&reader), reader.isAtEnd else { return nil }
            return value
        }
        if let number = read({ $0.read(UInt64.self) }) {
            require(Reply.number(number).payload == bytes, "a number is what was read")
        }
        if let state = read({ VringState(&$0) }) {
            require(Reply.vringState(state).payload == bytes, "a state is what was read")
            if let position = QueuePosition(vringBase: state.value, isPacked: isPacked) {
                require(
                    position.vringBase(isPacked: isPacked) == state.value,
                    "a position is what was read")
            }
        }
        if let part = read({ ConfigurationPart(&$0) }) {
            require(Reply.configuration(part).payload == bytes, "a part is what was read")
            let configuration = BlockConfiguration(bytes: part.bytes)
            require(
                BlockConfiguration(bytes: configuration.bytes) == configuration,
                "a configuration is what was read")
        }
        if let inflight = read({ InflightDescription(&$0) }) {
            let size = Int(inflight.queueSize)
            require(
                InflightRegion.byteCount(queueSize: size, isPacked: isPacked)
                    % InflightRegion.alignment == 0, "parts are aligned")
        }
    }
}
