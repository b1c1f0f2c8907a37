import Glibc

/// Student's t distribution, for whole degrees of freedom: the finite series of M. Abramowitz and
/// I. A. Stegun, "Handbook of Mathematical Functions", 26.7.3 and 26.7.4.
enum StudentT {
    /// The probability of a value at least so far from zero, on either side.
    static func twoSidedProbability(_ t: Double, degreesOfFreedom: Int) -> Double {
        precondition(degreesOfFreedom >= 1, "a t distribution has a degree of freedom")
        let angle = atan(t.magnitude / Double(degreesOfFreedom).squareRoot())
        let (sine, cosine) = (sin(angle), cos(angle))
        let isOdd = degreesOfFreedom % 2 == 1
        var term = isOdd ? cosine : 1
        var sum = degreesOfFreedom == 1 ? 0 : term
        var index = isOdd ? 3 : 2
        while index < degreesOfFreedom {
            term *= cosine * cosine * Double(index - 1) / Double(index)
            sum += term
            index += 2
        }
        let inside = isOdd ? (angle + sine * sum) * 2 / .pi : sine * sum
        return max(1 - inside, 0)
    }

    /// The distance from zero outside of which lies so much probability, on both sides together.
    static func quantile(twoSided probability: Double, degreesOfFreedom: Int) -> Double {
        var (low, high) = (0.0, 1.0)
        func isInside(_ t: Double) -> Bool {
            twoSidedProbability(t, degreesOfFreedom: degreesOfFreedom) > probability
        }
        while isInside(high), high < 1e9 { high *= 2 }
        for _ in 0..<80 {
            let middle = (low + high) / 2
            if isInside(middle) { low = middle } else { high = middle }
        }
        return high
    }
}
