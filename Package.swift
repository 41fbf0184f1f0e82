// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

/// A room of the house: a Swift target with its folder and its doors.
func room(_ name: String, _ path: String, _ doors: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: doors, path: "Sources/\(path)", swiftSettings: settings)
}
func tests(_ name: String, _ doors: [Target.Dependency] = [], fixtures: [String] = []) -> Target {
  .testTarget(name: name, dependencies: doors, path: "Tests/\(name)", exclude: fixtures, swiftSettings: settings)
}
func system(_ name: String, _ pkgConfig: String) -> Target {
  .systemLibrary(name: name, path: "Sources/C/\(name)", pkgConfig: pkgConfig)
}

let package = Package(
  name: "nebula-swift",
  products: [
    .executable(name: "nebula-swift", targets: ["nebula-swift"]),
    .library(name: "NebulaCore", targets: ["NebulaCore"]),
    .library(name: "NebulaFormats", targets: ["NebulaFormats"]),
    // For Benchmarks/, which measures the rooms' own code.
    .library(name: "NebulaHTTP", targets: ["NebulaHTTP"]),
    .library(name: "FileConnector", targets: ["FileConnector"]),
    .library(name: "MongoConnector", targets: ["MongoConnector"]),
    .library(name: "SnowflakeConnector", targets: ["SnowflakeConnector"]),
  ],
  targets: [
    system("CCurl", "libcurl"),
    system("COpenSSL", "openssl"),
    system("CMongoc", "libmongoc-1.0"),
    system("CZstd", "libzstd"),
    system("CIsal", "libisal"),
    system("CSnappy", "snappy"),
    system("CZlib", "zlib"),
    system("CYaml", "yaml-0.1"),
    system("CSQLite", "sqlite3"),
    .target(name: "CMongocStart", path: "Sources/C/CMongocStart"),
    .target(name: "CProcessStart", path: "Sources/C/CProcessStart"),
    .target(name: "CToml", path: "Sources/C/CToml"),
    .target(
      name: "CNebulaKernels", path: "Sources/C/CNebulaKernels",
      cSettings: [.define("NDEBUG", .when(configuration: .release))]),

    room("NebulaCore", "Core"),
    room("NebulaFormats", "Formats", ["NebulaCore", "CNebulaKernels", "CZstd", "CIsal", "CZlib", "CSnappy"]),
    room("NebulaHTTP", "HTTP", ["NebulaCore", "CCurl", "COpenSSL"]),
    room("NebulaObjectStores", "ObjectStores", ["NebulaCore", "NebulaHTTP"]),
    room("NebulaRuntime", "Runtime", ["NebulaCore", "CSQLite", "CYaml"]),
    room("FileConnector", "Connectors/File", ["NebulaCore", "NebulaFormats", "NebulaHTTP", "NebulaObjectStores"]),
    room("ADLSConnector", "Connectors/ADLS", ["NebulaCore", "NebulaFormats", "NebulaHTTP", "NebulaObjectStores"]),
    room("MongoConnector", "Connectors/Mongo", ["NebulaCore", "NebulaFormats", "CMongoc", "CMongocStart"]),
    room(
      "SnowflakeConnector", "Connectors/Snowflake",
      ["NebulaCore", "NebulaFormats", "NebulaHTTP", "NebulaObjectStores", "CToml"]),
    .executableTarget(
      name: "nebula-swift",
      dependencies: [
        "NebulaCore", "NebulaFormats", "NebulaHTTP", "NebulaObjectStores", "NebulaRuntime", "ADLSConnector",
        "FileConnector", "MongoConnector", "SnowflakeConnector", "CProcessStart",
      ],
      path: "Sources/CLI", swiftSettings: settings),

    // The door through which Python referees drive NebulaFormats; no product.
    .executableTarget(
      name: "nebula-formats-check", dependencies: ["NebulaCore", "NebulaFormats"], path: "Tests/FormatsCheck",
      swiftSettings: settings),
    tests("ArchitectureTests"),
    tests("CoreTests", ["NebulaCore"]),
    tests("FormatsTests", ["NebulaCore", "NebulaFormats", "CNebulaKernels"]),
    tests("HTTPTests", ["NebulaCore", "NebulaHTTP"], fixtures: ["Fixtures"]),
    tests("ObjectStoresTests", ["NebulaCore", "NebulaHTTP", "NebulaObjectStores"], fixtures: ["Fixtures"]),
    tests("RuntimeTests", ["NebulaCore", "NebulaRuntime"], fixtures: ["Fixtures"]),
    tests("FileConnectorTests", ["NebulaCore", "NebulaFormats", "FileConnector"]),
    tests(
      "ADLSConnectorTests",
      ["NebulaCore", "NebulaFormats", "NebulaHTTP", "NebulaObjectStores", "NebulaRuntime", "ADLSConnector"]),
    tests("MongoConnectorTests", ["NebulaCore", "NebulaFormats", "MongoConnector"]),
    tests(
      "SnowflakeConnectorTests",
      ["NebulaCore", "NebulaFormats", "NebulaHTTP", "NebulaObjectStores", "SnowflakeConnector"], fixtures: ["Fixtures"]),
  ]
)
