import Testing
import VhostUser

@Suite struct VhostUserBackendRequestTests {
    @Test func changeOfTheConfigurationIsRequestTwoWithoutPayload() throws {
        #expect(
            try BackendRequest(code: 2, payload: [], descriptorCount: 0) == .configurationChanged)
        #expect(BackendRequest.configurationChanged.code.rawValue == 2)
    }

    @Test func anythingElseIsRefused() {
        #expect(throws: MalformedMessage.unknownRequest(1)) {
            try BackendRequest(code: 1, payload: [], descriptorCount: 0)
        }
        #expect(throws: MalformedMessage.payloadSize(request: 2, byteCount: 8)) {
            try BackendRequest(
                code: 2, payload: [UInt8](repeating: 0, count: 8), descriptorCount: 0)
        }
        #expect(throws: MalformedMessage.descriptorCount(request: 2, count: 1)) {
            try BackendRequest(code: 2, payload: [], descriptorCount: 1)
        }
    }
}
