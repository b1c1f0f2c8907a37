import SharedMemory
import SystemPackage
import Testing
import Uring
import Virtqueue

@testable import BlockBackend

@Suite struct TransferTests {
    let vectors = IOVectors(rowCount: 1, rowCapacity: 8)

    private func transfer(_ step: Transfer.Step, byteCount: Int, granule: Int = 1) -> Transfer {
        var transfer = Transfer(tag: 7, step: step, fileOffset: 4096, byteCount: byteCount)
        transfer.granule = granule
        return transfer
    }

    @Test("A whole result ends a transfer", arguments: [Transfer.Step.read, .write, .writeZeroes])
    func whole(step: Transfer.Step) {
        var transfer = transfer(step, byteCount: 4096)
        #expect(transfer.advance(4096, vectors: vectors) == .done(.ok, nil))
        #expect(transfer.doneByteCount == 4096)
        #expect(transfer.writtenByteCount == (step == .read ? 4096 : 0))
    }

    @Test("A short result goes on with the rest of the range")
    func shortRange() throws {
        let memory = try HostMemory.anonymous(byteCount: 8192)
        var transfer = transfer(.read, byteCount: 8192)
        transfer.range = memory.hostRange
        #expect(transfer.advance(1000, vectors: vectors) == .goOn)
        #expect(transfer.doneByteCount == 1000)
        #expect(transfer.range == memory.hostRange(offset: 1000, byteCount: 7192))
        #expect(transfer.advance(7191, vectors: vectors) == .goOn)
        #expect(transfer.range == memory.hostRange(offset: 8191, byteCount: 1))
        #expect(transfer.advance(1, vectors: vectors) == .done(.ok, nil))
        #expect(transfer.writtenByteCount == 8192)
    }

    @Test("A short result goes on with the rest of the list, from the middle of a range")
    func shortList() throws {
        let memory = try HostMemory.anonymous(byteCount: 8192)
        var list = vectors.emptyList(inRow: 0)
        for offset in [0, 2048, 4096] {
            let isAppended = vectors.append(
                memory.hostRange(offset: offset, byteCount: 512), to: &list)
            #expect(isAppended)
        }
        var transfer = transfer(.write, byteCount: 1536)
        transfer.list = list
        #expect(transfer.advance(600, vectors: vectors) == .goOn)
        #expect(transfer.doneByteCount == 600)
        var rest = try #require(transfer.list)
        #expect(rest.count == 2)
        // What is left of the second range is 424 bytes, not one less and not one more.
        vectors.dropFirst(423, from: &rest)
        #expect(rest.count == 2)
        vectors.dropFirst(1, from: &rest)
        #expect(rest.count == 1)
    }

    @Test("Progress is rounded down to the granule, so that the rest stays aligned")
    func granule() throws {
        let memory = try HostMemory.anonymous(byteCount: 16384)
        var transfer = transfer(.write, byteCount: 16384, granule: 4096)
        transfer.range = memory.hostRange
        #expect(transfer.advance(5000, vectors: vectors) == .goOn)
        #expect(transfer.doneByteCount == 4096)
        #expect(transfer.range == memory.hostRange(offset: 4096, byteCount: 12288))
        #expect(transfer.advance(8192, vectors: vectors) == .goOn)
        #expect(transfer.doneByteCount == 12288)
        #expect(transfer.advance(4096, vectors: vectors) == .done(.ok, nil))
    }

    @Test("A list's progress is rounded down to the granule too")
    func granuleOfList() throws {
        let memory = try HostMemory.anonymous(byteCount: 16384)
        var list = vectors.emptyList(inRow: 0)
        for offset in [0, 8192] {
            let isAppended = vectors.append(
                memory.hostRange(offset: offset, byteCount: 4096), to: &list)
            #expect(isAppended)
        }
        var transfer = transfer(.read, byteCount: 8192, granule: 512)
        transfer.list = list
        #expect(transfer.advance(4096 + 511, vectors: vectors) == .goOn)
        #expect(transfer.doneByteCount == 4096)
        #expect(transfer.list?.count == 1)
    }

    @Test("Less than a granule is no progress, and fails at the limit")
    func lessThanGranule() {
        var transfer = transfer(.read, byteCount: 8192, granule: 4096)
        for _ in 1..<Transfer.idleCountMax {
            #expect(transfer.advance(100, vectors: vectors) == .goOn)
        }
        #expect(transfer.doneByteCount == 0)
        #expect(transfer.advance(100, vectors: vectors) == .done(.ioError, .ioError))
    }

    @Test(
        "An interrupted operation is repeated without progress, and fails at the limit",
        arguments: [Errno.interrupted, .resourceTemporarilyUnavailable],
        [
            Transfer.Step.read, .write, .sync, .discard, .allocateZeroes(mayUnmap: true),
            .writeZeroes,
        ]
    )
    func repeated(errno: Errno, step: Transfer.Step) {
        var transfer = transfer(step, byteCount: 4096)
        for _ in 1..<Transfer.idleCountMax {
            #expect(transfer.advance(-errno.rawValue, vectors: vectors) == .goOn)
        }
        #expect(transfer.step == step)
        #expect(transfer.doneByteCount == 0)
        #expect(transfer.advance(-errno.rawValue, vectors: vectors) == .done(.ioError, errno))
    }

