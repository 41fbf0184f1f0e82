import NebulaCore
import NebulaHTTP
import NebulaObjectStores
import Synchronization
import Testing

extension StoreTests {
  @Suite struct S3 {
    let stand: Stand
    init() async throws { stand = try await Stand.fresh() }

    @Test func sessionTokensAreSigned() async throws {
      var credentials = Stand.s3
      credentials.sessionToken = "token/with+signs=="
      let store = stand.s3(credentials: credentials)
      #expect(try await store.put(ObjectUpload(key: "k", body: bytes("x"))).size == 1)
    }

    @Test func wrongSecretIsDenied() async throws {
      var credentials = Stand.s3
      credentials.secretKey = "wJalr-wrong"
      let store = stand.s3(credentials: credentials)
      let error = try await failure { try await store.put(ObjectUpload(key: "k", body: bytes("x"))) }
      #expect(error.code == .objectsDenied && error.message.contains("SignatureDoesNotMatch") && !error.isRetryable)
      #expect(try await stand.log().count == 1)
    }

    @Test func theBucketsRegionIsLearned() async throws {
      let store = stand.s3(bucket: "frankfurt", region: "us-east-1")
      _ = try await store.put(ObjectUpload(key: "k", body: bytes("x")))
      _ = try await store.put(ObjectUpload(key: "l", body: bytes("x")))
      #expect(try await stand.log() == ["PUT /frankfurt/k", "PUT /frankfurt/k", "PUT /frankfurt/l"])
      #expect(stand.waits.withLock { $0.isEmpty })
    }

    @Test(arguments: [86_400, -7_200] as [Int64]) func aWrongClockIsCorrected(skew: Int64) async throws {
      let store = stand.s3()
      try await stand.control(["skew": .integer(skew)])
      _ = try await store.put(ObjectUpload(key: "k", body: bytes("x")))
      _ = try await store.put(ObjectUpload(key: "l", body: bytes("x")))
      #expect(try await stand.log().count == 3)
    }

    @Test func headOfExpiredCredentials() async throws {
      var credentials = Stand.s3
      credentials.sessionToken = "old"
      let store = stand.s3(credentials: credentials)
      try await stand.control(["expired": true])
      #expect(try await failure { try await store.head("k") }.code == .credentialsExpired)
    }

    /// S3 may answer the completion with 200 and an error in the body.
    @Test func errorsInsideOfSuccess() async throws {
      let store = stand.s3()
      try await stand.fail("POST /bucket/large?uploadId", n: 2, status: 200, code: "InternalError")
      let body = HTTPBody.bytes([UInt8](repeating: 1, count: 1_100_000))
      #expect(try await store.put(ObjectUpload(key: "large", body: body)).size == 1_100_000)
      #expect(try await stand.log().filter { $0.hasPrefix("POST /bucket/large?uploadId") }.count == 3)
      try await stand.fail("POST /bucket/large2?uploadId", n: 1000, status: 200, code: "InternalError")
      let error = try await failure { try await store.put(ObjectUpload(key: "large2", body: body)) }
      #expect(error.code == .objectsUnavailable)
      #expect(try await stand.objects()["/bucket/large2"] == nil)
    }

    @Test func conflictsOfTwoWritersAreTriedAgain() async throws {
      let store = stand.s3()
      try await stand.fail("PUT", status: 409, code: "ConditionalRequestConflict")
      #expect(try await !store.put(ObjectUpload(key: "k", body: bytes("x"))).wasThere)
    }

    @Test(arguments: ["", String(repeating: "x", count: 1025), "a\nb"]) func badKeys(key: String) async throws {
      let store = stand.s3()
      #expect(try await failure { try await store.put(ObjectUpload(key: key, body: .none)) }.code == .objectsBadName)
    }

    @Test func plainHTTPBeyondLoopbackIsRefused() async throws {
      let location = S3Location(bucket: "bucket", region: "us-east-1", endPoint: "http://s3.example.com")
      let store = S3ObjectStore(location, credentials: Stand.s3, context: stand.context())
      #expect(try await failure { try await store.head("k") }.code == .httpInsecure)
    }

    @Test func credentialsAreNotPrinted() {
      for text in [
        "\(Stand.s3)", String(reflecting: Stand.s3), "\(Stand.sas)", "\(Stand.bearer)", String(reflecting: Stand.sas),
      ] {
        #expect(!text.contains("wJalr") && !text.contains("SECRET"))
      }
    }
  }

  @Suite struct GCS {
    let stand: Stand
    init() async throws { stand = try await Stand.fresh() }

    @Test func presignedAddresses() async throws {
      let url = stand.server.url("/gcs/bucket/signed%20key?X-Goog-Signature=SECRET&x=1")
      let store = stand.gcs(credentials: .presigned(url: url))
      _ = try await store.put(
        ObjectUpload(key: "signed key", body: bytes("x"), metadata: ["a": "1"], createOnly: false))
      #expect(try await stand.objects()["/gcs/bucket/signed key"]?["x-goog-meta-a"] == "1")
      #expect(try await failure { try await store.head("signed key") }.code == .objectsNotSupported)
      #expect(try await failure { try await store.delete("signed key") }.code == .objectsNotSupported)
      let createOnly = ObjectUpload(key: "signed key", body: bytes("x"))
      #expect(try await failure { try await store.put(createOnly) }.code == .objectsNotSupported)
      try await stand.control(["expired": true])
      let again = ObjectUpload(key: "signed key", body: bytes("x"), createOnly: false)
      #expect(try await failure { try await store.put(again) }.code == .credentialsExpired)
    }

    /// Fresh tokens are refused for a moment at times.
    @Test func refusalsAreTriedAgainTwice() async throws {
      let store = stand.gcs()
      try await stand.fail("PUT", n: 2, status: 403, code: "AccessDenied")
      _ = try await store.put(ObjectUpload(key: "k", body: bytes("x")))
      try await stand.fail("PUT", n: 9, status: 403, code: "AccessDenied")
      #expect(
        try await failure { try await store.put(ObjectUpload(key: "l", body: bytes("x"))) }.code == .objectsDenied)
      #expect(try await stand.log().count == 6)
    }
  }
}
