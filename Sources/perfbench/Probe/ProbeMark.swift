import Glibc

/// Where counting begins and ends: a call of a function that nothing else calls, by whose name callgrind
/// is told to begin a new part of its counts.
enum ProbeMark {
    static let function = "getppid"

    static func set() {
        _ = getppid()
    }
}
