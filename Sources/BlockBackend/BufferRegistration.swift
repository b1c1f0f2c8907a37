import SharedMemory
import Uring

/// Which registered buffer of the ring a range of the memory map lies in.
///
/// Every region is registered in pieces of at most 1 GiB, one after another.
struct BufferRegistration: Sendable {
    /// Why the kernel refused to register the memory, where it did.
    let refusal: SystemCallError?

    /// The first buffer of each region; empty where nothing is registered.
    private let firstBuffers: [Int]

    var isRegistered: Bool { !firstBuffers.isEmpty }

    /// Nothing registered.
    init() {
        refusal = nil
        firstBuffers = []
    }

    /// Registers all regions of a map, or none where the kernel refuses.
    init(registering map: MemoryMap, with ring: inout Ring) {
        var firstBuffers: [Int] = []
        var pieces: [HostRange] = []
        for region in map.regions {
            firstBuffers.append(pieces.count)
            var rest = region.memory.hostRange(
                offset: region.memoryOffset, byteCount: region.byteCount)
            while rest.byteCount > 0 {
                let piece = rest.prefix(registeredBufferByteCountMax)
                pieces.append(piece)
                rest = rest.dropFirst(piece.byteCount)
            }
        }
        do throws(SystemCallError) {
            try ring.registerBuffers(pieces)
            refusal = nil
            self.firstBuffers = firstBuffers
        } catch {
            refusal = error
            self.firstBuffers = []
        }
    }

    /// The buffer that all of a run lies in, if there is one.
    func buffer(of run: MemoryMap.Run) -> FixedBuffer? {
        guard isRegistered, run.hostRange.byteCount > 0 else { return nil }
        let last = run.regionOffset + run.hostRange.byteCount - 1
        let piece = run.regionOffset / registeredBufferByteCountMax
        guard last / registeredBufferByteCountMax == piece else { return nil }
        return FixedBuffer(index: firstBuffers[run.regionIndex] + piece)
    }
}
