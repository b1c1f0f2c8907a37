/// What one call received.
struct ReceivedBytes: ~Copyable {
    let bytes: [UInt8]
    let descriptors: ReceivedDescriptors
}

/// A message as it came in: a header that was checked, and the rest, which was not.
struct IncomingMessage: ~Copyable {
    let header: MessageHeader
    let payload: [UInt8]
    var descriptors: ReceivedDescriptors
}
