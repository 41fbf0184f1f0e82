// swift-tools-version: 6.2
import PackageDescription

// Own package, so that what only the benchmarks need (simdjson, for the limit) never reaches the program.
let package = Package(
  name: "nebula-bench",
  dependencies: [.package(name: "nebula-swift", path: "..")],
  targets: [
    .target(
      name: "CLimits", path: "Sources/CLimits",
      linkerSettings: [.linkedLibrary("simdjson"), .linkedLibrary("zstd"), .linkedLibrary("isal")]),
    .executableTarget(
      name: "nebula-bench",
      dependencies: [
        "CLimits", .product(name: "NebulaCore", package: "nebula-swift"),
        .product(name: "NebulaFormats", package: "nebula-swift"),
        .product(name: "NebulaHTTP", package: "nebula-swift"),
        .product(name: "FileConnector", package: "nebula-swift"),
        .product(name: "MongoConnector", package: "nebula-swift"),
        .product(name: "SnowflakeConnector", package: "nebula-swift"),
      ],
      path: "Sources/NebulaBench",
      swiftSettings: [.swiftLanguageMode(.v6), .enableUpcomingFeature("MemberImportVisibility")]),
  ],
  cxxLanguageStandard: .cxx17
)
