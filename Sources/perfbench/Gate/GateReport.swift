import CommandSupport
import FoundationEssentials

/// What a comparison came to: the same as a table or as JSON of the schema `perfbench-gate/1`.
struct GateReport: Codable {
    var schema = "perfbench-gate/1"
    let command: String
    /// What was compared.
    let before: String
    let after: String
    let date: String
    let machine: MachineFacts
    var verdict = Verdict.same
    var findings: [Finding] = []
    /// What was not compared, and why.
    var notCompared: [String: String] = [:]
    /// How much of that should have been: the comparison has a hole there.
    var missing = 0
    /// What holds for all findings.
    var notes: [String] = []
    /// Whether the user ended it before it was complete, or what else did: then findings are of what was
    /// measured until then, and nothing was measured again.
    var interrupted = false
    var failure: String?

    /// Whether changes have to be seen twice to count.
    let isRetested: Bool

    init(_ command: String, before: String, after: String, isRetested: Bool = true) {
        self.command = command
        self.isRetested = isRetested
        self.before = before
        self.after = after
        date = Date.now.formatted(.iso8601)
        machine = MachineFacts()
    }

    mutating func take(_ judgement: Judgement) {
        findings = judgement.findings
        notCompared = judgement.notCompared
        missing = judgement.missing.count
    }

    /// Metrics that look changed.
    var suspects: Set<String> { Set(findings.filter { $0.verdict != .same }.map(\.metric)) }

    /// Believes of the changes those that a second judgement has, too.
    mutating func confirm(by second: Judgement) {
        for index in findings.indices {
            let metric = findings[index].metric
            guard let again = second.findings.first(where: { $0.metric == metric }) else {
                continue
            }
            findings[index].confirm(by: again)
        }
    }

    /// Says what all findings together come to.
    mutating func conclude() {
        if isRetested {
            for index in findings.indices { findings[index].leaveOpen() }
        }
        let verdicts = Set(findings.map(\.verdict))
        verdict =
            [.regression, .improvement, .suspect].first { verdicts.contains($0) } ?? .same
    }

    func json() throws -> String { try jsonText(of: self) }

    /// The report for a person.
    var table: String {
        var text =
            "\(machine.cpu), \(machine.processors) processors, Linux \(machine.kernel), \(date)\n"
        text += "before: \(before)\nafter:  \(after)\n\n"
        var table = TextTable(
            header: [
                "metric", "before", "after", "change", "[low, high]", "p", "seen from", "verdict",
            ], leftAlignedCount: 1)
        for finding in findings {
            let evidence = finding.evidence
            table.append([
                finding.metric, evidence.before.significant, evidence.after.significant,
                finding.text(evidence.change),
                "[\(finding.text(evidence.low)), \(finding.text(evidence.high))]",
                evidence.probability.map { $0.fixed(4) } ?? "exact",
                finding.text(evidence.detectable),
                finding.verdictText,
            ])
        }
        text += findings.isEmpty ? "Nothing was compared.\n" : table.text
        return text + "\n" + remarks.map { $0 + "\n" }.joined()
    }

    private var remarks: [String] {
        var lines = notes
        lines.append(
            "A change counts where it is larger than its noise floor and p < \(Evidence.level)"
                + "\(isRetested ? ", twice over" : ""). seen from: a smaller one could have been missed."
        )
        let noisy = findings.filter(\.isNoisy)
        if let worst = noisy.max(by: { $0.evidence.detectable < $1.evidence.detectable }) {
            lines.append(
                "Too noisy to tell much of \(noisy.count) of \(findings.count) metrics: the worst, "
                    + "\(worst.metric), would have to move by \(worst.text(worst.evidence.detectable))."
            )
        }
        for (name, reason) in notCompared.sorted(by: { $0.key < $1.key }) {
            lines.append("Not compared: \(name): \(reason).")
        }
        if interrupted { lines.append("Interrupted: of what was measured until then.") }
        if let failure { lines.append("Ended early, \(failure): of what was measured until then.") }
        return lines + findings.filter(\.isChange).map(\.sentence)
    }

    /// The status to end with, as an error.
    ///
    /// - Throws: for everything but a comparison that was complete and found nothing.
    func end(_ error: CommandFailure?) throws(CommandFailure) {
        if let error { throw error }
        func count(_ verdict: Verdict) -> Int { findings.count { $0.verdict == verdict } }
        let all = findings.count
        if count(.regression) > 0 {
            throw CommandFailure(.regression, "\(count(.regression)) of \(all) metrics got worse")
        }
        if all == 0 { throw CommandFailure(.unavailable, "nothing could be compared") }
        let open = missing + count(.suspect)
        if open > 0 {
            throw CommandFailure(
                .unavailable, "of \(open) metrics it cannot be told; see the report")
        }
        if count(.improvement) > 0 {
            throw CommandFailure(
                .improvement, "\(count(.improvement)) of \(all) metrics got better")
        }
    }
}
