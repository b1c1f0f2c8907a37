import ArgumentParser

/// `perfbench pool`
struct PoolCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pool", abstract: "Measures the allocator and the copies alone.")
    @OptionGroup var common: CommonOptions
    func run() throws {}
}
