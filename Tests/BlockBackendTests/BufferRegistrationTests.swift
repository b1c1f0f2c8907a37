import CLinux
import SharedMemory
import SystemPackage
import Testing
import Uring

@testable import BlockBackend

@Suite(.enabled(if: Machine.hasUring, "io_uring is not permitted here"))
struct BufferRegistrationTests {
    private func buffer(
        _ registration: BufferRegistration, _ map: MemoryMap, _ range: GuestRange
    ) throws -> FixedBuffer? {
        registration.buffer(of: try #require(map.translate(range)))
    }

    @Test("A run is in the buffer of its region, which regions have in order of their addresses")
    func severalRegions() throws {
        let memory = try HostMemory.anonymous(byteCount: 1 << 16)
        let map = try MemoryMap([
            .init(guestAddress: GuestAddress(0x9000), memory: memory, memoryOffset: 8192),
            .init(guestAddress: GuestAddress(0x1000), memory: memory, byteCount: 8192),
        ])
        var ring = try Ring(entryCount: 4)
        let registration = BufferRegistration(registering: map, with: &ring)
        #expect(registration.isRegistered)
        #expect(registration.refusal == nil)
        let count = ring.registeredBufferCount
        #expect(count == 2)
        #expect(try buffer(registration, map, GuestRange(0x1000, 8192)) == FixedBuffer(index: 0))
        #expect(try buffer(registration, map, GuestRange(0x2FFF, 1)) == FixedBuffer(index: 0))
        #expect(try buffer(registration, map, GuestRange(0x9000, 1)) == FixedBuffer(index: 1))
        #expect(try buffer(registration, map, GuestRange(0xA000, 512)) == FixedBuffer(index: 1))
    }

    @Test("A run of no bytes is in no buffer")
    func emptyRun() throws {
        let map = MemoryMap(try HostMemory.anonymous(byteCount: 4096), at: GuestAddress(0))
        var ring = try Ring(entryCount: 4)
        let registration = BufferRegistration(registering: map, with: &ring)
        #expect(try buffer(registration, map, GuestRange(0, 0)) == nil)
    }

    @Test("Nothing is in a buffer where nothing is registered")
    func nothingRegistered() throws {
        let map = MemoryMap(try HostMemory.anonymous(byteCount: 4096), at: GuestAddress(0))
        #expect(!BufferRegistration().isRegistered)
        #expect(try buffer(BufferRegistration(), map, GuestRange(0, 512)) == nil)
    }

    @Test("A map that the kernel refuses is not registered, and the reason is kept")
    func refused() throws {
        // More buffers than a ring takes (1 << 14), all of the same page.
        let memory = try HostMemory.anonymous(byteCount: 4096)
        let map = try MemoryMap(
            (0..<(1 << 14) + 1).map {
                .init(guestAddress: GuestAddress(UInt64($0) * 4096), memory: memory)
            })
        var ring = try Ring(entryCount: 4)
        let registration = BufferRegistration(registering: map, with: &ring)
        #expect(!registration.isRegistered)
        #expect(registration.refusal?.operation == "io_uring_register")
        #expect(try buffer(registration, map, GuestRange(0, 512)) == nil)
    }

    @Test("A run in one piece of 1 GiB is in its buffer, a run across two pieces in none")
    func pieces() throws {
        // A private mapping of a file's hole would be copied page by page; huge pages are few.
        let memory: HostMemory
        do {
            memory = try HostMemory.anonymous(byteCount: (2 << 30) + 4096, pages: .transparentHuge)
        } catch {
            try Test.cancel("no 2 GiB of addresses")
        }
        guard Machine.availableByteCount > 6 << 30 else {
            try Test.cancel("less than 6 GiB of memory available")
        }
        let map = MemoryMap(memory, at: GuestAddress(4096))
        var ring = try Ring(entryCount: 4)
        let registration = BufferRegistration(registering: map, with: &ring)
        if let refusal = registration.refusal {
            try Test.cancel("2 GiB cannot be locked here (\(refusal))")
        }
        let count = ring.registeredBufferCount
        #expect(count == 3)
        let border = UInt64(4096 + (1 << 30))
        let first = FixedBuffer(index: 0)
        let second = FixedBuffer(index: 1)
        #expect(try buffer(registration, map, GuestRange(4096, 1 << 30)) == first)
        #expect(try buffer(registration, map, GuestRange(border - 512, 512)) == first)
        #expect(try buffer(registration, map, GuestRange(border - 512, 513)) == nil)
        #expect(try buffer(registration, map, GuestRange(border - 1, 2)) == nil)
        #expect(try buffer(registration, map, GuestRange(border, 1 << 30)) == second)
        #expect(try buffer(registration, map, GuestRange(4096, (1 << 30) + 1)) == nil)
        #expect(
            try buffer(registration, map, GuestRange(border + (1 << 30), 4096))
                == FixedBuffer(index: 2))
    }
}
