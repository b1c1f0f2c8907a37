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
    /// What holds for all findings.
    var notes: [String] = []
    /// Whether the user ended it before it was complete, or what else did: then findings are of what was
    /// measured until then, and nothing was measured again.
    var interrupted = false
    var failure: String?

    init(_ command: String, before: String, after: String) {
        self.command = command
        self.before = before
        self.after = after
        date = Date.now.formatted(.iso8601)
        machine = MachineFacts()
    }

    mutating func conclude() {
        let verdicts = Set(findings.map(\.verdict))
        verdict =
            verdicts.contains(.regression)
            ? .regression : verdicts.contains(.improvement) ? .improvement : .same
    }

    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self) + "\n"
    }

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
                finding.verdict == .same
                    ? finding.retest == nil ? "" : "not confirmed" : finding.verdict.rawValue,
            ])
        }
        text += findings.isEmpty ? "Nothing was compared.\n" : table.text
        return text + "\n" + remarks.map { $0 + "\n" }.joined()
    }

    private var remarks: [String] {
        var lines = notes
        lines.append(
            "A change counts where it is larger than its noise floor and p < \(Evidence.level), twice over."
                + " seen from: a smaller change could have been missed.")
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
        return lines + findings.filter { $0.verdict != .same }.map(\.sentence)
    }

    /// The status to end with, as an error.
    ///
    /// - Throws: for everything but a comparison that was complete and found nothing.
    func end(_ error: CommandFailure?) throws(CommandFailure) {
        if let error { throw error }
        let worse = findings.count { $0.verdict == .regression }
        let better = findings.count { $0.verdict == .improvement }
        let all = findings.count
        if worse > 0 {
            throw CommandFailure(.regression, "\(worse) of \(all) metrics got worse")
        }
        if better > 0 {
            throw CommandFailure(.improvement, "\(better) of \(all) metrics got better")
        }
    }
}
