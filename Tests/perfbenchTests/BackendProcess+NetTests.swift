import Testing

@testable import perfbench

@Suite struct BackendProcessNetTests {
    @Test(arguments: [
        ("dropped: none", [:]),
        ("dropped: 3 too short", ["too short": 3]),
        (
            "dropped: 12 not taken by the other end, 1 buffers too short for a header",
            ["not taken by the other end": 12, "buffers too short for a header": 1]
        ),
    ])
    func `drops are read from a line of statistics`(part: String, drops: [String: Int]) {
        let line = "pair 0: 5 frames sent (320 bytes), 0 received; \(part); 0 commands, 0 refused"
        #expect(BackendProcess.drops(inReport: line) == drops)
    }

    @Test(arguments: ["pair 0: 5 frames sent", "pair 0: a; dropped: some; b", ""])
    func `a line that says nothing of drops is no report of none`(line: String) {
        #expect(BackendProcess.drops(inReport: line) == nil)
    }
}
