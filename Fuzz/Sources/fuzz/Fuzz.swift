import Glibc

/// Runs one of the targets under libFuzzer, whose options it takes:
///
///     fuzz --target=chain -runs=1000 CORPUS
///
/// libFuzzer starts this program again to merge a corpus, with the arguments that it was given; it
/// passes over those that begin with two hyphens.
@main
struct Fuzz {
    static func main() {
        let prefix = "--target="
        let name = CommandLine.arguments.first { $0.hasPrefix(prefix) }?.dropFirst(prefix.count)
        guard let name, let target = targets[String(name)] else {
            print("which --target? \(targets.keys.sorted().joined(separator: ", "))")
            exit(64)
        }
        if let index = CommandLine.arguments.firstIndex(of: "--seeds"),
            index + 1 < CommandLine.arguments.count
        {
            Seeds.write(of: String(name), into: CommandLine.arguments[index + 1])
            exit(0)
        }
        unsafe current = target
        var count = CommandLine.argc
        var arguments = unsafe CommandLine.unsafeArgv
        // SAFETY: the arguments live as long as the process.
        exit(
            unsafe runDriver(&count, &arguments) { bytes, count in
                // SAFETY: libFuzzer hands over `count` bytes, for the call.
                let bytes = unsafe [UInt8](UnsafeRawBufferPointer(start: bytes, count: count))
                unsafe current(FuzzInput(bytes))
                return 0
            })
    }

    private static let targets: [String: @Sendable (FuzzInput) -> Void] = [
        "message": { MessageTarget.run($0) },
        "chain": { ChainTarget.run($0) },
        "driver": { DriverTarget.run($0) },
        "request": { RequestTarget.run($0) },
        "session": { SessionTarget.run($0) },
        "frame": { FrameTarget.run($0) },
        "command": { CommandTarget.run($0) },
    ]
}

/// Set once, before libFuzzer calls for the first time. A C function has no other way to it.
nonisolated(unsafe) private var current: @Sendable (FuzzInput) -> Void = { _ in }

/// `LLVMFuzzerRunDriver` of libFuzzer, without its `main`.
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ count: UnsafeMutablePointer<Int32>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ target: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32

/// What must hold whatever the input; a finding where it does not.
@inline(__always)
func require(
    _ condition: @autoclosure () -> Bool, _ message: @autoclosure () -> String,
    file: StaticString = #fileID, line: UInt = #line
) {
    guard !condition() else { return }
    fatalError(message(), file: file, line: line)
}
