import CommandSupport
import FoundationEssentials
import SystemPackage

/// What is printed: the same data as a table or as JSON of the schema `perfbench/1`; and what is read back.
struct Report<Run: Codable>: Codable {
    static var currentSchema: String { "perfbench/1" }

    var schema = Self.currentSchema
    let host: HostFacts
    /// Whether the user ended the run before it was complete.
    var interrupted: Bool
    /// What ended it before it was complete otherwise.
    var failure: String?
    var runs: [Run]
    var ratios: [Ratio]
    var floors: [Floor]

    func json() throws -> String { try jsonText(of: self) }
}

/// A value as everything of perfbench is in JSON: keys in snake case and sorted, one a line.
func jsonText(of value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self) + "\n"
}

extension FileDescriptor {
    /// Writes a report, in place of what a file held before.
    ///
    /// What a file has no room for goes to standard output: it took time to measure.
    ///
    /// - Throws: `CommandFailure` with status 74 where not everything is where it should be.
    func write(report text: String) throws {
        do {
            // Refused for pipes and terminals, which hold nothing.
            if self != .standardOutput { try? resize(to: 0) }
            _ = try writeAll(text.utf8)
        } catch let error as Errno {
            guard self != .standardOutput else {
                throw CommandFailure(
                    .ioError,
                    "the results could not be written (\(error)); use --output with a file elsewhere"
                )
            }
            // Half a report is none.
            try? resize(to: 0)
            _ = try? FileDescriptor.standardOutput.writeAll(text.utf8)
            throw CommandFailure(
                .ioError,
                "the results could not be written to --output (\(error)); they are on standard output"
                    + " instead")
        }
    }
}
