import Foundation
import NebulaCore
import NebulaHTTP
import NebulaObjectStores
import Synchronization
import Testing

extension StoreTests {
  @Suite struct Common {
    let stand: Stand
    init() async throws { stand = try await Stand.fresh() }

    @Test(arguments: Dialect.all + [.json], ["plain", "shop=a b/year=2025/x+y&z(é)~'%2F.jsonl", "a/../b/./c"])
    func putHeadDelete(dialect: Dialect, key: String) async throws {
      let store = dialect.make(stand)
      let content = "content of \(key)"
      let digest = Crypto.base64(Crypto.sha256(content))
      let upload = ObjectUpload(
        key: key, body: bytes(content), metadata: ["sfcdigest": digest, "matdesc": #"{"a":"1"}"#, "two": "a  b"],
        contentType: "text/x", contentEncoding: "gzip", contentMD5: Crypto.md5(Array(content.utf8)))
      let made = try await store.put(upload)
      #expect(made.key == key && made.size == content.utf8.count && !made.wasThere)
      let lies = try await stand.objects()[dialect.path + key]
      #expect(lies?["sha256"]?.string == Crypto.hex(Crypto.sha256(content)))
      #expect(lies?[dialect.metadataPrefix + "sfcdigest"]?.string == digest)
      #expect(lies?["content-type"]?.string == "text/x" || lies?["x-ms-blob-content-type"]?.string == "text/x")
      #expect(lies?["content-encoding"]?.string == "gzip" || lies?["x-ms-blob-content-encoding"]?.string == "gzip")
      let found = try #require(try await store.head(key))
      #expect(found.size == made.size && found.metadata == upload.metadata)
      #expect(found.contentMD5 == upload.contentMD5)
      try await store.delete(key)
      #expect(try await store.head(key) == nil)
      try await store.delete(key)
    }

    @Test(arguments: Dialect.all + [.json]) func emptyObjects(dialect: Dialect) async throws {
      let store = dialect.make(stand)
      #expect(try await store.put(ObjectUpload(key: "empty", body: .none)).size == 0)
      #expect(try await store.head("empty")?.size == 0)
    }

    @Test(arguments: Dialect.all + [.json]) func createOnlyNeverReplaces(dialect: Dialect) async throws {
      let store = dialect.make(stand)
      func upload(_ text: String, checksum: String? = nil, createOnly: Bool = true) -> ObjectUpload {
        ObjectUpload(
          key: "once", body: bytes(text), metadata: checksum.map { ["sum": $0] } ?? [:], createOnly: createOnly,
          checksumMetadata: checksum == nil ? nil : "sum")
      }
      _ = try await store.put(upload("first", checksum: "1"))
      #expect(try await store.put(upload("first", checksum: "1")).wasThere)
      #expect(try await failure { try await store.put(upload("first", checksum: "2")) }.code == .objectsExists)
      #expect(try await failure { try await store.put(upload("other!", checksum: "1")) }.code == .objectsExists)
      #expect(try await failure { try await store.put(upload("FIRST")) }.code == .objectsExists)  // nothing proves it
      #expect(try await stand.objects()[dialect.path + "once"]?["sha256"]?.string == Crypto.hex(Crypto.sha256("first")))
      _ = try await store.put(upload("second", createOnly: false))
      #expect(
        try await stand.objects()[dialect.path + "once"]?["sha256"]?.string == Crypto.hex(Crypto.sha256("second")))
    }

    /// The object was written and the answer lost: the second attempt finds it and knows it for ours.
    @Test(arguments: Dialect.all, [true, false]) func lostAnswers(dialect: Dialect, drop: Bool) async throws {
      let store = dialect.make(stand)
      try await stand.fail("PUT \(dialect.path)lost", after: true, drop: drop)
      let put = try await store.put(
        ObjectUpload(key: "lost", body: bytes("x"), metadata: ["sum": "1"], checksumMetadata: "sum"))
      #expect(put.wasThere)
      let requests = try await stand.log().map { $0.prefix(4) }
      #expect(requests.filter { $0 == "PUT " }.count == 2 && requests.last == "HEAD")
    }

