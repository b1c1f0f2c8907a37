import ArgumentParser
import CommandSupport
import NetBackend
import SwiotlbPool
import SystemPackage
import Virtqueue

/// `perfbench net-guest`: a guest's network stack and its driver, without a guest.
struct NetGuestCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "net-guest",
        abstract: "Connects a TAP device with a vhost-user-net backend, as a guest's driver would.",
        discussion: """
            Run in a network namespace, it makes of that a guest: what the namespace sends by the TAP \
            device is read into private memory and sent by virtqueues, and what is received goes the \
            other way, with checksums and segmentation left to the backend's side. So programs of this \
            machine, such as iperf3, measure a card: scripts/compare-tcp does.

            It says when frames can pass, and runs until SIGINT or SIGTERM; then it says what passed.

            \(ExitStatus.guestDocumentation)
            """)

    @Option(help: "TAP device that stands for the guest's stack; made where it is not there.")
    var tap: String

    @Option(help: "Unix socket of the vhost-user-net backend, such as 'bounced net --tap OTHER'.")
    var socket: String

    @Option(
        help: """
            How frames get to the backend: direct (it is given all of the guest's memory), bounce (it is \
            given the window).
            """)
    var path = NetPath.bounce

    @Option(help: "How long each queue is, a power of two; 32 to 1024.")
    var queueSize = 256

    @Option(help: "Size of the window that frames bounce through.")
    var window = ByteSize(16 << 20)

    func validate() throws {
        // The longest frame takes 17 buffers of a page.
        guard queueSize >= 32, queueSize <= 1024, queueSize & (queueSize - 1) == 0 else {
            throw ValidationError("--queue-size must be a power of two from 32 to 1024")
        }
        let segment = PoolGeometry.standard.segmentByteCount
        guard window.byteCount >= segment, window.byteCount % segment == 0 else {
            throw ValidationError("--window must be a positive multiple of \(ByteSize(segment))")
        }
        guard window.byteCount <= 1 << 40 else {
            throw ValidationError("--window must be at most 1024g")
        }
    }

    func run() throws {
        try reportingFailures {
            Interruption.install()
            let device = try TapDevice(name: tap)
            let backend = try BackendProcess(socket: FilePath(socket))
            let plan = GuestCardPlan(
                path: path, queueSize: queueSize, windowByteCount: window.byteCount)
            let statistics = try plan.run(device, on: backend) {
                StandardError.write("\(tap) is connected to \(socket): \(path.rawValue)\n")
            }
            StandardError.write(statistics.report)
        }
    }
}
