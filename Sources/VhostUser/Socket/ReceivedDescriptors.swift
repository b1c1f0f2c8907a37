import SystemPackage

/// The descriptors that came with a message. Those that nobody takes are closed, on every path.
struct ReceivedDescriptors: ~Copyable {
    /// In the order in which they were sent.
    private var descriptors: [FileDescriptor]
    /// Whether more came along than there was room for.
    let areTruncated: Bool

    init(_ descriptors: [FileDescriptor], areTruncated: Bool) {
        self.descriptors = descriptors
        self.areTruncated = areTruncated
    }

    deinit {
        for descriptor in descriptors { try? descriptor.close() }
    }

    var count: Int { descriptors.count }

    /// Hands over the first of those that are left.
    mutating func takeFirst() -> FileDescriptor? {
        descriptors.isEmpty ? nil : descriptors.removeFirst()
    }
}