    @Test(arguments: Dialect.all) func busyServersAreAskedAgain(dialect: Dialect) async throws {
      let store = dialect.make(stand)
      try await stand.fail("PUT", n: 3, status: 503, code: "ServerBusy", headers: ["Retry-After": "7"])
      _ = try await store.put(ObjectUpload(key: "busy", body: bytes("x")))
      let waits = stand.waits.withLock { $0 }
      #expect(waits.count == 3 && waits.allSatisfy { $0 >= .seconds(7) })
      try await stand.fail("PUT", n: 9, status: 500)
      let error = try await failure { try await store.put(ObjectUpload(key: "broken", body: bytes("x"))) }
      #expect(error.code == .objectsUnavailable && error.isRetryable)
      #expect(try await stand.log().filter { $0.contains("broken") }.count == 4)
    }

    @Test(arguments: Dialect.all) func expiredCredentialsAreToldAtOnce(dialect: Dialect) async throws {
      let store = dialect.make(stand)
      try await stand.control(["expired": true])
      let error = try await failure { try await store.put(ObjectUpload(key: "k", body: bytes("x"))) }
      #expect(error.code == .credentialsExpired)
      #expect(try await stand.log().count == 1)
      switch store {
      case let store as S3ObjectStore:
        store.replaceCredentials(
          S3Credentials(accessKey: Stand.s3.accessKey, secretKey: Stand.s3.secretKey, sessionToken: "fresh"))
      case let store as AzureBlobStore: store.replaceCredentials(AzureSAS("sv=2023-11-03&sp=rcwd&sig=fresh"))
      case let store as GCSObjectStore: store.replaceCredentials(.bearer("fresh"))
      default: Issue.record("another store")
      }
      #expect(try await !store.put(ObjectUpload(key: "k", body: bytes("x"))).wasThere)
    }

    @Test(arguments: Dialect.all) func containersThatAreNotThere(dialect: Dialect) async throws {
      let store: any ObjectStore =
        switch dialect.testDescription {
        case "Azure": stand.azure(container: "missing")
        case "GCS": stand.gcs(bucket: "missing")
        default: stand.s3(bucket: "missing")
        }
      let error = try await failure { try await store.put(ObjectUpload(key: "k", body: bytes("x"))) }
      #expect(error.code == .objectsNoContainer && error.exit == .environment)
    }

    @Test(arguments: Dialect.all) func metadataThatCannotBeSent(dialect: Dialect) async throws {
      let store = dialect.make(stand)
      for metadata in [["a": "é"], ["a": "x\r\nb: c"], ["a b": "x"], ["a:": "x"]] {
        let error = try await failure {
          try await store.put(ObjectUpload(key: "k", body: bytes("x"), metadata: metadata))
        }
        #expect(error.code == .objectsBadName || error.code == .httpBadRequest)
      }
      #expect(try await stand.log().isEmpty)
    }

    // MARK: Parts

