import CommandSupport
import Glibc
import SystemPackage

/// A program that this one has started.
struct ChildProcess: ~Copyable {
    let pid: pid_t

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - words: its path, and its arguments.
    ///   - messages: the file that its standard output and error go to; `nil` for those of this program.
    ///   - standardError: where only its standard error goes to, likewise.
    init(
        _ words: [String], messages: FilePath? = nil, standardError: FileDescriptor? = nil
    ) throws(CommandFailure) {
        var pid: pid_t = 0
        // SAFETY: copies of the words, ended by nil, and of what is done to files, that live for the calls.
        var arguments = unsafe words.map { unsafe strdup($0) } + [nil]
        defer { for index in unsafe arguments.indices { unsafe free(arguments[index]) } }
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        if let messages {
            unsafe posix_spawn_file_actions_addopen(
                &actions, STDOUT_FILENO, messages.string, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
            unsafe posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO)
        }
        if let standardError {
            unsafe posix_spawn_file_actions_adddup2(
                &actions, standardError.rawValue, STDERR_FILENO)
        }
        let result = unsafe posix_spawn(&pid, words[0], &actions, nil, &arguments, environ)
        guard result == 0 else {
            throw CommandFailure(
                .unavailable, "\(words[0]) cannot be started (\(Errno(rawValue: result)))")
        }
        self.pid = pid
    }

    /// Waits for its end.
    ///
    /// - Returns: its exit status; 128 and the number of the signal for one that was killed, as shells
    ///   have it.
    consuming func wait() -> Int32 {
        var status: Int32 = 0
        // SAFETY: `status` is a local.
        while unsafe waitpid(pid, &status, 0) < 0, errno == EINTR {}
        let signal = status & 0x7f
        return signal == 0 ? status >> 8 & 0xff : 128 + signal
    }
}
