import CommandSupport
import FoundationEssentials
import SystemPackage

/// What later checks are compared with: the medians of several sessions, so that it is known how much they
/// differ with nothing changed.
struct Baseline: Codable {
    static let currentSchema = "perfbench-baseline/1"
    /// With fewer there is no telling how sessions differ.
    static let sessionCountMin = 3

    var schema = Self.currentSchema
    /// ``SuitePart/version``.
    var suite = SuitePart.version
    var machine: MachineFacts
    var sessions: [Session]

    struct Session: Codable {
        var date: String
        /// Of the source, where that is known.
        var commit: String?
        /// The median of each metric's runs; of what is exact, the number.
        var medians: [String: Double]
    }

    /// A metric's medians, of the sessions that have it.
    func values(of metric: String) -> [Double] { sessions.compactMap { $0.medians[metric] } }

    var metricNames: Set<String> { Set(sessions.flatMap(\.medians.keys)) }

    /// No change up to this is reported.
    func floor(of metric: Metric, on machine: MachineFacts) -> Double {
        self.machine.isLike(machine)
            ? metric.rule.sessionFloor : metric.rule.travelFloor ?? metric.rule.sessionFloor
    }

    /// Whether all sessions are of one hour: how hours and days differ is not in them then.
    var isOfOneHour: Bool {
        let dates = sessions.compactMap { try? Date($0.date, strategy: .iso8601) }
        guard let first = dates.min(), let last = dates.max() else { return false }
        return last.timeIntervalSince(first) < 3600
    }

    /// Why a metric cannot be compared with what was measured on another machine, if it cannot.
    func obstacle(to metric: Metric, on machine: MachineFacts) -> String? {
        let count = values(of: metric.name).count
        guard count > 0 else { return "not in the baseline" }
        if metric.isExact {
            return self.machine.countsLike(machine)
                ? nil
                : "instructions are of \(self.machine.architecture), Swift \(self.machine.swift) and "
                    + "\(self.machine.cLibrary)"
        }
        guard count >= Self.sessionCountMin else {
            return "the baseline has \(count) sessions of it; save with --append until it has "
                + "\(Self.sessionCountMin)"
        }
        guard metric.rule.travelFloor != nil || self.machine.isLike(machine) else {
            return "another machine: the baseline is of \(self.machine.cpu)"
        }
        return nil
    }
}

// Files.
extension Baseline {
    /// Where a baseline is: a word is a name, and its file is in `.perfbench`; anything else is a file.
    static func path(of argument: String) -> FilePath {
        argument.contains("/") || argument.hasSuffix(".json")
            ? FilePath(argument) : FilePath(".perfbench/\(argument).json")
    }

    init(contentsOf path: FilePath) throws(CommandFailure) {
        let data: Data
        do {
            data = try Data(contentsOf: URL(filePath: path.string))
        } catch {
            throw CommandFailure(
                .noInput,
                "\(path) cannot be read; make it with 'perfbench baseline save \(path)'")
        }
        try self.init(json: data, from: path.string)
    }

    init(json data: Data, from name: String) throws(CommandFailure) {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        do {
            self = try decoder.decode(Self.self, from: data)
        } catch {
            throw CommandFailure(
                .wrongData,
                "\(name) is no baseline, or damaged; save it anew with 'perfbench baseline save'")
        }
        guard schema == Self.currentSchema, suite == SuitePart.version else {
            throw CommandFailure(
                .wrongData,
                "\(name) is of another version (\(schema), suite \(suite)); save it anew with 'perfbench baseline save'"
            )
        }
    }

    /// Writes the file whole or not at all.
    func write(to path: FilePath) throws(CommandFailure) {
        try Self.checkPlace(of: path)
        do {
            let text = try jsonText(of: self)
            try Data(text.utf8).write(to: URL(filePath: path.string), options: .atomic)
        } catch {
            throw CommandFailure(
                .cannotCreate, "\(path) cannot be written; name a file elsewhere, or make room")
        }
    }

    /// Makes the directory of a baseline, and looks whether files can be made in it.
    static func checkPlace(of path: FilePath) throws(CommandFailure) {
        var directory = path.removingLastComponent()
        if directory.isEmpty { directory = "." }
        let files = FileManager.default
        try? files.createDirectory(atPath: directory.string, withIntermediateDirectories: true)
        guard files.isWritableFile(atPath: directory.string) else {
            throw CommandFailure(
                .cannotCreate,
                "no file can be made in \(directory); name a baseline elsewhere, by a path that ends in .json"
            )
        }
    }
}
