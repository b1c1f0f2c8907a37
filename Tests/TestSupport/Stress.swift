import Glibc

/// How long stress tests run: `BOUNCE_STRESS_SCALE` times as long as they do by default, which is a
/// second or two each. `BOUNCE_STRESS_SCALE=300 swift test --filter Stress` is a soak of some minutes
/// a test; `scripts/sanitize` has them, and other long tests, do a part.
public let stressScale: Double = {
    guard let text = unsafe getenv("BOUNCE_STRESS_SCALE") else { return 1 }
    // SAFETY: the environment does not change while tests run.
    guard let scale = unsafe Double(String(cString: text)), scale > 0, scale <= 1e6 else {
        return 1
    }
    return scale
}()

/// A number of steps, times ``stressScale``; at least one.
public func scaled(_ count: Int) -> Int {
    max(Int(Double(count) * stressScale), 1)
}
