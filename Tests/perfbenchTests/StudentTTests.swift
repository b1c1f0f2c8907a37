import Testing

@testable import perfbench

@Suite struct StudentTTests {
    // Of every table of the distribution.
    @Test(arguments: [
        (1, 12.706, 0.05), (2, 4.303, 0.05), (2, 9.925, 0.01), (3, 5.841, 0.01),
        (4, 2.776, 0.05), (4, 4.604, 0.01), (5, 4.032, 0.01), (9, 3.250, 0.01),
        (30, 2.750, 0.01),
    ])
    func `probabilities and quantiles are those of the tables`(
        degrees: Int, t: Double, probability: Double
    ) {
        let found = StudentT.twoSidedProbability(t, degreesOfFreedom: degrees)
        #expect((found - probability).magnitude < probability / 200)
        let quantile = StudentT.quantile(twoSided: probability, degreesOfFreedom: degrees)
        #expect((quantile - t).magnitude < 0.001)
    }

    @Test func `zero is what everything is as far from`() {
        for degrees in 1...10 {
            #expect(StudentT.twoSidedProbability(0, degreesOfFreedom: degrees) == 1)
        }
    }
}
