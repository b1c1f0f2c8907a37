@testable import SwiotlbPool

/// Makes a sequence that fails shorter: delta debugging, down to single steps.
struct ModelShrinker {
    let setting: ModelSetting
    /// Steps that may be performed in all, so that it ends.
    var budget = 3_000_000

    /// What goes wrong in a sequence, from its first step on; `nil` for nothing.
    mutating func failure(of operations: [ModelOperation]) -> String? {
        guard let model = try? PoolModel(setting) else { return "no pool" }
        model.checkInterval = operations.count < 3000 ? 1 : 64
        for operation in operations {
            model.perform(operation)
            budget -= 1
            if model.failure != nil { break }
        }
        model.finish()
        return model.failure
    }

    /// A shorter sequence that fails too, perhaps in another way.
    mutating func shrink(_ operations: [ModelOperation]) -> [ModelOperation] {
        var best = operations
        var chunk = max(best.count / 2, 1)
        while budget > 0 {
            var removed = false
            var begin = 0
            while begin < best.count, budget > 0 {
                var shorter = best
                shorter.removeSubrange(begin..<min(begin + chunk, best.count))
                if failure(of: shorter) != nil {
                    best = shorter
                    removed = true
                } else {
                    begin += chunk
                }
            }
            if chunk == 1, !removed { break }
            if !removed || chunk > best.count { chunk = max(min(chunk, best.count) / 2, 1) }
        }
        return best
    }
}
