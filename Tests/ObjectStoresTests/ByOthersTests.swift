import NebulaCore
import NebulaHTTP
import Testing

@testable import NebulaObjectStores

extension StoreTests {
  /// moto's S3: somebody else's idea of what S3 does, parts of at least 5 MiB included.
  @Suite struct OnMoto {
    static let server = Result { try PythonServer("moto_store.py") }
    let stand: Stand
    init() async throws { stand = try await Stand.fresh() }

    func store() throws -> ExternalStore {
      var settings = ExternalStoreSettings()
      (settings.aws.accessKeyID, settings.aws.secretAccessKey) = ("k", "s")
      settings.aws.endpoint = try Self.server.get().url("")
      return try ExternalStore(
        ExternalLocation("s3://bucket/p", property: ""), settings,
        context: stand.context(threshold: 6 << 20, part: 5 << 20))
    }

    @Test func everything() async throws {
      let store = try store()
      let large = try Crypto.randomBytes(11 << 20)
      func upload(_ key: String, _ body: [UInt8], sum: String = "1") -> ObjectUpload {
        ObjectUpload(
          key: key, body: .bytes(body), metadata: ["sum": sum], contentMD5: Crypto.md5(body), checksumMetadata: "sum")
      }
      for (key, body) in [("a/small é+&", Array("0123456789".utf8)), ("a/large", large), ("b", [])] {
        #expect(try await !store.put(upload(key, body)).wasThere)
        #expect(try await store.put(upload(key, body)).wasThere)
        #expect(try await failure { try await store.put(upload(key, body, sum: "2")) }.code == .objectsExists)
        #expect(try await store.read(key)?.bytes == body)
        #expect(try await store.head(key)?.size == body.count)
      }
      #expect(
        try await store.read("a/large", range: 5_000_000..<5_000_010)?.bytes == Array(large[5_000_000..<5_000_010]))
      #expect(try await store.listAll("").map(\.key) == ["a/large", "a/small é+&", "b"])
      #expect(try await store.listAll("", recursive: false).map(\.isFolder) == [true, false])
      let page = try await store.list("", recursive: true, continuation: nil, limit: 2)
      #expect(page.entries.count == 2)
      let rest = try await store.list("", recursive: true, continuation: page.next, limit: 2)
      #expect(rest.entries.map(\.key) == ["b"] && rest.next == nil)
      try await store.proveCreateOnly(at: "a/probe")
      for key in ["a/small é+&", "a/large", "b", "b"] { try await store.delete(key) }
      #expect(try await store.listAll("").isEmpty)
    }
  }
}

extension AzureTests {
  /// The Azure stand-in checks every signature, and signs in whoever may.
  @Suite struct Blobs {
    let lake: Lake
    init() async throws { lake = try await Lake() }

    func store(_ change: (inout AzureCredentialSettings) -> Void) throws -> ExternalStore {
      var settings = ExternalStoreSettings()
      settings.azure.authorityHost = lake.server.url("")
      settings.azure.podIdentityHost = lake.server.url("")
      settings.azureEndpoint = "http://127.0.0.1:\(lake.server.port("blob"))/devstoreaccount1"
      change(&settings.azure)
      return try ExternalStore(
        ExternalLocation("azure://devstoreaccount1.blob.core.windows.net/raw/p", property: ""), settings,
        context: lake.context)
    }

    @Test(arguments: ["shared key", "service principal", "managed identity"]) func everyWayIn(name: String) async throws
    {
      let store = try store {
        switch name {
        case "shared key": $0.sharedKey = Scripted.key
        case "service principal":
          $0.tenantID = "11111111-1111-1111-1111-111111111111"
          $0.clientID = "22222222-2222-2222-2222-222222222222"
          $0.clientSecret = "sandbox-secret"
        default: break
        }
      }
      #expect(store.credentialName == name)
      let large = try Crypto.randomBytes(1_500_000)
      for (key, body) in [("x/small", Array("0123456789".utf8)), ("x/y/large", large)] {
        let upload = ObjectUpload(key: key, body: .bytes(body), contentMD5: Crypto.md5(body))
        #expect(try await !store.put(upload).wasThere)
        #expect(try await store.put(upload).wasThere)
        #expect(try await store.read(key, range: 2..<7)?.bytes == Array(body[2..<7]))
      }
      // folders that the account's hierarchy has are no objects
      #expect(try await store.listAll("").map(\.key) == ["x/small", "x/y/large"])
      #expect(try await store.listAll("x", recursive: false).map(\.key) == ["x/small", "x/y"])
      try await lake.control("settings", ["list_page": 1])
      #expect(try await store.listAll("").map(\.key) == ["x/small", "x/y/large"])
      let etag = try await store.head("x/small")?.etag
      #expect(try await store.read("x/small", range: 0..<1, ifMatch: etag) != nil)
      #expect(
        try await failure { try await store.read("x/small", range: 0..<1, ifMatch: "\"0x1\"") }.code == .objectsChanged)
      for key in ["x/small", "x/y/large"] { try await store.delete(key) }
      #expect(try await store.listAll("").isEmpty)
    }
  }
}
