import NebulaCore
import NebulaHTTP
import Testing

@testable import NebulaObjectStores

/// What addresses of buckets and containers say.
@Suite struct ExternalLocationTests {
  func location(_ text: String) throws -> ExternalLocation {
    try ExternalLocation(text, property: "external_stage_url")
  }

  @Test(arguments: [
    ("s3://bucket", "s3://bucket/", ""),
    ("s3://my.bucket-1/a/b=1/c_~.d/", "s3://my.bucket-1/a/b=1/c_~.d/", "a/b=1/c_~.d"),
    ("S3GOV://bucket/x", "s3gov://bucket/x/", "x"), ("s3china://bucket/x", "s3china://bucket/x/", "x"),
    ("s3compat://bucket/x", "s3compat://bucket/x/", "x"), ("gcs://my_bucket/x", "gcs://my_bucket/x/", "x"),
    ("gs://bucket/x/", "gcs://bucket/x/", "x"),
    ("azure://Acct.blob.core.windows.net/con-1/x/y", "azure://acct.blob.core.windows.net/con-1/x/y/", "x/y"),
    ("azure://acct.blob.core.usgovcloudapi.net/con", "azure://acct.blob.core.usgovcloudapi.net/con/", ""),
  ]) func good(text: String, url: String, prefix: String) throws {
    let found = try location(text)
    #expect(found.url == url && found.prefix == prefix)
    #expect(try location(found.url) == found)
  }

  @Test(arguments: [
    "", "bucket/prefix", "http://bucket/x", "s3://", "s3:///x", "s3://bucket//x", "s3://bucket/../x", "s3://bucket/./x",
    "s3://bucket/x?sig=SECRET", "s3://bucket/x#SECRET", "s3://user:SECRET@bucket/x", "s3://Bucket/x", "s3://b",
    "s3://bu_cket/x",
    "s3://-bucket/x", "s3://bucket/it's", "s3://bucket/a b", "s3://bucket/a\\b", "s3://bucket/é", "s3://bucket/a%20b",
    "gcs://BUCKET/x", "azure://acct.blob.core.windows.net", "azure://acct.blob.core.windows.net/", "azure://acct/con/x",
    "azure://acct.dfs.core.windows.net/con", "azure://acct.blob.core.windows.net/Con_1",
    "azure://a_c.blob.core.windows.net/con",
    "azure://acct.blob.core.windows.net/con?sv=1&sig=SECRET", "azure://.blob.core.windows.net/con", "s3://bucket\n/x",
  ]) func bad(text: String) throws {
    let error = #expect(throws: NebulaError.self) { try location(text) }
    #expect(error?.place?.path == "external_stage_url" && error?.exit == .configuration)
    #expect(error?.description.contains("SECRET") == false)
  }
}

extension StoreTests {
  /// Whole objects and objects in parts, written by our stores, read by the clouds' own clients.
  @Suite struct ReadByOthers {
    let stand: Stand
    init() async throws { stand = try await Stand.fresh() }

    @Test(arguments: [
      ("S3", "s3://bucket/a/b"), ("GCS", "gcs://bucket/a/b"),
      ("AZURE", "azure://acct.blob.core.windows.net/container/a/b"),
    ]) func everything(kind: String, url: String) async throws {
      let store = try stand.external(url)
      var expected: [String: String] = [:]
      for (key, size) in [("empty", 0), ("small", 10), ("x=1/y z+é&(1)", 999), ("large", 2_345_678)] {
        let body = try Crypto.randomBytes(size)
        let digest = Crypto.hex(Crypto.sha256(body))
        let upload = ObjectUpload(
          key: key, body: .bytes(body), metadata: ["nebulasha256": digest], contentMD5: Crypto.md5(body),
          checksumMetadata: "nebulasha256")
        #expect(try await store.put(upload).key == key)
        #expect(try await store.put(upload).wasThere)
        expected["a/b/" + key] = "\(size) \(digest) \(digest)"
      }
      try await stand.control(["put": ["path": "/bucket/other", "body": "x"]])
      let read = try PythonHelper.ask(
        "store_reader.py", ["store": .string(kind), "port": .integer(Int64(stand.server.port())), "prefix": "a/"])
      let found = (read.array ?? []).map { entry in
        let metadata = entry["metadata"]?["nebulasha256"]?.string ?? ""
        return (
          entry["key"]?.string ?? "", "\(entry["size"]?.integer ?? -1) \(entry["sha256"]?.string ?? "") \(metadata)"
        )
      }
      #expect(Dictionary(found) { $1 } == expected)
      #expect(Set(try await store.listAll("").map { "a/b/" + $0.key }) == Set(expected.keys))
    }

    @Test(arguments: ["s3://bucket/a/b", "gcs://bucket/a/b", "azure://acct.blob.core.windows.net/container/a/b"])
    func theConditionIsProven(url: String) async throws {
      let store = try stand.external(url)
      try await store.proveCreateOnly(at: "x/.nebula-probe-1")
      #expect(try await store.listAll("").isEmpty)
      if url.hasPrefix("s3") {
        try await stand.control(["lenient": true])
        let error = try await failure { try await store.proveCreateOnly(at: "x/.nebula-probe-1") }
        #expect(error.code == .objectsNotSupported)
        #expect(try await store.listAll("").isEmpty)
      }
    }
  }
}