    static let large = (0..<1_234_567).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 11) }
    static let parts = Dialect.all.filter(\.takesParts)

    func largeBody(_ form: String) throws -> HTTPBody {
      switch form {
      case "bytes": return .bytes(Self.large)
      case "shared": return .shared(SharedBytes(copying: Self.large))
      default:
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("nebula-\(UUID())").path
        try Data([1, 2, 3] + Self.large).write(to: URL(fileURLWithPath: path))
        return .file(path: path, offset: 3, length: Self.large.count)
      }
    }

    @Test(arguments: parts, ["bytes", "shared", "file"]) func largeObjectsGoInParts(dialect: Dialect, form: String)
      async throws
    {
      let store = dialect.make(stand)
      let body = try largeBody(form)
      defer { if case .file(let path, _, _) = body { try? FileManager.default.removeItem(atPath: path) } }
      let put = try await store.put(
        ObjectUpload(key: "large +é", body: body, metadata: ["a": "1"], contentMD5: Crypto.md5(Self.large)))
      #expect(put.size == Self.large.count)
      let objects = try await stand.objects()
      #expect(objects[dialect.path + "large +é"]?["sha256"]?.string == Crypto.hex(Crypto.sha256(Self.large)))
      #expect(objects["__uploads"] == 0)
      #expect(try await store.head("large +é")?.metadata == ["a": "1"])
      #expect(try await stand.log().filter { $0.contains("partNumber=") || $0.contains("comp=block&") }.count == 5)
    }

    /// A store verifies what one request carries, and nothing of the whole.
    @Test(arguments: parts, ["bytes", "shared", "file"]) func eachPartCarriesItsOwnChecksum(
      dialect: Dialect, form: String
    ) async throws {
      let body = try largeBody(form)
      defer { if case .file(let path, _, _) = body { try? FileManager.default.removeItem(atPath: path) } }
      func sent(_ key: String, contentMD5: [UInt8]?) async throws -> [String?] {
        _ = try await dialect.make(stand).put(ObjectUpload(key: key, body: body, contentMD5: contentMD5))
        return try await stand.requests().filter {
          let path = $0["path"]?.string ?? ""
          return path.contains("/\(key)?") && (path.contains("partNumber=") || path.contains("comp=block&"))
        }.map { $0["headers"]?["content-md5"]?.string }
      }
      let digests = stride(from: 0, to: Self.large.count, by: 300_000).map {
        Crypto.base64(Crypto.md5(Array(Self.large[$0..<min($0 + 300_000, Self.large.count)])))
      }
      // the parts come in any order; the server refuses one that has another's
      #expect(try await Set(sent("summed", contentMD5: Crypto.md5(Self.large))) == Set(digests))
      #expect(try await sent("plain", contentMD5: nil) == [nil, nil, nil, nil, nil])
    }

    /// Not S3 without TLS: there the signature covers the body, and is refused first.
    @Test(arguments: parts.filter { $0.testDescription != "S3" }) func aDamagedPartIsRefusedAndSentAgain(
      dialect: Dialect
    ) async throws {
      let store = dialect.make(stand)
      let part = dialect.testDescription == "Azure" ? "comp=block&" : "partNumber="
      let digest = Crypto.md5(Self.large)
      try await stand.damage(part)
      _ = try await store.put(ObjectUpload(key: "once", body: .bytes(Self.large), contentMD5: digest))
      let lies = try await stand.objects()[dialect.path + "once"]
      #expect(lies?["sha256"]?.string == Crypto.hex(Crypto.sha256(Self.large)))
      #expect(try await stand.log().filter { $0.contains(part) }.count == 6)
      try await stand.damage(part, n: 1000)
      let always = ObjectUpload(key: "always", body: .bytes(Self.large), contentMD5: digest)
      #expect(try await failure { try await store.put(always) }.code == .objectsCorrupt)
      let objects = try await stand.objects()
      #expect(objects[dialect.path + "always"] == nil && objects["__uploads"] == 0)
    }

    @Test(arguments: parts) func aFailingPartIsSentAgain(dialect: Dialect) async throws {
      let store = dialect.make(stand)
      let match = dialect.testDescription == "Azure" ? "comp=block&" : "partNumber=3&"
      try await stand.fail(match, n: 2, status: 500)
      _ = try await store.put(ObjectUpload(key: "large", body: .bytes(Self.large)))
      let objects = try await stand.objects()
      #expect(objects[dialect.path + "large"]?["sha256"]?.string == Crypto.hex(Crypto.sha256(Self.large)))
    }

    /// A part that keeps failing: nothing is visible, and nothing is left behind.
    @Test(arguments: parts) func aPartThatNeverSucceedsAborts(dialect: Dialect) async throws {
      let store = dialect.make(stand)
      let match = dialect.testDescription == "Azure" ? "comp=block&" : "partNumber=3&"
      try await stand.fail(match, n: 1000, status: 500)
      let error = try await failure { try await store.put(ObjectUpload(key: "large", body: .bytes(Self.large))) }
      #expect(error.code == .objectsUnavailable)
      let objects = try await stand.objects()
      #expect(objects[dialect.path + "large"] == nil && objects["__uploads"] == 0)
    }

    @Test(arguments: parts, [true, false]) func lostAnswerToTheCompletion(dialect: Dialect, isOurs: Bool) async throws {
      let store = dialect.make(stand)
      let match = dialect.testDescription == "Azure" ? "comp=blocklist" : "POST \(dialect.path)large?uploadId"
      try await stand.fail(match, after: true, drop: true)
      let upload = ObjectUpload(
        key: "large", body: .bytes(Self.large), metadata: isOurs ? ["sum": "1"] : [:],
        checksumMetadata: isOurs ? "sum" : nil)
      if isOurs || dialect.testDescription != "Azure" {  // S3's ETag proves the content by itself
        #expect(try await store.put(upload).wasThere)
      } else {
        #expect(try await failure { try await store.put(upload) }.code == .objectsExists)
      }
      #expect(try await stand.objects()["__uploads"] == 0)
    }

    /// The same without create-only: on Azure the blocks are gone by then.
    @Test(arguments: parts) func lostAnswerToAReplacement(dialect: Dialect) async throws {
      let store = dialect.make(stand)
      let match = dialect.testDescription == "Azure" ? "comp=blocklist" : "POST \(dialect.path)large?uploadId"
      try await stand.fail(match, after: true, drop: true)
      let put = try await store.put(
        ObjectUpload(
          key: "large", body: .bytes(Self.large), metadata: ["sum": "1"], createOnly: false, checksumMetadata: "sum"))
      #expect(put.wasThere && put.size == Self.large.count)
    }

    @Test(arguments: parts) func anothersObjectStaysAndPartsAreDropped(dialect: Dialect) async throws {
      let store = dialect.make(stand)
      try await stand.control(["put": ["path": .string(dialect.path + "large"), "body": "another's"]])
      let error = try await failure { try await store.put(ObjectUpload(key: "large", body: .bytes(Self.large))) }
      #expect(error.code == .objectsExists)
      let objects = try await stand.objects()
      #expect(objects[dialect.path + "large"]?["size"] == 9 && objects["__uploads"] == 0)
    }

    @Test(arguments: parts) func cancellationAborts(dialect: Dialect) async throws {
      let store = dialect.make(stand)
      try await stand.fail(
        dialect.testDescription == "Azure" ? "comp=block&" : "partNumber=2&", n: 1_000_000, status: 500)
      var context = stand.context(secure: dialect.testDescription.contains("TLS"), attempts: 1_000_000)
      context.retry.maxElapsed = .seconds(1_000_000)
      let endless: any ObjectStore =
        store is AzureBlobStore
        ? AzureBlobStore(
          .init(endPoint: stand.server.url("/azure"), container: "container"), sas: Stand.sas, context: context)
        : S3ObjectStore(
          S3Location(
            bucket: "bucket", region: "us-east-1",
            endPoint: dialect.testDescription.contains("TLS")
              ? "https://127.0.0.1:\(stand.server.port("secure"))" : stand.server.url("")),
          credentials: Stand.s3, context: context)
      let task = Task { try await endless.put(ObjectUpload(key: "large", body: .bytes(Self.large))) }
      while stand.waits.withLock({ $0.isEmpty }) { _ = try await stand.log() }
      task.cancel()
      await #expect(throws: CancellationError.self) { try await task.value }
      #expect(try await stand.objects()["__uploads"] == 0)
    }
  }
}

