/// What was found of one thing that measurements depend on.
struct Diagnosis: Encodable, Equatable {
    enum Level: String, Encodable {
        /// As it should be.
        case ok
        /// Figures depend on it: worth knowing, and often worth mending.
        case note
        /// Nothing can be measured, or what is measured misleads.
        case serious
    }

    let subject: String
    let level: Level
    /// What is the case, and what it does to measurements.
    let observation: String
    /// What to do about it; `nil` where nothing is to be done.
    let advice: String?

    private init(_ subject: String, _ level: Level, _ observation: String, _ advice: String?) {
        self.subject = subject
        self.level = level
        self.observation = observation
        self.advice = advice
    }

    static func ok(_ subject: String, _ observation: String) -> Diagnosis {
        Diagnosis(subject, .ok, observation, nil)
    }

    static func note(_ subject: String, _ observation: String, _ advice: String) -> Diagnosis {
        Diagnosis(subject, .note, observation, advice)
    }

    static func serious(_ subject: String, _ observation: String, _ advice: String) -> Diagnosis {
        Diagnosis(subject, .serious, observation, advice)
    }
}

extension [Diagnosis] {
    var isSerious: Bool { contains { $0.level == .serious } }

    /// The findings for a person: each with what to do about it below it.
    var table: String {
        let width = map(\.subject.count).max() ?? 0
        let indent = String(repeating: " ", count: width + 11)
        return map { finding in
            let level = finding.level.rawValue
            let subject = finding.subject
            return level + String(repeating: " ", count: 9 - level.count) + subject
                + String(repeating: " ", count: width + 2 - subject.count) + finding.observation
                + "\n" + (finding.advice.map { "\(indent)→ \($0)\n" } ?? "")
        }.joined()
    }
}
