// swift-tools-version: 6.2
import PackageDescription

// The fuzzers, apart from the package that they test: nobody who depends on bounce sees them, and
// only scripts/fuzz knows the flags that they are built with.

let package = Package(
    name: "fuzz",
    dependencies: [
        .package(name: "bounce", path: ".."),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.0"),
    ],
    targets: [
        .executableTarget(
            name: "fuzz",
            dependencies: [
                .product(name: "BlockBackend", package: "bounce"),
                .product(name: "NetBackend", package: "bounce"),
                .product(name: "SharedMemory", package: "bounce"),
                .product(name: "Uring", package: "bounce"),
                .product(name: "VhostUser", package: "bounce"),
                .product(name: "Virtqueue", package: "bounce"),
                .product(name: "BasicContainers", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: [
                .strictMemorySafety(),
                .enableUpcomingFeature("ExistentialAny"),
                .enableUpcomingFeature("InternalImportsByDefault"),
                .enableUpcomingFeature("MemberImportVisibility"),
            ])
    ]
)
