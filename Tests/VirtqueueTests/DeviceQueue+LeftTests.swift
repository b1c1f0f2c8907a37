import SharedMemory
import Testing

@testable import Virtqueue

/// A device is killed after each of its stores, and another takes over.
@Suite(
    .enabled(if: StoreTracer.works, "stores cannot be traced here"), .serialized)
struct DeviceQueueLeftTests {
    private static let features: [VirtioFeatures] = [
        [], .indirectDescriptors, .inOrder, .packedRing, [.packedRing, .indirectDescriptors],
        [.packedRing, .inOrder],
    ]

    @Test(arguments: features, [1, 2, 4])
    func everyCrashIsRecoveredFrom(features: VirtioFeatures, size: Int) throws {
        for seed in 1...2 as ClosedRange<UInt64> {
            var scenario = try CrashScenario(size: size, features: features, seed: seed)
            for number in 0..<500 {
                do {
                    try scenario.step()
                } catch {
                    Issue.record("seed \(seed), step \(number): \(error)")
                    return
                }
            }
            #expect(scenario.stateCount > 100)
        }
    }
}
