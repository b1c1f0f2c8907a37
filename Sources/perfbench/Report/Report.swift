import CommandSupport
import FoundationEssentials
import SystemPackage

/// What is printed: the same data as a table or as JSON of the schema `perfbench/1`.
struct Report<Run: Encodable>: Encodable {
    let schema = "perfbench/1"
    let host: HostFacts
    /// Whether the user ended the run before it was complete.
    var interrupted: Bool
    /// What ended it before it was complete otherwise.
    var failure: String?
    var runs: [Run]
    var ratios: [Ratio]
    var floors: [Floor]

    /// One quantity of a path over that of another, or by how much it is more, computed round by round.
    struct Ratio: Encodable {
        let workload: String
        var via: String?
        /// Of what `to` is, where that is another way to the storage.
        var toVia: String?
        let metric: String
        let of: String
        let to: String
        var op: PoolOperation?
        var rw: ReadWrite?
        var blockBytes: Int?
        var depth: Int?
        var frameBytes: Int?
        var burst: Int?
        var threads: Int?
        var occupancy: Double?
        let median: Double
        let low: Double
        let high: Double

        /// The ratio for a person.
        var text: String { "\(median.fixed(2)) [\(low.fixed(2)), \(high.fixed(2))]" }
    }

    /// What copying the payload costs, and nothing else.
    struct Floor: Encodable {
        var rw: ReadWrite?
        var blockBytes: Int?
        var depth: Int?
        var frameBytes: Int?
        var burst: Int?
        let memcpyNs: Double
        let low: Double
        let high: Double
    }

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
