import Glibc
import SharedMemory
import Synchronization
import SystemPackage
import TestSupport
import Testing

/// Files that are cut short under a mapping. Without the guard each of these tests ends the process.
@Suite(.serialized) struct HostMemoryLossTests {
    private static let page = HostMemory.pageByteCount

    /// Memory of some pages, each filled with its number from 1 on.
    private static func memory(pages: Int) throws -> (HostMemory, TemporaryFile) {
        let file = try TemporaryFile((0..<pages * page).map { UInt8($0 / page + 1) })
        let memory = try HostMemory.mapped(
            file.reopened(.readWrite), offset: 0, byteCount: pages * page)
        return (memory, file)
    }

    @Test(arguments: 0...3) func lostPagesReadAsZeroes(left: Int) throws {
        try HostMemory.surviveLoss()
        let (memory, file) = try Self.memory(pages: 4)
        let (other, _) = try Self.memory(pages: 1)
        let before = HostMemory.lossCount
        #expect(!memory.isLost)
        #expect(ftruncate(file.descriptor.rawValue, left * Self.page) == 0)
        for index in 0..<4 {
            let byte = memory.load(UInt8.self, at: index * Self.page + 5)
            #expect(byte == (index < left ? UInt8(index + 1) : 0))
        }
        #expect(memory.isLost && !other.isLost)
        // One loss, however many pages.
        #expect(HostMemory.lossCount == before + 1)
        // What is written there is there, and nowhere else.
        memory.store(9 as UInt8, at: 3 * Self.page)
        #expect(memory.load(UInt8.self, at: 3 * Self.page) == 9)
        #expect(try file.contents().count == left * Self.page)
    }

    @Test func aLossInTheMidstOfACopy() throws {
        try HostMemory.surviveLoss()
        let (memory, file) = try Self.memory(pages: 3)
        #expect(ftruncate(file.descriptor.rawValue, Self.page) == 0)
        let bytes = memory.bytes(at: 0, byteCount: 3 * Self.page)
        #expect(bytes[..<Self.page].allSatisfy { $0 == 1 })
        #expect(bytes[Self.page...].allSatisfy { $0 == 0 })
        #expect(memory.isLost)
    }

    @Test("Cut shorter and shorter, it is lost page by page from the end")
    func oneAfterTheOther() throws {
        try HostMemory.surviveLoss()
        let (memory, file) = try Self.memory(pages: 8)
        for left in (0..<8).reversed() {
            #expect(ftruncate(file.descriptor.rawValue, left * Self.page) == 0)
            #expect(memory.load(UInt8.self, at: left * Self.page) == 0)
            if left > 0 {
                #expect(memory.load(UInt8.self, at: (left - 1) * Self.page) == UInt8(left))
            }
        }
    }

    @Test func threadsAtOnce() throws {
        try HostMemory.surviveLoss()
        for _ in 0..<50 {
            let (memory, file) = try Self.memory(pages: 4)
            #expect(ftruncate(file.descriptor.rawValue, 0) == 0)
            onThreads(4) { index in
                for page in 0..<4 {
                    let byte = memory.load(UInt8.self, at: (page + index) % 4 * Self.page)
                    precondition(byte == 0)
                }
            }
            #expect(memory.isLost)
        }
    }

    @Test("Others map and unmap while a mapping is lost")
    func othersComeAndGo() throws {
        try HostMemory.surviveLoss()
        let isDone = Atomic(false)
        onThreads(2) { index in
            guard index == 0 else {
                // Of several lengths, so that places change hands.
                var pages = 1
                while !isDone.load(ordering: .relaxed) {
                    let memory = try? Self.memory(pages: pages).0
                    precondition(memory?.isLost == false)
                    pages = pages % 4 + 1
                }
                return
            }
            for _ in 0..<200 {
                guard let (memory, file) = try? Self.memory(pages: 2) else {
                    preconditionFailure("a file is mapped")
                }
                precondition(ftruncate(file.descriptor.rawValue, Self.page) == 0)
                precondition(memory.load(UInt8.self, at: Self.page) == 0)
                precondition(memory.load(UInt8.self, at: 0) == 1 && memory.isLost)
            }
            isDone.store(true, ordering: .relaxed)
        }
    }

    @Test("The next mapping at the same place is not taken for the lost one")
    func reuse() throws {
        try HostMemory.surviveLoss()
        for _ in 0..<100 {
            let (memory, file) = try Self.memory(pages: 1)
            #expect(!memory.isLost)
            #expect(ftruncate(file.descriptor.rawValue, 0) == 0)
            #expect(memory.load(UInt8.self, at: 0) == 0)
            #expect(memory.isLost)
        }
    }

    @Test func whatIsSealedOrPrivateCannotBeLost() throws {
        try HostMemory.surviveLoss()
        let window = try HostMemory.window(byteCount: Self.page)
        let memory = try HostMemory.anonymous(byteCount: Self.page)
        #expect(!window.isLost && !memory.isLost)
        let map = try MemoryMap([
            MemoryMap.Region(guestAddress: GuestAddress(0), memory: window),
            MemoryMap.Region(guestAddress: GuestAddress(1 << 30), memory: memory),
        ])
        #expect(!map.isLost)
        let (lost, file) = try Self.memory(pages: 1)
        let other = try MemoryMap(
            map.regions + [MemoryMap.Region(guestAddress: GuestAddress(1 << 31), memory: lost)])
        #expect(ftruncate(file.descriptor.rawValue, 0) == 0)
        #expect(!other.isLost)
        #expect(lost.load(UInt8.self, at: 0) == 0)
        #expect(other.isLost && !map.isLost)
    }
}
