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

    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self) + "\n"
    }
}

extension FileDescriptor {
    /// Writes a report, in place of what a file held before.
    func write(report text: String) throws {
        do {
            // Refused for pipes and terminals, which hold nothing.
            if self != .standardOutput { try? resize(to: 0) }
            _ = try writeAll(text.utf8)
        } catch let error as Errno {
            throw CommandFailure(.ioError, "the results could not be written (\(error))")
        }
    }
}
