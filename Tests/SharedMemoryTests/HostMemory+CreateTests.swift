import Glibc
import Logging
import SharedMemory
import Synchronization
import SystemPackage
import TestSupport
import Testing

@Suite struct HostMemoryCreateTests {
    @Test func windowHasItsSizeAndIsSealed() throws {
        let window = try HostMemory.window(byteCount: 1 << 20)
        #expect(window.byteCount == 1 << 20)
        #expect(window.isSealed)
        #expect(window.pages == .base)
        let descriptor = try #require(window.fileDescriptor)
        #expect(try descriptor.seek(offset: 0, from: .end) == 1 << 20)
    }

    @Test(arguments: [0, 4096, (1 << 20) - 4096, (1 << 20) + 4096])
    func windowCannotBeResizedByAHolderOfItsDescriptor(byteCount: Int) throws {
        let window = try HostMemory.window(byteCount: 1 << 20)
        let descriptor = try #require(window.fileDescriptor)
        #expect(throws: Errno.notPermitted) { try descriptor.resize(to: Int64(byteCount)) }
        #expect(try descriptor.seek(offset: 0, from: .end) == 1 << 20)
    }

    @Test func windowIsZeroedAndAllItsPagesAreAllocated() throws {
        let window = try HostMemory.window(byteCount: 1 << 20)
        let descriptor = try #require(window.fileDescriptor)
        var status = stat()
        #expect(unsafe fstat(descriptor.rawValue, &status) == 0)
        #expect(status.st_blocks * 512 >= 1 << 20)
        #expect(window.bytes(at: 0, byteCount: 1 << 20).allSatisfy { $0 == 0 })
    }

    @Test func windowOfReservedHugePagesFallsBackWithANotice() throws {
        let log = NoticeLog()
        let window = try HostMemory.window(
            byteCount: 4 << 20, pages: .reservedHuge, logger: log.logger)
        #expect(window.byteCount == 4 << 20)
        #expect(window.isSealed)
        if window.pages == .reservedHuge {
            #expect(log.count == 0)
        } else {
            #expect(log.count >= 1)
        }
        window.store(7 as UInt64, at: (4 << 20) - 8)
        #expect(window.load(UInt64.self, at: (4 << 20) - 8) == 7)
    }

    @Test func windowThatIsNoWholeHugePageFallsBackFromReservedPages() throws {
        // 12 KiB is refused by hugetlbfs on every machine, reserved pages or not.
        let log = NoticeLog()
        let window = try HostMemory.window(
            byteCount: 12288, pages: .reservedHuge, logger: log.logger)
        #expect(window.pages != .reservedHuge)
        #expect(window.byteCount == 12288)
        #expect(window.isSealed)
        #expect(log.count >= 1)
    }

    @Test func anonymousMemoryIsZeroed() throws {
        let memory = try HostMemory.anonymous(byteCount: 65536, pages: .transparentHuge)
        #expect(memory.byteCount == 65536)
        #expect(memory.bytes(at: 0, byteCount: 65536).allSatisfy { $0 == 0 })
    }

    @Test func mappedFileShowsItsBytesFromTheOffsetOn() throws {
        var bytes = [UInt8](repeating: 1, count: 4096)
        bytes += [UInt8](repeating: 2, count: 4096)
        bytes += [UInt8](repeating: 3, count: 100)
        let file = try TemporaryFile(bytes)
        let memory = try HostMemory.mapped(
            file.reopened(.readWrite), offset: 4096, byteCount: 4196)
        #expect(memory.byteCount == 4196)
        #expect(memory.bytes(at: 0, byteCount: 4196) == Array(bytes[4096...]))
        #expect(!memory.isSealed)
        memory.fill(at: 1, byteCount: 1, with: 99)
        #expect(try file.contents()[4097] == 99)
    }

    @Test(arguments: [
        (offset: 0, byteCount: 8193), (4096, 4097), (8192, 1), (12288, 1), (0, Int.max),
        (Int.max - 4095, 4096),
    ])
    func mappingPastTheEndOfTheFileIsRefused(offset: Int, byteCount: Int) throws {
        try expectRefusal(offset: offset, byteCount: byteCount)
    }

    @Test(arguments: [(offset: 1, byteCount: 1), (2048, 1), (-4096, 1), (0, 0), (0, -1)])
    func mappingOfAMisalignedOrEmptyPartIsRefused(offset: Int, byteCount: Int) throws {
        try expectRefusal(offset: offset, byteCount: byteCount)
    }