    @Test("Progress starts the count of fruitless attempts again")
    func progressResetsLimit() {
        var transfer = transfer(.read, byteCount: 2)
        for _ in 1..<Transfer.idleCountMax {
            #expect(transfer.advance(-interruptedCode, vectors: vectors) == .goOn)
        }
        #expect(transfer.advance(1, vectors: vectors) == .goOn)
        #expect(transfer.advance(-interruptedCode, vectors: vectors) == .goOn)
        #expect(transfer.advance(1, vectors: vectors) == .done(.ok, nil))
    }

    private let interruptedCode = Errno.interrupted.rawValue

    @Test("A read of nothing fails: the storage ends there now")
    func readOfNothing() {
        var transfer = transfer(.read, byteCount: 4096)
        #expect(transfer.advance(1024, vectors: vectors) == .goOn)
        #expect(transfer.advance(0, vectors: vectors) == .done(.ioError, nil))
        #expect(transfer.writtenByteCount == 1024)
    }

    @Test("A write of nothing is repeated up to the limit")
    func writeOfNothing() {
        var transfer = transfer(.write, byteCount: 4096)
        for _ in 1..<Transfer.idleCountMax {
            #expect(transfer.advance(0, vectors: vectors) == .goOn)
        }
        #expect(transfer.advance(0, vectors: vectors) == .done(.ioError, .ioError))
    }

    @Test(
        "Operations without a payload end with a result of 0",
        arguments: [Transfer.Step.sync, .discard, .allocateZeroes(mayUnmap: false)])
    func withoutPayload(step: Transfer.Step) {
        var transfer = transfer(step, byteCount: 1 << 30)
        #expect(transfer.advance(0, vectors: vectors) == .done(.ok, nil))
        #expect(transfer.writtenByteCount == 0)
    }

    @Test(
        "Zeroes that the storage cannot make are written, in pieces",
        arguments: [Errno.notSupported, .invalidArgument], [true, false])
    func zeroesFallBack(errno: Errno, mayUnmap: Bool) {
        var transfer = transfer(.allocateZeroes(mayUnmap: mayUnmap), byteCount: 3 << 20)
        #expect(transfer.advance(-errno.rawValue, vectors: vectors) == .goOn)
        #expect(transfer.step == .writeZeroes)
        #expect(transfer.doneByteCount == 0)
        #expect(transfer.advance(1 << 20, vectors: vectors) == .goOn)
        #expect(transfer.advance(1 << 20, vectors: vectors) == .goOn)
        #expect(transfer.advance(1 << 20, vectors: vectors) == .done(.ok, nil))
        #expect(transfer.changesStorage)
    }

    @Test("EOPNOTSUPP and ENOTSUP are one number on Linux, which Errno calls notSupported")
    func notSupported() {
        #expect(Errno.notSupported.rawValue == 95)
    }

    @Test("A discard that the storage does not know is unsupported")
    func discardUnsupported() {
        var transfer = transfer(.discard, byteCount: 4096)
        let errno = Errno.notSupported
        #expect(transfer.advance(-errno.rawValue, vectors: vectors) == .done(.unsupported, errno))
    }

    @Test(
        "A refused transfer is an error of the device, not an unsupported request",
        arguments: [Transfer.Step.read, .write, .sync, .discard, .writeZeroes])
    func refused(step: Transfer.Step) {
        var transfer = transfer(step, byteCount: 4096)
        let errno = Errno.invalidArgument
        #expect(transfer.advance(-errno.rawValue, vectors: vectors) == .done(.ioError, errno))
    }

    @Test(
        "Any other error ends the request with its reason",
        arguments: [Errno.noSpace, .ioError, .badFileDescriptor],
        [
            Transfer.Step.read, .write, .sync, .discard, .allocateZeroes(mayUnmap: true),
            .writeZeroes,
        ]
    )
    func failed(errno: Errno, step: Transfer.Step) {
        var transfer = transfer(step, byteCount: 4096)
        #expect(transfer.advance(-errno.rawValue, vectors: vectors) == .done(.ioError, errno))
    }

    @Test("An error after a short read keeps the bytes that came")
    func errorAfterProgress() {
        var transfer = transfer(.read, byteCount: 4096, granule: 512)
        #expect(transfer.advance(1024, vectors: vectors) == .goOn)
        #expect(
            transfer.advance(-Errno.ioError.rawValue, vectors: vectors)
                == .done(.ioError, .ioError))
        #expect(transfer.writtenByteCount == 1024)
    }

    @Test("Reads and flushes do not change the storage, everything else does")
    func changesStorage() {
        let changing: [Transfer.Step] = [
            .write, .discard, .allocateZeroes(mayUnmap: true), .writeZeroes,
        ]
        for step in changing { #expect(transfer(step, byteCount: 512).changesStorage) }
        for step in [Transfer.Step.read, .sync] {
            #expect(!transfer(step, byteCount: 512).changesStorage)
        }
    }
}
