import ArgumentParser

/// The options of everything that runs the suite.
struct GateOptions: ParsableArguments {
    @Option(
        help: """
            Parts of the suite, a list of: pool, net, block (ratios of CPU times), instructions (retired \
            ones of what only computes, counted by valgrind).
            """)
    var parts = CommaList(SuitePart.allCases)

    @Option(help: "How often each part is run in a session, 15 to 64.")
    var runs = 16

    @OptionGroup var build: BuildOptions

    func validate() throws {
        // Of fewer pairs a single wild one would hide any change.
        guard runs >= 15, runs <= 64 else { throw ValidationError("--runs must be 15 to 64") }
    }
}
