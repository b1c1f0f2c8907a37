import CommandSupport
import FoundationEssentials

/// A run of any workload, for who wants to know no more of it.
struct AnyRun: Codable {
    let workload: String
    /// Of frames only.
    let sink: String?
    let direction: String?
}

extension Report {
    /// Reads what ``json()`` wrote.
    ///
    /// - Throws: what is wrong with the text in one sentence, status 65; the name of the file, or of
    ///   whatever the text is from, begins it.
    init(json: some DataProtocol, from name: String) throws(CommandFailure) {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let data = Data(json)
        guard let found = try? decoder.decode(SchemaName.self, from: data) else {
            throw CommandFailure(
                .wrongData,
                "\(name) is no result of perfbench; make one with 'perfbench ... --format json --output FILE'"
            )
        }
        guard found.schema == Self.currentSchema else {
            throw CommandFailure(
                .wrongData,
                "\(name) has the schema \(found.schema), and this perfbench reads \(Self.currentSchema)"
            )
        }
        do {
            self = try decoder.decode(Self.self, from: data)
        } catch {
            throw CommandFailure(
                .wrongData, "\(name) is damaged, or of a perfbench with other fields; measure again"
            )
        }
    }

    /// Reads a file of results.
    ///
    /// - Throws: status 66 for a file that cannot be read, 65 for one that holds something else.
    init(contentsOf path: String) throws(CommandFailure) {
        self = try Self(json: try ResultFile.contents(of: path), from: path)
    }
}

/// Which format a file says it has.
private struct SchemaName: Decodable {
    let schema: String
}

/// A file that perfbench has written.
enum ResultFile {
    static func contents(of path: String) throws(CommandFailure) -> Data {
        do {
            return try Data(contentsOf: URL(filePath: path))
        } catch {
            throw CommandFailure(.noInput, "\(path) cannot be read; is there such a file?")
        }
    }
}
