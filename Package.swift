// swift-tools-version: 6.2
import PackageDescription

// Modules and the arrows between them: docs/architecture.md. What each dependency is for:
// docs/dependencies.md.

/// CI and `make test` set this, so that a warning of a newer compiler never breaks a user's build.
let warningsAreErrors = Context.environment["BOUNCE_WARNINGS_AS_ERRORS"] == "1"

/// A bounce that is slower on purpose, for scripts/check-the-gate, which finds out whether perfbench sees it:
/// `time` (a tenth of every copy's), or `instructions` (7 a mapping). Unset in every build that is used.
let slowdown = Context.environment["BOUNCE_SLOWDOWN"].map { $0.uppercased() }

let swiftSettings: [SwiftSetting] =
    [
        .strictMemorySafety(),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
    ] + (warningsAreErrors ? [.treatAllWarnings(as: .error)] : [])

let system = Target.Dependency.product(name: "SystemPackage", package: "swift-system")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let containers = Target.Dependency.product(name: "BasicContainers", package: "swift-collections")
let deques = Target.Dependency.product(name: "DequeModule", package: "swift-collections")

let package = Package(
    name: "bounce",
    products: [
        .library(name: "SharedMemory", targets: ["SharedMemory"]),
        .library(name: "SwiotlbPool", targets: ["SwiotlbPool"]),
        .library(name: "Uring", targets: ["Uring"]),
        .library(name: "Virtqueue", targets: ["Virtqueue"]),
        .library(name: "BlockBackend", targets: ["BlockBackend"]),
        .library(name: "NetBackend", targets: ["NetBackend"]),
        .library(name: "GuestDriver", targets: ["GuestDriver"]),
        .library(name: "VhostUser", targets: ["VhostUser"]),
        .executable(name: "bounced", targets: ["bounced"]),
        .executable(name: "perfbench", targets: ["perfbench"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    ],
    targets: [
        // C interfaces, headers only.
        .systemLibrary(name: "CCopy"),
        .systemLibrary(name: "CLinux"),
        .systemLibrary(name: "CSlowdown"),
        .systemLibrary(name: "CSocket"),
        .systemLibrary(name: "CTap"),
        .systemLibrary(name: "CPacket"),
        .systemLibrary(
            name: "CUring", pkgConfig: "liburing", providers: [.apt(["liburing-dev"])]),

        // A signal handler, which cannot be written in Swift.
        .target(name: "CLostMemory"),

        // The only two modules that hold raw pointers.
        .target(
            name: "SharedMemory",
            dependencies: ["CCopy", "CLinux", "CLostMemory", system, logging],
            swiftSettings: swiftSettings),
        .target(
            name: "Uring", dependencies: ["CLinux", "CUring", "SharedMemory", system],
            swiftSettings: swiftSettings),

        .target(
            name: "Virtqueue", dependencies: ["CLinux", "SharedMemory", system, containers],
            swiftSettings: swiftSettings),
        // The protocol by which another process hands over queues, both roles.
        .target(
            name: "VhostUser",
            dependencies: ["CSocket", "SharedMemory", "Virtqueue", system, logging],
            swiftSettings: swiftSettings),

        // The two halves of the data path. They do not know each other.
        .target(
            name: "SwiotlbPool",
            dependencies: ["SharedMemory", containers, deques]
                + (slowdown == nil ? [] : ["CSlowdown"]),
            swiftSettings: swiftSettings
                + (slowdown.map { [.define("BOUNCE_SLOWDOWN_" + $0)] } ?? [])),
        .target(
            name: "BlockBackend",
            dependencies: [
                "CLinux", "SharedMemory", "Uring", "Virtqueue", system, logging, containers,
            ],
            swiftSettings: swiftSettings),

        .target(
            name: "NetBackend",
            dependencies: [
                "CTap", "SharedMemory", "Uring", "Virtqueue", system, logging, containers,
            ],
            swiftSettings: swiftSettings),

        // The driver's side of devices, through the pool.
        .target(
            name: "GuestDriver",
            dependencies: ["SharedMemory", "SwiotlbPool", "Virtqueue", containers],
            swiftSettings: swiftSettings),

        // What the programs say of failures, and exit with.
        .target(
            name: "CommandSupport",
            dependencies: [
                "BlockBackend", "NetBackend", "SharedMemory", system,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: swiftSettings),

        // The daemon.
        .executableTarget(
            name: "bounced",
            dependencies: [
                "BlockBackend", "CommandSupport", "NetBackend", "SharedMemory", "Uring",
                "VhostUser",
                "Virtqueue", system, logging,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: swiftSettings),

        // What the pool is compared with: allocators in C, compiled apart as it is.
        .target(name: "CPoolModels"),
        .executableTarget(
            name: "perfbench",
            dependencies: [
                "BlockBackend", "CLinux", "CommandSupport", "CPacket", "CPoolModels", "GuestDriver",
                "NetBackend", "SharedMemory", "SwiotlbPool", "Uring", "VhostUser", "Virtqueue",
                system, logging, containers,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Histogram", package: "hdrhistogram-swift"),
            ],
            swiftSettings: swiftSettings),

        .testTarget(
            name: "SharedMemoryTests",
            dependencies: ["CLinux", "SharedMemory", "TestSupport", system, logging],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "UringTests", dependencies: ["Uring", "SharedMemory", "TestSupport", system],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "VirtqueueTests",
            dependencies: [
                "Virtqueue", "SharedMemory", "AllocationCounter", "StoreTrace", "TestSupport",
                system, containers,
            ],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "VhostUserTests",
            dependencies: [
                "VhostUser", "Virtqueue", "SharedMemory", "CSocket", "TestSupport", system,
                logging,
            ],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "SwiotlbPoolTests",
            dependencies: [
                "SwiotlbPool", "SharedMemory", "AllocationCounter", "TestSupport", containers,
            ],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "BlockBackendTests",
            dependencies: [
                "BlockBackend", "SwiotlbPool", "SharedMemory", "Uring", "Virtqueue",
                "AllocationCounter", "CLinux", "TestSupport", system, containers,
            ],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "NetBackendTests",
            dependencies: [
                "NetBackend", "SharedMemory", "Uring", "Virtqueue", "AllocationCounter",
                "TestSupport", system, logging, containers,
            ],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "GuestDriverTests",
            dependencies: [
                "GuestDriver", "BlockBackend", "NetBackend", "SwiotlbPool", "SharedMemory", "Uring",
                "Virtqueue", "AllocationCounter", "TestSupport", system, containers,
            ],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "CPoolModelsTests", dependencies: ["CPoolModels", "TestSupport"],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "perfbenchTests",
            dependencies: [
                "perfbench", "BlockBackend", "CommandSupport", "GuestDriver", "NetBackend",
                "SharedMemory", "SwiotlbPool", "TestSupport", "Uring", "Virtqueue", system,
                .product(name: "Histogram", package: "hdrhistogram-swift"),
            ],
            swiftSettings: swiftSettings),
        .testTarget(
            name: "bouncedTests",
            dependencies: [
                "bounced", "CLinux", "GuestDriver", "NetBackend", "SharedMemory", "SwiotlbPool",
                "TestSupport", "VhostUser", "Virtqueue", system,
            ],
            swiftSettings: swiftSettings),
        // Seeded random numbers, temporary files, threads and byte models.
        .target(
            name: "TestSupport", dependencies: ["Virtqueue", system], path: "Tests/TestSupport",
            swiftSettings: swiftSettings),
        // Counts calls of malloc and its kin in the test process.
        .target(name: "AllocationCounter", path: "Tests/AllocationCounter"),
        // Every state of a piece of memory that a crash could leave behind.
        .target(name: "StoreTrace", path: "Tests/StoreTrace"),
    ]
)
