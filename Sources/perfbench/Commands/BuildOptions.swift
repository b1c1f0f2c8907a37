import ArgumentParser

/// Refuses to measure a debug build.
struct BuildOptions: ParsableArguments {
    @Flag(help: "Measure though this is a debug build, which says nothing about release builds.")
    var allowDebug = false

    func validate() throws {
        #if DEBUG
        guard allowDebug else {
            throw ValidationError(
                "this is a debug build, whose figures mean nothing; build with 'swift build -c release'"
                    + " or insist with --allow-debug")
        }
        #endif
    }
}
