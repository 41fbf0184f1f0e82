import NebulaCore
import NebulaHTTP
import NebulaObjectStores
import Testing

/// A store of a cloud that is read and listed.
struct ReadableDialect: Sendable, CustomTestStringConvertible {
  let testDescription: String
  let path: String
  let make: @Sendable (Stand) throws -> any PrefixListableStore & ReadableObjectStore

  static let all = [
    ReadableDialect(testDescription: "S3", path: "/bucket/", make: { $0.s3() }),
    ReadableDialect(testDescription: "S3 over TLS", path: "/bucket/", make: { $0.s3(secure: true) }),
    ReadableDialect(testDescription: "GCS", path: "/gcs/bucket/", make: { $0.gcsBucket() }),
    ReadableDialect(testDescription: "Azure", path: "/azure/container/", make: { $0.azure() }),
    ReadableDialect(
      testDescription: "in a folder of S3", path: "/bucket/x/y/", make: { try $0.external("s3://bucket/x/y/") }),
    ReadableDialect(
      testDescription: "in a folder of GCS", path: "/gcs/bucket/x/", make: { try $0.external("gs://bucket/x") }),
    ReadableDialect(
      testDescription: "in a folder of Azure", path: "/azure/container/x/",
      make: { try $0.external("azure://acct.blob.core.windows.net/container/x") }),
  ]
}

extension StoreTests {
  @Suite struct Reading {
    let stand: Stand
    init() async throws { stand = try await Stand.fresh() }

    func lay(_ keys: [String], _ dialect: ReadableDialect) async throws {
      for key in keys {
        try await stand.control(["put": ["path": .string(dialect.path + key), "body": .string("content of \(key)")]])
      }
    }

    @Test(arguments: ReadableDialect.all, ["plain", "year=2025/a b+c&d(é)~'%2F"])
    func ranges(dialect: ReadableDialect, key: String) async throws {
      let store = try dialect.make(stand)
      let put = try await store.put(
        ObjectUpload(key: key, body: bytes("0123456789"), metadata: ["sum": "1"], checksumMetadata: "sum"))
      let all = try #require(try await store.read(key))
      #expect(all.bytes == Array("0123456789".utf8) && all.object.size == 10)
      #expect(all.object.key == key)
      #expect(dialect.path.hasPrefix("/gcs") || all.object.metadata["sum"] == "1")
      let piece = try #require(try await store.read(key, range: 2..<4))
      #expect(piece.bytes == Array("23".utf8) && piece.object.size == 10)
      #expect(try await store.read(key, range: 8..<99)?.bytes == Array("89".utf8))
      #expect(try await store.read(key, range: 10..<12)?.bytes == [])
      #expect(try await store.read(key, range: 3..<3)?.bytes == [])
      #expect(try await store.read("none") == nil)
      #expect(try await store.read("none", range: 0..<1) == nil)
      #expect(try await store.read("none", range: 0..<0) == nil)
      #expect(try await store.read(key, range: 0..<1, ifMatch: all.object.etag)?.bytes == Array("0".utf8))
      #expect(try await failure { try await store.read(key, range: 0..<1, ifMatch: "1") }.code == .objectsChanged)
      #expect(try await failure { try await store.read(key, range: 0..<0, ifMatch: "1") }.code == .objectsChanged)
      #expect(all.object.etag == put.etag && all.object.etag != nil)
    }

    /// What is read may look like an error, or be no text at all.
    @Test(arguments: ReadableDialect.all) func anyBytes(dialect: ReadableDialect) async throws {
      let store = try dialect.make(stand)
      let odd = Array("<Error><Code>ExpiredToken</Code></Error>".utf8) + [0, 255, 13, 10]
      _ = try await store.put(ObjectUpload(key: "odd", body: .bytes(odd), contentEncoding: "gzip"))
      #expect(try await store.read("odd")?.bytes == odd)
    }

    static let names = ["a", "a/1", "a/2 +&<>\"'é", "a/b/c/3", "ab/4", "b/5", "z"]

    @Test(arguments: ReadableDialect.all, [1, 2, 1000]) func listing(dialect: ReadableDialect, page: Int64) async throws
    {
      let store = try dialect.make(stand)
      try await lay(Self.names, dialect)
      try await stand.control(["page": .integer(page)])
      #expect(try await store.listAll("").map(\.key) == Self.names)
      let a = try await store.listAll("a")
      #expect(a.map(\.key) == ["a/1", "a/2 +&<>\"'é", "a/b/c/3"] && a[0].size == "content of a/1".utf8.count)
      #expect(a.allSatisfy { $0.etag != nil && !$0.isFolder })
      let top = try await store.listAll("", recursive: false)
      #expect(top.filter { !$0.isFolder }.map(\.key) == ["a", "z"])
      #expect(top.filter(\.isFolder).map(\.key) == ["a", "ab", "b"])
      #expect(try await store.listAll("a", recursive: false).map(\.key) == ["a/1", "a/2 +&<>\"'é", "a/b"])
      #expect(try await store.listAll("none").isEmpty)
      #expect(try await store.listAll(prefix: "a/2").map(\.key) == ["a/2 +&<>\"'é"])
      #expect(try await store.listAll(prefix: "a").map(\.key) == Array(Self.names.prefix(5)))
      let limited = try await store.list("", recursive: true, continuation: nil, limit: 3)
      #expect(limited.entries.count == min(3, Int(page)) && limited.next != nil)
    }

    @Test(arguments: ReadableDialect.all) func whatFailsIsAskedAgain(dialect: ReadableDialect) async throws {
      let store = try dialect.make(stand)
      try await lay(["a/1"], dialect)
      try await stand.fail("GET /", n: 2, status: 503)
      #expect(try await store.listAll("a").count == 1)
      try await stand.fail("GET", drop: true)
      #expect(try await store.read("a/1", range: 0..<7)?.bytes == Array("content".utf8))
    }
  }
}
