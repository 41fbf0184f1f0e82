import NebulaCore
import NebulaHTTP
import Synchronization
import Testing

@testable import NebulaObjectStores

extension StoreTests {
  /// Resumable uploads, and what else only the JSON interface of Google has.
  @Suite struct GCSBucket {
    let stand: Stand
    init() async throws { stand = try await Stand.fresh() }

    static let large = (0..<1_234_567).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 11) }

    /// In chunks of 512 KiB: the first two whole multiples of 256 KiB.
    func put(_ key: String = "large", createOnly: Bool = true, checksum: Bool = true) async throws -> StoredObject {
      try await stand.gcsBucket(attempts: 5).put(
        ObjectUpload(
          key: key, body: .bytes(Self.large), metadata: checksum ? ["sum": "1"] : [:], createOnly: createOnly,
          checksumMetadata: checksum ? "sum" : nil))
    }
    func isWhole(_ key: String = "large") async throws -> Bool {
      let objects = try await stand.objects()
      return objects["/gcs/bucket/\(key)"]?["sha256"]?.string == Crypto.hex(Crypto.sha256(Self.large))
        && objects["__uploads"] == 0
    }
    func puts() async throws -> Int { try await stand.log().filter { $0.hasPrefix("PUT ") }.count }

    @Test func chunks() async throws {
      let stored = try await put()
      #expect(stored.size == Self.large.count && !stored.wasThere && stored.contentMD5 == Crypto.md5(Self.large))
      #expect(try await isWhole())
      #expect(try await puts() == 3)
    }

    @Test(arguments: [500, 502, 503, 504, 408, 429]) func aFailingChunkIsAskedFor(status: Int64) async throws {
      try await stand.fail("PUT /upload", n: 2, status: status)
      _ = try await put()
      #expect(try await isWhole())
    }

    /// Stored, and the answer lost: the service says how far it is, and nothing is sent twice.
    @Test(arguments: [true, false]) func aLostAnswer(drop: Bool) async throws {
      try await stand.fail("PUT /upload", n: 1, after: true, drop: drop)
      _ = try await put()
      #expect(try await isWhole())
      #expect(try await puts() == 4)  // three chunks and a question
    }

    @Test func theLastAnswerIsLost() async throws {
      try await stand.fail("PUT /upload", n: 3, after: true)
      #expect(try await !put().wasThere)
      #expect(try await isWhole())
    }

    /// The service may keep less of a chunk than it was sent.
    @Test func partOfAChunkIsKept() async throws {
      try await stand.control(["persists": 262_144])
      _ = try await put()
      #expect(try await isWhole())
    }

    /// It answers, and keeps nothing: this ends too.
    @Test(.timeLimit(.minutes(3))) func nothingIsEverKept() async throws {
      try await stand.control(["persists": 0])
      let error = try await failure { try await put() }
      #expect(error.code == .objectsUnavailable && error.isRetryable && error.message.contains("no progress"))
      #expect(try await puts() == 9)  // five attempts, each after the first with a question before
      #expect(try await stand.objects()["__uploads"] == 0)
    }

    @Test(arguments: [404, 410] as [Int64]) func aForgottenUploadIsBegunAgain(status: Int64) async throws {
      try await stand.fail("PUT /upload", n: 1, status: 500)
      try await stand.fail("PUT /upload", n: 1, status: status)
      _ = try await put()
      let objects = try await stand.objects()
      #expect(objects["/gcs/bucket/large"]?["sha256"]?.string == Crypto.hex(Crypto.sha256(Self.large)))
      #expect(try await stand.log().filter { $0.hasPrefix("POST /upload") }.count == 2)
      try await stand.fail("PUT /upload", n: 99, status: status)
      #expect(try await failure { try await put("other") }.code == .objectsUnavailable)
    }

    @Test func anUploadThatFailsIsCancelled() async throws {
      try await stand.fail("PUT /upload", n: 99, status: 503)
      let error = try await failure { try await put() }
      #expect(error.code == .objectsUnavailable && error.isRetryable && !error.description.contains("upload_id"))
      let objects = try await stand.objects()
      #expect(objects["/gcs/bucket/large"] == nil && objects["__uploads"] == 0)
    }

    @Test func cancellation() async throws {
      try await stand.fail("PUT /upload", n: 1_000_000, status: 500)
      var context = stand.context(attempts: 1_000_000)
      context.retry.maxElapsed = .seconds(1_000_000)
      let store = GCSBucketStore(
        bucket: "bucket", access: .token("SECRET-token"), endPoint: stand.server.url(""), context: context)
      let task = Task { try await store.put(ObjectUpload(key: "large", body: .bytes(Self.large))) }
      while stand.waits.withLock({ $0.isEmpty }) { _ = try await stand.log() }
      task.cancel()
      await #expect(throws: CancellationError.self) { try await task.value }
      #expect(try await stand.objects()["__uploads"] == 0)
    }

    /// Taken while the chunks were on their way.
    @Test(arguments: [true, false]) func aNameThatIsTakenMeanwhile(isOurs: Bool) async throws {
      try await stand.fail("PUT /upload", n: 1, status: 503)
      try await stand.fail("PUT /upload", n: 1, status: 412)
      let body = isOurs ? String(decoding: Self.large, as: UTF8.self) : "another's"
      try await stand.control([
        "put": ["path": "/gcs/bucket/other", "body": .string(body), "headers": ["x-goog-meta-sum": "1"]]
      ])
      let store = stand.gcsBucket()
      let upload = ObjectUpload(
        key: "fresh", body: .bytes(Array(body.utf8)), metadata: ["sum": "1"], checksumMetadata: "sum")
      #expect(try await failure { try await store.put(upload) }.code == .objectsCorrupt)  // nothing lies there
      var taken = upload
      taken.key = "other"
      taken.metadata = ["sum": isOurs ? "1" : "2"]
      if isOurs {
        #expect(try await store.put(taken).wasThere)
      } else {
        #expect(try await failure { try await store.put(taken) }.code == .objectsExists)
      }
    }

    /// Without metadata that prove it: by its MD5, or by its CRC-32C where there is none.
    @Test func contentProvesItself() async throws {
      try await stand.control(["put": ["path": "/gcs/bucket/k", "body": "123456789"]])
      let store = stand.gcsBucket()
      let same = Array("123456789".utf8)
      #expect(try await store.put(ObjectUpload(key: "k", body: .bytes(same), contentMD5: Crypto.md5(same))).wasThere)
      #expect(try await store.put(ObjectUpload(key: "k", body: .bytes(same))).wasThere)
      #expect(
        try await failure { try await store.put(ObjectUpload(key: "k", body: bytes("123456780"))) }.code
          == .objectsExists)
      #expect(try HTTPBody.bytes(same).crc32c() == [0xE3, 0x06, 0x92, 0x83])  // as RFC 3720 has it
    }

    @Test func aWrongMD5IsRefused() async throws {
      let upload = ObjectUpload(key: "k", body: bytes("x"), contentMD5: Crypto.md5([1]))
      let error = try await failure { try await stand.gcsBucket().put(upload) }
      #expect(error.code == .objectsCorrupt && error.isRetryable)
      #expect(try await stand.objects()["/gcs/bucket/k"] == nil)
    }

    @Test func refusals() async throws {
      let missing = stand.gcsBucket(bucket: "missing")
      for error in [
        try await failure { try await missing.head("k") }, try await failure { try await missing.read("k") },
        try await failure { try await missing.delete("k") }, try await failure { try await missing.listAll("") },
        try await failure { try await missing.put(ObjectUpload(key: "k", body: bytes("x"))) },
      ] {
        #expect(error.code == .objectsNoContainer && error.exit == .environment)
      }
      try await stand.fail("GET", status: 403)
      let denied = try await failure { try await stand.gcsBucket().head("k") }
      #expect(denied.code == .objectsDenied && denied.remedy.contains("access token the role Storage Object User"))
      try await stand.control(["expired": true])
      #expect(try await failure { try await stand.gcsBucket().head("k") }.code == .credentialsExpired)
    }

    @Test func aRefusedTokenIsReplacedOnce() async throws {
      let cache = TokenCache(Source(), clock: stand.context().clock)
      let store = GCSBucketStore(
        bucket: "bucket", access: .cached(cache), endPoint: stand.server.url(""), context: stand.context())
      _ = try await store.put(ObjectUpload(key: "a", body: bytes("x")))
      try await stand.control(["expired": true])
      #expect(try await store.head("a")?.size == 1)
      try await stand.control(["expired": false])  // both are refused from now on
      let error = try await failure { try await store.head("a") }
      #expect(error.code == .credentialsRefused)
    }

    final class Source: TokenSource {
      let name = "test"
      let count = Mutex(0)
      func fetch() async throws -> AccessToken {
        let number = count.withLock { count in
          count += 1
          return count
        }
        return AccessToken(value: number == 1 ? "SECRET-token" : "fresh", lifetime: .seconds(3600))
      }
    }
  }
}

