import ArgumentParser

/// How findings are printed, which are not the results of one run.
enum FindingsFormat: String, CaseIterable, ExpressibleByArgument {
    case table
    case json
}
