import Foundation
import Testing

/// The doors of docs/design.md, read from the sources themselves.
@Suite struct ImportsTests {
  static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  /// A room: its target, its folder under Sources, and the rooms and C modules that it may import.
  struct Room: Sendable, CustomTestStringConvertible {
    let target: String
    let folder: String
    let doors: Set<String>
    var testDescription: String { target }
  }

  static let connectorDoors: Set<String> = ["NebulaCore", "NebulaFormats", "NebulaHTTP", "NebulaObjectStores"]
  static let rooms: [Room] = [
    Room(target: "NebulaCore", folder: "Core", doors: []),
    Room(
      target: "NebulaFormats", folder: "Formats",
      doors: ["NebulaCore", "CNebulaKernels", "CZstd", "CIsal", "CZlib", "CSnappy"]),
    Room(target: "NebulaHTTP", folder: "HTTP", doors: ["NebulaCore", "CCurl", "COpenSSL"]),
    Room(target: "NebulaObjectStores", folder: "ObjectStores", doors: ["NebulaCore", "NebulaHTTP"]),
    Room(target: "NebulaRuntime", folder: "Runtime", doors: ["NebulaCore", "CSQLite", "CYaml"]),
    Room(target: "ADLSConnector", folder: "Connectors/ADLS", doors: connectorDoors),
    Room(target: "FileConnector", folder: "Connectors/File", doors: connectorDoors),
    Room(
      target: "MongoConnector", folder: "Connectors/Mongo", doors: connectorDoors.union(["CMongoc", "CMongocStart"])),
    Room(target: "SnowflakeConnector", folder: "Connectors/Snowflake", doors: connectorDoors.union(["CToml"])),
    Room(
      target: "nebula-swift", folder: "CLI",
      doors: connectorDoors.union([
        "NebulaRuntime", "ADLSConnector", "FileConnector", "MongoConnector", "SnowflakeConnector",
        "CProcessStart",
      ])),
  ]
  /// What comes with the toolchain. Foundation is not among it: it is for tests only.
  static let toolchain: Set<String> = ["Swift", "Glibc", "Synchronization", "Dispatch", "RegexBuilder"]
  /// The rooms that do without FoundationEssentials too.
  static let bare: Set<String> = ["NebulaCore", "NebulaFormats"]

  @Test(arguments: rooms) func aRoomImportsOnlyThroughItsDoors(_ room: Room) throws {
    var allowed = room.doors.union(Self.toolchain)
    if !Self.bare.contains(room.target) { allowed.insert("FoundationEssentials") }
    for (file, line, module) in try Self.imports(under: room.folder) {
      #expect(allowed.contains(module), "\(file):\(line): \(room.target) has no door to \(module)")
    }
  }

  @Test(arguments: rooms) func noRoomIsEmpty(_ room: Room) throws {
    let files = try Self.files(under: room.folder)
    #expect(!files.isEmpty, "Sources/\(room.folder) has no file")
  }

  @Test func everyTargetHasALineAndEveryLineATarget() throws {
    let declared = try Self.package().matches(of: /room\(\s*"([^"]+)",\s*"([^"]+)"/).map { "\($0.1) \($0.2)" }
    let lines = Self.rooms.filter { $0.target != "nebula-swift" }.map { "\($0.target) \($0.folder)" }
    #expect(Set(declared) == Set(lines))
    let folders = try Self.package().matches(of: /path: "Sources\/([^"\\]+)"/).map { String($0.1) }
    #expect(
      Set(folders).subtracting(Set(Self.rooms.map(\.folder))) == [
        "C/CNebulaKernels", "C/CMongocStart", "C/CProcessStart", "C/CToml",
      ])
  }

  @Test func thePackageDeclaresOnlyTheseDoors() throws {
    var seen = 0
    for match in try Self.package().matches(of: /room\(\s*"([^"]+)",\s*"[^"]+"(?:,\s*\[([^\]]*)\])?/) {
      guard let room = Self.rooms.first(where: { $0.target == match.1 }) else { continue }
      seen += 1
      for door in (match.2 ?? "").matches(of: /"([^"]+)"/).map({ String($0.1) }) {
        #expect(room.doors.contains(door), "Package.swift gives \(room.target) a door to \(door)")
      }
    }
    #expect(seen == Self.rooms.count - 1)
  }

  @Test func everyFolderUnderSourcesBelongsToARoom() throws {
    let all = try Self.files(under: "").map { String($0.path.dropFirst(Self.root.path.count + "/Sources/".count)) }
    #expect(all.count > 50)
    for path in all {
      #expect(Self.rooms.contains { path.hasPrefix($0.folder + "/") }, "Sources/\(path) is in no room")
    }
  }

  @Test func everyCModuleHasOneRoom() throws {
    let modules = try FileManager.default.contentsOfDirectory(atPath: Self.root.appending(path: "Sources/C").path)
    #expect(modules.count >= 9)
    let imported = try Self.rooms.map { room in (room, Set(try Self.imports(under: room.folder).map(\.module))) }
    for module in modules {
      let users = imported.filter { $0.1.contains(module) }.map(\.0)
      #expect(users.count == 1, "\(module) is imported by \(users.map(\.target))")
    }
  }

  @Test(arguments: [
    ("import A", ["A"]), ("  public import A // why", ["A"]), ("@testable import A", ["A"]),
    ("@preconcurrency internal import A", ["A"]), ("import struct A.B", ["A"]), ("import A.B", ["A"]),
    ("@_spi(Some) @_exported public import A", ["A"]), ("import A; import B", ["A", "B"]), ("// import A", []),
    ("let important = 1", []), ("  ///   import A", []), ("importA", []), ("import\tA", ["A"]),
    ("@_implementationOnly import class A.C", ["A"]), ("/* why */ import A", ["A"]), ("import `A`", ["A"]),
  ]) func theReaderSeesEveryFormOfImport(_ line: String, _ modules: [String]) {
    #expect(Self.modules(in: line) == modules)
  }

  // MARK: - Reading

  static func package() throws -> String {
    try String(contentsOf: root.appending(path: "Package.swift"), encoding: .utf8)
  }

  static func files(under folder: String) throws -> [URL] {
    let sources = root.appending(path: folder.isEmpty ? "Sources" : "Sources/\(folder)")
    let all = try #require(FileManager.default.enumerator(at: sources, includingPropertiesForKeys: nil))
    return all.compactMap { $0 as? URL }.filter { $0.pathExtension == "swift" }
  }

  static func imports(under folder: String) throws -> [(file: String, line: Int, module: String)] {
    try files(under: folder).flatMap { file in
      let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n", omittingEmptySubsequences: false)
      return lines.enumerated().flatMap { number, line in
        // The pattern is slow, and most lines can't match it.
        line.contains("import") ? modules(in: String(line)).map { (file.lastPathComponent, number + 1, $0) } : []
      }
    }
  }

  static func modules(in line: String) -> [String] {
    let code = line.replacing(/\/\*.*?\*\//, with: "").replacing(/\/\/.*/, with: "")
    return code.split(separator: ";").compactMap { statement in
      let form =
        /\s*(?:@\w+(?:\(\w+\))?\s+)*(?:(?:public|package|internal|fileprivate|private)\s+)?import\s+(?:(?:struct|class|enum|protocol|func|typealias|var|let|actor)\s+)?`?(\w+)`?.*/
      return statement.wholeMatch(of: form).map { String($0.1) }
    }
  }
}