/// One after another: they share a server that is told what to do.
@Suite(.serialized) struct StoreTests {}

extension StoreTests {
  /// Credentials that expire while an object is on its way.
  @Suite struct Renewal {
    let stand: Stand
    init() async throws { stand = try await Stand.fresh() }

    final class Counter: Sendable {
      private let number = Mutex(0)
      var count: Int { number.withLock { $0 } }
      func next() -> Int {
        number.withLock {
          $0 += 1
          return $0
        }
      }
    }

    static let fresh = S3Credentials(
      accessKey: Stand.s3.accessKey, secretKey: Stand.s3.secretKey, sessionToken: "fresh")

    /// After `renewal` has been asked, only what it gave is accepted.
    func store(_ dialect: String, asked: Counter, useless: Bool = false) -> any ObjectStore {
      let stand = stand
      let renew: @Sendable () async throws -> Int = {
        try await stand.control(["expired": true])
        return asked.next()
      }
      if dialect == "S3" {
        return S3ObjectStore(
          S3Location(bucket: "bucket", region: "us-east-1", endPoint: "http://127.0.0.1:\(stand.server.port())"),
          credentials: Stand.s3,
          renewal: { _ in
            let number = try await renew()
            var made = Self.fresh
            if useless { made.sessionToken = "stale \(number)" }
            return made
          }, context: stand.context())
      }
      return AzureBlobStore(
        AzureBlobLocation(endPoint: stand.server.url("/azure"), container: "container"), sas: Stand.sas,
        renewal: { _ in
          let number = try await renew()
          return AzureSAS("sv=2023-11-03&sp=rcwd&sig=\(useless ? "stale\(number)" : "fresh")")
        }, context: stand.context())
    }

