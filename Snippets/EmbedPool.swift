// How a driver bounces a buffer through a window; the README shows the part between the marks.
// snippet.hide
import SharedMemory
import SwiotlbPool

// snippet.show
let guest = try HostMemory.anonymous(byteCount: 256 << 20)  // the driver's private memory
let window = try HostMemory.window(byteCount: 64 << 20)  // all that the backend sees
let pool = BouncePool(
    window: window, at: GuestAddress(1 << 40), privateMemory: MemoryMap(guest, at: GuestAddress(0)))

var mapper = pool.makeMapper()  // one for each thread
let buffer = GuestRange(address: GuestAddress(0x5000), byteCount: 4096)
let mapping = try mapper.map(buffer, .fromDevice)
// Put mapping.deviceRange into a descriptor. When the device reports how much it wrote:
mapper.unmap(mapping, usedByteCount: 4096)
