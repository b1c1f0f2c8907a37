/// What a backend answers.
///
/// A frontend knows by its request what the answer looks like: there is nothing in it that tells.
enum Reply: Equatable {
    /// A value asked for; or how a request went: 0 well, anything else not.
    case number(UInt64)
    case vringState(VringState)
    case configuration(ConfigurationPart)
    /// A configuration that cannot be had.
    case empty
    case inflight(InflightDescription)

    var payload: [UInt8] {
        var writer = PayloadWriter()
        switch self {
        case .number(let number): writer.write(number)
        case .vringState(let state): state.write(to: &writer)
        case .configuration(let part): part.write(to: &writer)
        case .empty: break
        case .inflight(let inflight): inflight.write(to: &writer)
        }
        return writer.bytes
    }
}
