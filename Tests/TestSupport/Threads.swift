import Glibc

/// Runs `body` on `count` threads of their own at once, however few cores there are, and waits for
/// all.
public func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    var threads: [pthread_t] = []
    for index in 0..<count {
        let start = unsafe Unmanaged.passRetained(ThreadStart(index: index, body: body)).toOpaque()
        var thread = pthread_t()
        // SAFETY: the new thread takes over the reference to `start`.
        let result = unsafe pthread_create(
            &thread, nil,
            { argument in
                let start = unsafe Unmanaged<ThreadStart>.fromOpaque(argument!)
                    .takeRetainedValue()
                start.body(start.index)
                return nil
            }, start)
        precondition(result == 0, "a thread starts")
        threads.append(thread)
    }
    for thread in threads { pthread_join(thread, nil) }
}

private final class ThreadStart: Sendable {
    let index: Int
    let body: @Sendable (Int) -> Void

    init(index: Int, body: @escaping @Sendable (Int) -> Void) {
        self.index = index
        self.body = body
    }
}