    func expire(_ dialect: String) async throws {
      if dialect == "S3" {
        try await stand.fail("partNumber=3&", status: 400, code: "ExpiredToken")
      } else {
        try await stand.fail("comp=block&", status: 403, code: "AuthenticationFailed")
      }
    }

    @Test(arguments: ["S3", "Azure"]) func anUploadInPartsGoesOnWithNewCredentials(dialect: String) async throws {
      let asked = Counter()
      let store = store(dialect, asked: asked)
      try await expire(dialect)
      #expect(try await !store.put(ObjectUpload(key: "large", body: .bytes(Common.large))).wasThere)
      let path = dialect == "S3" ? "/bucket/large" : "/azure/container/large"
      let objects = try await stand.objects()
      #expect(objects[path]?["sha256"]?.string == Crypto.hex(Crypto.sha256(Common.large)))
      // Requests that were on their way with the old ones are refused too, and use what there is by then.
      #expect((1...3).contains(asked.count))
      let log = try await stand.log()
      #expect(log.filter { $0.contains("uploads") }.count == (dialect == "S3" ? 1 : 0))
      #expect((6...8).contains(log.filter { $0.contains("partNumber=") || $0.contains("comp=block&") }.count))
    }

    /// The parts of an upload that fails are removed with the credentials that are good by then.
    @Test func anUploadThatFailsIsAbortedWithNewCredentials() async throws {
      let asked = Counter()
      let store = store("S3", asked: asked)
      try await expire("S3")
      try await stand.fail("POST /bucket/large?uploadId", n: 1000, status: 500)
      let error = try await failure { try await store.put(ObjectUpload(key: "large", body: .bytes(Common.large))) }
      #expect(error.code == .objectsUnavailable)
      #expect(try await stand.objects()["__uploads"] == 0)
    }

    @Test(arguments: ["S3", "Azure"]) func credentialsThatAreNeverAcceptedEndIt(dialect: String) async throws {
      let asked = Counter()
      let store = store(dialect, asked: asked, useless: true)
      try await stand.control(["expired": true])
      let error = try await failure { try await store.put(ObjectUpload(key: "k", body: bytes("x"))) }
      #expect(error.code == .credentialsExpired)
      #expect(asked.count == 2)
      #expect(try await stand.log().count == 3)
    }
  }
}
