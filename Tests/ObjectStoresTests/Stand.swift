import Foundation
import NebulaCore
import NebulaHTTP
import NebulaObjectStores
import Synchronization
import Testing

/// The stand-in for all three services, and what the stores are given: a clock that never really waits.
final class Stand: Sendable {
  static let shared = Result { try Stand() }
  let server: PythonServer
  let plain = HTTPClient()
  let trusting: HTTPClient
  let waits = Mutex<[Duration]>([])

  static let s3 = S3Credentials(accessKey: "AKIDEXAMPLE", secretKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
  static let sas = AzureSAS("?sv=2023-11-03&sp=rcwd&sig=SECRETSIG%2B%3D")
  static let bearer = GCSCredentials.bearer("SECRET-token")

  init() throws {
    server = try PythonServer("object_store_server.py")
    trusting = HTTPClient(HTTPClientOptions(caFile: server.told["authority"]?.string))
  }

  static func fresh() async throws -> Stand {
    let stand = try shared.get()
    try await stand.control(["reset": true])
    stand.waits.withLock { $0 = [] }
    return stand
  }

  func control(_ order: JSONValue) async throws {
    let request = HTTPRequest(method: "POST", url: server.url("/__ctl"), body: .bytes(order.bytes))
    #expect(try await plain.perform(request).status == 200)
  }

  /// Lets the next `n` requests that match fail.
  func fail(
    _ match: String, n: Int64 = 1, status: Int64 = 500, code: String = "", after: Bool = false, drop: Bool = false,
    headers: JSONValue = [:]
  ) async throws {
    try await control([
      "fail": [
        [
          "match": .string(match), "n": .integer(n), "status": .integer(status), "code": .string(code),
          "after": .bool(after), "drop": .bool(drop), "headers": headers,
        ]
      ]
    ])
  }

  /// Changes a bit in the bodies of the next `n` requests that match, after they were sent and before they are looked at.
  func damage(_ match: String, n: Int64 = 1) async throws {
    try await control(["fail": [["match": .string(match), "n": .integer(n), "damage": true]]])
  }

  func objects() async throws -> JSONValue {
    try JSONValue(parsing: try await plain.perform(HTTPRequest(url: server.url("/__objects"))).body)
  }

  /// Every request since the start of the test: method, path and headers.
  func requests() async throws -> [JSONValue] {
    try JSONValue(parsing: try await plain.perform(HTTPRequest(url: server.url("/__log"))).body).array ?? []
  }

  /// Method and path of every request since the start of the test.
  func log() async throws -> [String] {
    try await requests().map { "\($0["method"]?.string ?? "") \($0["path"]?.string ?? "")" }
  }

  func context(secure: Bool = false, attempts: Int = 4, threshold: Int = 1 << 20, part: Int = 300_000)
    -> ObjectStoreContext
  {
    let clock = Timekeeper(
      monotonic: { .zero }, wall: { Int64(Date().timeIntervalSince1970 * 1000) },
      sleep: { wait in
        try Task.checkCancellation()
        self.waits.withLock { $0.append(wait) }
      })
    return ObjectStoreContext(
      client: secure ? trusting : plain, clock: clock, retry: RetryPolicy(maxAttempts: attempts), timeout: .seconds(60),
      partThreshold: threshold, partSize: part, parallelParts: 3)
  }

  func s3(
    bucket: String = "bucket", region: String = "us-east-1", credentials: S3Credentials = Stand.s3,
    secure: Bool = false,
    attempts: Int = 4
  ) -> S3ObjectStore {
    let endPoint = secure ? "https://127.0.0.1:\(server.port("secure"))" : "http://127.0.0.1:\(server.port())"
    return S3ObjectStore(
      S3Location(bucket: bucket, region: region, endPoint: endPoint), credentials: credentials,
      context: context(secure: secure, attempts: attempts))
  }

  func azure(container: String = "container", sas: AzureSAS = Stand.sas) -> AzureBlobStore {
    AzureBlobStore(
      AzureBlobLocation(endPoint: server.url("/azure"), container: container), sas: sas, context: context())
  }

  func gcsBucket(bucket: String = "bucket", attempts: Int = 4) -> GCSBucketStore {
    GCSBucketStore(
      bucket: bucket, access: .token("SECRET-token"), endPoint: server.url(""), context: context(attempts: attempts))
  }

  func external(_ url: String) throws -> ExternalStore {
    var settings = ExternalStoreSettings()
    (settings.aws.accessKeyID, settings.aws.secretAccessKey) = (Self.s3.accessKey, Self.s3.secretKey)
    settings.aws.endpoint = server.url("")
    settings.azure.sas = "?sv=2023-11-03&sp=rcwd&sig=SECRETSIG%2B%3D"
    settings.azureEndpoint = server.url("/azure")
    settings.gcs.accessToken = "SECRET-token"
    settings.gcs.endpoint = server.url("")
    return try ExternalStore(ExternalLocation(url, property: "external_stage_url"), settings, context: context())
  }

  func gcs(bucket: String = "bucket", credentials: GCSCredentials = Stand.bearer) -> GCSObjectStore {
    GCSObjectStore(bucket: bucket, credentials: credentials, endPoint: server.url("/gcs"), context: context())
  }
}

/// What every store over HTTP must do, told apart by paths and words only.
struct Dialect: Sendable, CustomTestStringConvertible {
  let testDescription: String
  let path: String
  let metadataPrefix: String
  let make: @Sendable (Stand) -> any ObjectStore
  let takesParts: Bool

  static let all = [
    Dialect(
      testDescription: "S3", path: "/bucket/", metadataPrefix: "x-amz-meta-", make: { $0.s3() }, takesParts: true),
    Dialect(
      testDescription: "S3 over TLS", path: "/bucket/", metadataPrefix: "x-amz-meta-", make: { $0.s3(secure: true) },
      takesParts: true),
    Dialect(
      testDescription: "Azure", path: "/azure/container/", metadataPrefix: "x-ms-meta-", make: { $0.azure() },
      takesParts: true),
    Dialect(
      testDescription: "GCS", path: "/gcs/bucket/", metadataPrefix: "x-goog-meta-", make: { $0.gcs() },
      takesParts: false),
  ]
  /// The one whose requests are of another kind: two for each object.
  static let json = Dialect(
    testDescription: "GCS by JSON", path: "/gcs/bucket/", metadataPrefix: "x-goog-meta-", make: { $0.gcsBucket() },
    takesParts: false)
}

func bytes(_ text: String) -> HTTPBody { .bytes(Array(text.utf8)) }

func failure<Value>(_ body: () async throws -> Value) async throws -> NebulaError {
  do {
    let value = try await body()
    throw NebulaError("test.no_failure", "\(value)", remedy: "")
  } catch let error as NebulaError {
    let text = error.description.replacingOccurrences(of: "AZURE_CLIENT_SECRET", with: "")
    #expect(!text.contains("SECRET") && !text.contains("wJalr"))
    return error
  }
}
