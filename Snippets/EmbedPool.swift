// How a driver bounces a buffer through a window; the README shows what follows the first mark.
// snippet.hide
import SharedMemory
import SwiotlbPool

// snippet.show
func receive() throws {
    let guest = try HostMemory.anonymous(byteCount: 256 << 20)  // the driver's private memory
    let window = try HostMemory.window(byteCount: 64 << 20)  // all that the backend sees
    let pool = try BouncePool(
        window: window, at: GuestAddress(1 << 40),
        privateMemory: MemoryMap(guest, at: GuestAddress(0)))
    var mapper = try pool.makeMapper()  // one for each thread
    let buffer = GuestRange(address: GuestAddress(0x5000), byteCount: 4096)
    let mapping = try mapper.map(buffer, .fromDevice)
    print("descriptor:", mapping.deviceRange)  // the device writes there, and reports how much
    mapper.unmap(mapping, usedByteCount: 4096)  // copied to the buffer; the slots are free again
}
try receive()
