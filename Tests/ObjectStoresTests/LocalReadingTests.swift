import Foundation
import NebulaCore
import NebulaHTTP
import NebulaObjectStores
import Testing

@Suite final class LocalReadingTests {
  let root: String
  let store: LocalObjectStore
  init() throws {
    root = FileManager.default.temporaryDirectory.appendingPathComponent("nebula-\(UUID())").path
    try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
    store = LocalObjectStore(root: root)
  }
  deinit { try? FileManager.default.removeItem(atPath: root) }

  func put(_ key: String, _ text: String) async throws {
    _ = try await store.put(ObjectUpload(key: key, body: bytes(text), createOnly: false))
  }

  @Test func reading() async throws {
    try await put("a/b", "0123456789")
    let all = try #require(try await store.read("a/b"))
    #expect(all.bytes == Array("0123456789".utf8) && all.object.size == 10)
    #expect(try await store.read("a/b", range: 2..<4)?.bytes == Array("23".utf8))
    #expect(try await store.read("a/b", range: 8..<99)?.bytes == Array("89".utf8))
    #expect(try await store.read("a/b", range: 10..<11)?.bytes == [])
    #expect(try await store.read("a/none") == nil)
    #expect(try await store.read("none/none") == nil)
    #expect(try await store.read("a/b", range: nil, ifMatch: all.object.etag)?.bytes == all.bytes)
    try await put("a/b", "another")
    #expect(
      try await failure { try await store.read("a/b", range: nil, ifMatch: all.object.etag) }.code == .objectsChanged)
    #expect(try await failure { try await store.read("a") }.code == .objectsFile)
  }

  @Test func renaming() async throws {
    try await put("a", "A")
    try await put("b", "B")
    #expect(try await store.rename(ObjectRename("a", to: "b")) == .targetExists)
    let etag = try #require(try await store.head("a")?.etag)
    #expect(try await store.rename(ObjectRename("a", to: "x/y", sourceETag: etag)) == .renamed)
    #expect(try await store.rename(ObjectRename("a", to: "x/y", sourceETag: etag)) == .renamed)  // again
    #expect(
      try await failure { try await store.rename(ObjectRename("a", to: "b", sourceETag: etag)) }.code
        == .objectsNotFound)
    #expect(
      try await failure { try await store.rename(ObjectRename("b", to: "c", sourceETag: etag)) }.code == .objectsChanged
    )
    #expect(try await store.rename(ObjectRename("x/y", to: "b", replaces: true)) == .renamed)
    #expect(try await store.read("b")?.bytes == Array("A".utf8))
  }

  /// A death between the two steps of a rename: both names are the one file.
  @Test func aRenameThatWasHalfDone() async throws {
    try await put("a", "A")
    try FileManager.default.linkItem(atPath: "\(root)/a", toPath: "\(root)/b")
    #expect(try await store.rename(ObjectRename("a", to: "b")) == .renamed)
    #expect(try await store.head("a") == nil)
    #expect(try await store.read("b")?.bytes == Array("A".utf8))
  }

  @Test func listing() async throws {
    for key in ["x/a/1", "x/a/2", "x/b", "y"] { try await put(key, key) }
    try FileManager.default.createSymbolicLink(atPath: "\(root)/link", withDestinationPath: "/etc")
    try Data().write(to: URL(fileURLWithPath: "\(root)/.nebula-tmp-1"))
    #expect(try await store.listAll("").map(\.key) == ["x", "x/a", "x/a/1", "x/a/2", "x/b", "y"])
    let x = try await store.listAll("x", recursive: false)
    #expect(x.map(\.key) == ["x/a", "x/b"] && x.map(\.isFolder) == [true, false] && x[1].size == 3)
    var keys: [String] = []
    try await store.forEachPage(of: "", limit: 4) { keys += $0.map(\.key) }
    #expect(keys.count == 6)
    #expect(try await store.listAll("none").isEmpty)
    #expect(try await failure { try await store.listAll("../x") }.code == .objectsBadName)
  }
}
