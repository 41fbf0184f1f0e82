import Foundation
import NebulaCore
import NebulaHTTP
import NebulaObjectStores
import Testing

@Suite final class LocalTests {
  let root: String
  let store: LocalObjectStore
  init() throws {
    root = FileManager.default.temporaryDirectory.appendingPathComponent("nebula-\(UUID())").path
    try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
    store = LocalObjectStore(root: root)
  }
  deinit { try? FileManager.default.removeItem(atPath: root) }

  func content(_ key: String) throws -> String { try String(contentsOfFile: "\(root)/\(key)", encoding: .utf8) }
  func files() throws -> [String] { try FileManager.default.subpathsOfDirectory(atPath: root).sorted() }
  func mode(_ path: String) throws -> Int {
    try #require(try FileManager.default.attributesOfItem(atPath: "\(root)/\(path)")[.posixPermissions] as? Int)
  }

  @Test func putHeadDelete() async throws {
    let put = try await store.put(ObjectUpload(key: "a/b é/c.jsonl", body: bytes("content")))
    #expect(put.size == 7 && !put.wasThere)
    #expect(try content("a/b é/c.jsonl") == "content")
    #expect(try mode("a/b é/c.jsonl") == 0o600 && mode("a") == 0o700)
    #expect(try files().count == 3)  // nothing temporary is left
    #expect(try await store.head("a/b é/c.jsonl")?.size == 7)
    #expect(try await store.head("a/none") == nil)
    #expect(try await store.head("none/none") == nil)
    try await store.delete("a/b é/c.jsonl")
    try await store.delete("a/b é/c.jsonl")
    try await store.delete("none/none")
    #expect(try await store.head("a/b é/c.jsonl") == nil)
  }

  @Test func allBodies() async throws {
    let all = try Crypto.randomBytes(3_000_000)
    try Data(all).write(to: URL(fileURLWithPath: root + "/source"))
    let bodies: [HTTPBody] = [
      .bytes(all), .shared(SharedBytes(copying: all)), .file(path: root + "/source", offset: 0, length: all.count),
    ]
    for (index, body) in bodies.enumerated() {
      _ = try await store.put(ObjectUpload(key: "\(index)", body: body))
      #expect(try Array(Data(contentsOf: URL(fileURLWithPath: "\(root)/\(index)"))) == all)
    }
    _ = try await store.put(ObjectUpload(key: "piece", body: .file(path: root + "/source", offset: 7, length: 9)))
    #expect(try Array(Data(contentsOf: URL(fileURLWithPath: "\(root)/piece"))) == Array(all[7..<16]))
    _ = try await store.put(ObjectUpload(key: "empty", body: .none))
    #expect(try content("empty") == "")
    let short = ObjectUpload(key: "short", body: .file(path: root + "/source", offset: 0, length: all.count + 1))
    #expect(try await failure { try await store.put(short) }.code == .objectsFile)
    #expect(try files() == ["0", "1", "2", "empty", "piece", "source"])
  }

  @Test func createOnlyNeverReplaces() async throws {
    _ = try await store.put(ObjectUpload(key: "once", body: bytes("first")))
    #expect(try await store.put(ObjectUpload(key: "once", body: bytes("first"))).wasThere)
    #expect(
      try await failure { try await store.put(ObjectUpload(key: "once", body: bytes("FIRST"))) }.code == .objectsExists)
    #expect(try content("once") == "first")
    _ = try await store.put(ObjectUpload(key: "once", body: bytes("second"), createOnly: false))
    #expect(try content("once") == "second")
    #expect(try files() == ["once"])
  }

  @Test func oneOfManyWins() async throws {
    let stores = (0..<8).map { _ in LocalObjectStore(root: root) }
    let winners = await withTaskGroup(of: Bool.self) { group in
      for (index, store) in stores.enumerated() {
        group.addTask {
          (try? await store.put(ObjectUpload(key: "x/y", body: bytes("writer \(index)")))) != nil
        }
      }
      return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
    }
    #expect(winners == 1)
    #expect(try files() == ["x", "x/y"])
  }

  @Test(arguments: [
    "", "/", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", "./a", "a/.", "a\0b", String(repeating: "x", count: 256),
  ]) func keysThatLeadElsewhere(key: String) async throws {
    #expect(try await failure { try await store.put(ObjectUpload(key: key, body: .none)) }.code == .objectsBadName)
    #expect(try await failure { try await store.head(key) }.code == .objectsBadName)
    #expect(try await failure { try await store.delete(key) }.code == .objectsBadName)
  }

  @Test func linksAreNotFollowed() async throws {
    try FileManager.default.createSymbolicLink(atPath: root + "/out", withDestinationPath: "/tmp")
    #expect(try await failure { try await store.put(ObjectUpload(key: "out/x", body: .none)) }.code == .objectsFile)
    try FileManager.default.createSymbolicLink(atPath: root + "/link", withDestinationPath: "/etc/hostname")
    #expect(try await failure { try await store.head("link") }.code == .objectsFile)
    #expect(try await failure { try await store.put(ObjectUpload(key: "link", body: .none)) }.code == .objectsFile)
  }

  @Test func aRootThatIsNotThere() async throws {
    let store = LocalObjectStore(root: root + "/none")
    #expect(try await failure { try await store.put(ObjectUpload(key: "k", body: .none)) }.code == .objectsFile)
    #expect(try await failure { try await store.head("k") }.code == .objectsFile)
  }
}
