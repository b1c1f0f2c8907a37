import SharedMemory
import SystemPackage
import Virtqueue

/// The memory in which a device notes what is under way, for all its queues.
///
/// It outlives the backend, with the frontend. The queues' parts stand one behind the other, each of
/// the length that the queue size asks for.
struct InflightMemory {
    private let memory: HostMemory
    private let offset: Int
    private let queueCount: Int
    private let queueSize: Int

    /// Makes such memory for a frontend to keep (`GET_INFLIGHT_FD`).
    ///
    /// - Returns: zeroed memory of a sealed size, and its description.
    static func make(
        for request: InflightDescription, isPacked: Bool, device: any VirtioDevice
    ) throws(RequestRefusal) -> (memory: HostMemory, description: InflightDescription) {
        try check(request, device)
        let byteCount =
            InflightRegion.byteCount(queueSize: Int(request.queueSize), isPacked: isPacked)
            * Int(request.queueCount)
        let page = HostMemory.pageByteCount
        do {
            let memory = try HostMemory.window(
                byteCount: (byteCount + page - 1) / page * page, name: "vhost-user-inflight")
            let description = InflightDescription(
                byteCount: UInt64(byteCount), mmapOffset: 0, queueCount: request.queueCount,
                queueSize: request.queueSize)
            return (memory, description)
        } catch {
            throw .system(error)
        }
    }

    /// Maps what a frontend has kept (`SET_INFLIGHT_FD`).
    ///
    /// - Parameter descriptors: the first is taken.
    init(
        _ description: InflightDescription, isPacked: Bool, device: any VirtioDevice,
        _ descriptors: inout ReceivedDescriptors
    ) throws(RequestRefusal) {
        try Self.check(description, device)
        guard let descriptor = descriptors.takeFirst() else { throw .inflight }
        do {
            (memory, offset) = try HostMemory.mapped(
                descriptor, around: description.mmapOffset, byteCount: description.byteCount)
        } catch {
            throw .system(error)
        }
        queueCount = Int(description.queueCount)
        queueSize = Int(description.queueSize)
        for index in 0..<queueCount where region(ofQueue: index, isPacked: isPacked) == nil {
            throw .inflight
        }
    }

    /// Whether there is a part for a queue.
    func hasRegion(ofQueue index: Int) -> Bool {
        index < queueCount
    }

    /// A queue's part; `nil` where there is none, or it lies outside the memory.
    func region(ofQueue index: Int, isPacked: Bool) -> InflightRegion? {
        let stride = InflightRegion.byteCount(queueSize: queueSize, isPacked: isPacked)
        guard hasRegion(ofQueue: index) else { return nil }
        return InflightRegion(
            memory: memory, offset: offset + index * stride, queueSize: queueSize,
            isPacked: isPacked)
    }

    /// As many queues, and as long ones, as the device has (CVE-2021-3839).
    private static func check(
        _ description: InflightDescription, _ device: any VirtioDevice
    ) throws(RequestRefusal) {
        let size = Int(description.queueSize)
        guard description.queueCount > 0, description.queueCount <= device.queueCountMax,
            QueueConfiguration.isValid(size: size), size <= device.queueSizeMax
        else { throw .inflight }
    }
}