/// What an answer inside a resumable upload means.
@Suite struct GCSResumeRuleTests {
  func reading(_ status: Int, _ range: String? = nil, sent: Range<Int>? = 0..<262_144) -> GCSResumeRule.Reading {
    var headers = HTTPHeaders()
    headers["Range"] = range
    return GCSResumeRule.reading(HTTPResponse(status: status, headers: headers, body: [7]), size: 1_000_000, sent: sent)
  }

  @Test func readings() {
    #expect(reading(200) == .finished([7]) && reading(201, sent: nil) == .finished([7]))
    #expect(reading(308, "bytes=0-262143") == .stored(262_144))
    #expect(reading(308, "0-99") == .stored(100))
    #expect(reading(308, sent: nil) == .stored(0))
    #expect(reading(308) == .refused && reading(308, "bytes=0-262143", sent: 262_144..<524_288) == .refused)
    #expect(reading(308, "bytes=5-9") == .refused && reading(308, "bytes=0-1000000", sent: nil) == .refused)
    #expect(reading(308, "bytes=0-999999", sent: nil) == .refused)  // all there and not finished
    #expect(reading(412) == .taken && reading(404) == .gone && reading(410) == .gone)
    #expect([400, 401, 403, 429, 500, 503].allSatisfy { reading($0) == .refused })
  }
}
