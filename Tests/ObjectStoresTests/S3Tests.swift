import NebulaCore
import NebulaHTTP
import Synchronization
import Testing

@testable import NebulaObjectStores

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

    /// S3 asks for the whole upload again when its completion met another request.
    @Test func aConflictAtTheCompletionStartsAgain() async throws {
      let store = stand.s3()
      try await stand.fail("POST /bucket/large?uploadId", n: 2, status: 409, code: "ConditionalRequestConflict")
      let body = HTTPBody.bytes([UInt8](repeating: 1, count: 1_100_000))
      #expect(try await !store.put(ObjectUpload(key: "large", body: body)).wasThere)
      #expect(try await stand.objects()["__uploads"] == 0)
      let log = try await stand.log()
      #expect(
        log.filter { $0.contains("uploads=") }.count == 3 && log.filter { $0.contains("partNumber=") }.count == 12)
      try await stand.fail("POST /bucket/other?uploadId", n: 99, status: 409, code: "ConditionalRequestConflict")
      let error = try await failure { try await store.put(ObjectUpload(key: "other", body: body)) }
      #expect(error.code == .objectsUnavailable && error.isRetryable)
      #expect(try await stand.objects()["__uploads"] == 0)
    }

    /// A HEAD has no body to name what is wrong.
    @Test func aWrongClockIsCorrectedByAHead() async throws {
      try await stand.control(["put": ["path": "/bucket/k", "body": "x"], "skew": 86_400])
      #expect(try await stand.s3().head("k")?.size == 1)
      #expect(try await stand.log().count == 2)
    }

    @Test func aMissingBucketIsNoMissingObject() async throws {
      let store = stand.s3(bucket: "missing")
      #expect(try await failure { try await store.delete("k") }.code == .objectsNoContainer)
      #expect(try await failure { try await store.read("k") }.code == .objectsNoContainer)
      #expect(try await failure { try await store.listAll("") }.code == .objectsNoContainer)
    }

    @Test(arguments: [100, 1_100_000]) func encryptionByAKey(size: Int) async throws {
      let store = S3ObjectStore(
        S3Location(bucket: "bucket", region: "us-east-1", endPoint: stand.server.url("")), access: .keys(Stand.s3),
        encryption: S3Encryption(algorithm: "aws:kms", keyID: "arn:aws:kms:eu-west-1:1:key/k"), context: stand.context()
      )
      _ = try await store.put(ObjectUpload(key: "k", body: .bytes([UInt8](repeating: 1, count: size))))
      let lies = try await stand.objects()["/bucket/k"]
      #expect(lies?["x-amz-server-side-encryption"] == "aws:kms")
      #expect(lies?["x-amz-server-side-encryption-aws-kms-key-id"] == "arn:aws:kms:eu-west-1:1:key/k")
    }

    @Test func aListThatSaysNotWhereItGoesOn() async throws {
      let cut = "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"
      #expect(S3Listing.read(Array(cut.utf8)) == nil)
      #expect(S3Listing.read(Array("<html/>".utf8)) == nil)
      #expect(S3Listing.read(Array("<ListBucketResult/>".utf8)) == ObjectListing(entries: []))
      let text = """
        <ListBucketResult><Contents><Key>a/</Key><Size>0</Size></Contents><Contents><Key>a/x &lt;&amp;&#xE9;&#10;</Key>\
        <ETag>&#34;e&#34;</ETag><Size>7</Size></Contents><CommonPrefixes><Prefix>a/b/</Prefix></CommonPrefixes>\
        <IsTruncated>true</IsTruncated><NextContinuationToken>n&amp;=</NextContinuationToken></ListBucketResult>
        """
      let page = try #require(S3Listing.read(Array(text.utf8)))
      #expect(page.next == "n&=")
      #expect(
        page.entries == [
          ListedObject(key: "a/b", size: 0, isFolder: true), ListedObject(key: "a/x <&é\n", size: 7, etag: "e"),
        ])
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
