import SystemPackage

/// Standard error, unbuffered.
package enum StandardError {
    package static func write(_ text: String) {
        // Nobody can be told that telling failed.
        _ = try? FileDescriptor.standardError.writeAll(text.utf8)
    }
}