    @Test(arguments: [(0, 8192), (1, 1), (4095, 2), (4096, 4096), (5000, 3192)])
    func partThatBeginsAtNoPageIsMappedFromThePageBefore(offset: Int, byteCount: Int) throws {
        let bytes = (0..<8192).map { UInt8(truncatingIfNeeded: $0 * 7 / 5) }
        let file = try TemporaryFile(bytes)
        let (memory, start) = try HostMemory.mapped(
            file.reopened(.readWrite), around: UInt64(offset), byteCount: UInt64(byteCount))
        #expect(memory.fileOffset + start == offset)
        #expect(memory.fileOffset % HostMemory.pageByteCount == 0)
        #expect(memory.byteCount == start + byteCount)
        #expect(
            memory.bytes(at: start, byteCount: byteCount)
                == Array(bytes[offset..<offset + byteCount]))
    }

    @Test(
        arguments: [
            (0, 0), (0, 8193), (1, 8192), (8192, 1), (.max, 1), (1, .max), (.max, .max),
            (4096, .max - 4095), (1 << 63, 1), (4095, .max - 100), (0, .max - 4094),
        ] as [(UInt64, UInt64)])
    func partThatIsNotInTheFileIsRefused(offset: UInt64, byteCount: UInt64) throws {
        let file = try TemporaryFile([UInt8](repeating: 0, count: 8192))
        let descriptor = try file.reopened(.readWrite)
        #expect(throws: SystemCallError("mmap", .invalidArgument)) {
            _ = try HostMemory.mapped(descriptor, around: offset, byteCount: byteCount)
        }
        #expect(!isDescriptor(descriptor.rawValue, of: file.descriptor))
    }

    @Test func reservedHugePagesAreMappedWhole() throws {
        let window = try HostMemory.window(
            byteCount: 4 << 20, pages: .reservedHuge, logger: NoticeLog().logger)
        // Without any reserved there is nothing to see.
        guard window.pages == .reservedHuge else { return }
        let (memory, offset) = try HostMemory.mapped(
            #require(window.fileDescriptor).duplicate(), around: (2 << 20) + 4096,
            byteCount: 8192)
        #expect(offset == 4096)
        #expect(memory.byteCount == 2 << 20)
        #expect(memory.fileOffset == 2 << 20)
        #expect(memory.pages == .reservedHuge)
    }

    @Test func mappingOfAFileThatCannotBeWrittenThrowsAndClosesIt() throws {
        let file = try TemporaryFile([UInt8](repeating: 0, count: 4096))
        let readOnly = try file.reopened(.readOnly)
        #expect(throws: SystemCallError("mmap", .permissionDenied)) {
            _ = try HostMemory.mapped(readOnly, offset: 0, byteCount: 4096)
        }
        #expect(!isDescriptor(readOnly.rawValue, of: file.descriptor))
    }

    @Test func descriptorIsClosedWithTheMemory() throws {
        let file = try TemporaryFile([UInt8](repeating: 0, count: 4096))
        let descriptor = try file.reopened(.readWrite)
        do {
            let memory = try HostMemory.mapped(descriptor, offset: 0, byteCount: 4096)
            #expect(isDescriptor(descriptor.rawValue, of: file.descriptor))
            #expect(memory.fileDescriptor == descriptor)
        }
        #expect(!isDescriptor(descriptor.rawValue, of: file.descriptor))
    }

    @Test func sealOfAWindowIsSeenThroughAnotherMappingOfIt() throws {
        let window = try HostMemory.window(byteCount: 8192)
        let peer = try HostMemory.mapped(
            #require(window.fileDescriptor).duplicate(), offset: 4096, byteCount: 4096)
        #expect(peer.isSealed)
    }

    @Test func windowThatIsNotWholePagesTraps() async {
        await #expect(processExitsWith: .failure) {
            _ = try HostMemory.window(byteCount: 4097)
        }
    }

    /// Expects `EINVAL` for a part of a file of 8192 bytes, and the descriptor to be closed.
    private func expectRefusal(offset: Int, byteCount: Int) throws {
        let file = try TemporaryFile([UInt8](repeating: 0, count: 8192))
        let descriptor = try file.reopened(.readWrite)
        #expect(throws: SystemCallError("mmap", .invalidArgument)) {
            _ = try HostMemory.mapped(descriptor, offset: offset, byteCount: byteCount)
        }
        #expect(!isDescriptor(descriptor.rawValue, of: file.descriptor))
    }
}

/// Counts the notices of a logger.
private final class NoticeLog: Sendable {
    private let notices = Atomic(0)

    var count: Int { notices.load(ordering: .relaxed) }

    var logger: Logger { Logger(label: "test") { _ in Handler(log: self) } }

    private struct Handler: LogHandler {
        let log: NoticeLog
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.notice

        subscript(metadataKey key: String) -> Logger.MetadataValue? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            if event.level == .notice { log.notices.add(1, ordering: .relaxed) }
        }
    }
}
