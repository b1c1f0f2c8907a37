import CommandSupport
import FoundationEssentials
import SystemPackage

/// A build of perfbench, this one or another, that is run as its users run it.
struct Build {
    let executable: FilePath
    let directory: TemporaryDirectory

    /// This program.
    static func current(_ directory: TemporaryDirectory) -> Build {
        Build(executable: Programs.current, directory: directory)
    }

    private init(executable: FilePath, directory: TemporaryDirectory) {
        self.executable = executable
        self.directory = directory
    }

    /// - Parameter argument: the program, or the directory of a package in which it was built.
    init(_ argument: String, _ directory: TemporaryDirectory) throws(CommandFailure) {
        let files = FileManager.default
        var isDirectory = false
        guard files.fileExists(atPath: argument, isDirectory: &isDirectory) else {
            throw CommandFailure(
                .noInput,
                "\(argument) does not exist; name a perfbench, or the package it is built in")
        }
        var path = FilePath(argument)
        if isDirectory {
            path.append(".build/release/perfbench")
            guard files.fileExists(atPath: path.string) else {
                throw CommandFailure(
                    .noInput,
                    "\(argument) holds no built perfbench; run 'swift build -c release --product perfbench'"
                        + " there")
            }
        }
        guard files.isExecutableFile(atPath: path.string) else {
            throw CommandFailure(.noInput, "\(path) is no program; name a perfbench")
        }
        self.init(executable: path, directory: directory)
    }

    /// The commit that the tree which the program lies in is at; `nil` where there is none.
    var commit: String? { SourceTree.commit(around: executable.removingLastComponent()) }

    private var messages: FilePath { directory.path.appending("messages") }

    /// Runs a measuring command.
    func measure(_ arguments: [String]) throws(CommandFailure) -> Report<AnyRun> {
        let results = directory.path.appending("results.json")
        try? FileManager.default.removeItem(atPath: results.string)
        try run(
            [executable.string] + arguments + ["--output", results.string] + Self.debugArguments,
            named: arguments[0])
        return try Report(contentsOf: results.string)
    }

    /// Runs a program to its end.
    ///
    /// - Throws: what it said last, where it does not exit with 0.
    func run(_ words: [String], named name: String) throws(CommandFailure) {
        let status = try ChildProcess(words, messages: messages).wait()
        if Interruption.isRequested { throw CommandFailure(.interrupted, "interrupted") }
        switch status {
        case 0: return
        case 127:
            throw CommandFailure(
                .unavailable,
                "\(name) is not there; install it: apt-get install valgrind binutils")
        case 129...:
            throw CommandFailure(.ioError, "\(name) was killed (signal \(status - 128))")
        default:
            let text = (try? String(contentsOfFile: messages.string, encoding: .utf8)) ?? ""
            throw CommandFailure(
                ExitStatus(rawValue: status) ?? .ioError,
                "\(words[0]) ended with status \(status), \(name): \(Self.reason(text))")
        }
    }

    /// What a program has said last, or, of a command line, first.
    private static func reason(_ text: String) -> String {
        let lines = text.split(separator: "\n")
        let line = lines.first { $0.hasPrefix("Error: ") } ?? lines.last ?? "no word why"
        for prefix in ["Error: ", "perfbench: "] where line.hasPrefix(prefix) {
            return String(line.dropFirst(prefix.count))
        }
        return String(line)
    }

    #if DEBUG
    private static let debugArguments = ["--allow-debug"]
    #else
    private static let debugArguments: [String] = []
    #endif
}
