import Foundation
import NebulaCore
import NebulaHTTP
import Synchronization
import Testing

@testable import NebulaObjectStores

extension AzureTests {
  /// What is asked of those who give out Amazon's keys, and what is made of their answers.
  @Suite struct AmazonsKeys {
    let server: Scripted
    init() async throws { server = try await Scripted() }

    static let role = "arn:aws:iam::123456789012:role/loader"

    func answer(_ key: String = "ASIAONE", minutes: Int = 60) -> String {
      let date = Date(timeIntervalSince1970: Double(server.wall.withLock { $0 } / 1000 + Int64(minutes) * 60))
      let end = ISO8601DateFormatter().string(from: date)
      return
        #"{"Code":"Success","AccessKeyId":"\#(key)","SecretAccessKey":"sk","Token":"SECRET","Expiration":"\#(end)"}"#
    }
    func xml(_ key: String = "ASIAONE") -> String {
      """
      <AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
      <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>\(key)</AccessKeyId><SecretAccessKey>sk</SecretAccessKey>
      <SessionToken>SECRET</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>
      </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>
      """
    }
    func cache(_ change: (inout AWSSettings) -> Void) throws -> CredentialCache<AWSKeys> {
      var settings = AWSSettings()
      settings.credentialsFile = "/nowhere/credentials"
      settings.configFile = "/nowhere/config"
      settings.metadataEndpoint = server.server.url("")
      settings.stsEndpoint = server.server.url("/")
      change(&settings)
      guard case .cache(let cache) = try S3Access(settings, context: server.context).kind else {
        throw NebulaError("test.no_cache", "", remedy: "")
      }
      return cache
    }
    func file(_ text: String) throws -> String {
      let path = FileManager.default.temporaryDirectory.appendingPathComponent("nebula-\(UUID())").path
      try Data(text.utf8).write(to: URL(fileURLWithPath: path))
      return path
    }

    /// Equal in form to what Amazon's own client was seen to ask.
    func expect(_ name: String) async throws {
      let forms = try #require(try AzureSignatureTests.fixture("aws_key_requests.json")[name]?.array)
      let seen = try await server.seen().suffix(forms.count)
      #expect(seen.count == forms.count)
      for (seen, form) in zip(seen, forms) {
        #expect(seen.method == form["method"]?.string && seen.path == form["path"]?.string)
        for field in form["headers"]?.object ?? [] { #expect(seen.headers[field.name] == field.value.string) }
        let body = seen.body.split(separator: "&").map { PercentEncoding.decode($0) }.sorted().joined(separator: "&")
        #expect(body == form["form"]?.string)
      }
    }

    @Test func machines() async throws {
      try await server.answer("PUT /latest/api/token", 200, body: "imds-token")
      try await server.answer("security-credentials/ ", 599)
      try await server.answer("security-credentials/loader", 200, body: answer())
      try await server.answer("GET /latest/meta-data/iam/security-credentials/", 200, body: "loader")
      let keys = try await cache { _ in }.token()
      #expect(keys.credentials == S3Credentials(accessKey: "ASIAONE", secretKey: "sk", sessionToken: "SECRET"))
      #expect((3590...3610).contains(keys.lifetime.components.seconds))
      try await expect("machine")
    }

    @Test func containers() async throws {
      try await server.answer("GET /v2/credentials", n: 2, 200, body: answer())
      _ = try await cache {
        $0.containerFullURI = server.server.url("/v2/credentials/guid")
        $0.containerToken = "Basic proof"
      }.token()
      try await expect("container")
      let path = try file("proof-of-file\n")
      defer { try? FileManager.default.removeItem(atPath: path) }
      _ = try await cache {
        $0.containerFullURI = server.server.url("/v2/credentials/guid")
        $0.containerToken = "Basic proof"
        $0.containerTokenFile = path
      }.token()
      #expect(try await server.seen().last?.headers["authorization"] == "proof-of-file")
    }

    @Test func webIdentity() async throws {
      let path = try file("eyJ.web.jwt\n")
      defer { try? FileManager.default.removeItem(atPath: path) }
      try await server.answer("POST", n: 2, 200, body: xml())
      let keys = try cache {
        $0.roleARN = Self.role
        $0.webIdentityTokenFile = path
        $0.roleSessionName = "session"
      }
      let first = try await keys.token()
      #expect(first.credentials.accessKey == "ASIAONE" && first.credentials.sessionToken == "SECRET")
      try await expect("web identity")
      try Data("eyJ.another".utf8).write(to: URL(fileURLWithPath: path))
      await keys.refused(first)
      _ = try await keys.token()
      #expect(try await server.seen().last?.body.contains("WebIdentityToken=eyJ.another") == true)
    }

    /// Whose clock is wrong does not matter: the life of keys is told by the other side's date.
    @Test func lifeByTheOthersClock() async throws {
      let body = answer(minutes: 60)
      server.wall.withLock { $0 += 10 * 3_600_000 }
      try await server.answer("GET /x", 200, body: body)
      let keys = try await cache { $0.containerFullURI = server.server.url("/x") }.token()
      #expect((3500...3610).contains(keys.lifetime.components.seconds))
    }

    @Test(arguments: [429, 500, 503]) func busyOnesAreAskedAgain(status: Int64) async throws {
      try await server.answer("GET /x", status, body: "{}")
      try await server.drop("GET /x")
      try await server.answer("GET /x", 200, body: answer())
      #expect(
        try await cache { $0.containerFullURI = server.server.url("/x") }.token().credentials.accessKey == "ASIAONE")
    }

    func refusal(_ change: (inout AWSSettings) -> Void) async throws -> NebulaError {
      let cache = try cache(change)
      return try await failure { try await cache.token() }
    }

    @Test func refusals() async throws {
      let path = try file("SECRET.jwt")
      defer { try? FileManager.default.removeItem(atPath: path) }
      try await server.answer(
        "POST", 400,
        body:
          "<ErrorResponse><Error><Code>ExpiredTokenException</Code><Message>SECRET.jwt is old</Message></Error></ErrorResponse>"
      )
      let error = try await refusal {
        $0.roleARN = Self.role
        $0.webIdentityTokenFile = path
      }
      #expect(error.code == .credentialsRefused && error.message.contains("ExpiredTokenException"))
      #expect(error.message.contains("*** is old") && error.remedy.contains("renews"))
      try await server.answer("GET /x", 403, body: #"{"code":"AccessDenied","message":"no role"}"#)
      let container = try await refusal { $0.containerFullURI = server.server.url("/x") }
      #expect(container.message.contains("AccessDenied: no role") && container.code == .credentialsRefused)
      let missing = try await refusal {
        $0.roleARN = Self.role
        $0.webIdentityTokenFile = "/nowhere/token"
      }
      #expect(missing.code == .credentialsUnavailable && missing.place?.path == "/nowhere/token")
    }

    @Test func noMachineOfAmazon() async throws {
      let error = try await refusal { $0.metadataEndpoint = "http://127.0.0.1:1" }
      #expect(error.code == .credentialsUnavailable && !error.isRetryable && error.remedy.contains("aws_access_key_id"))
      #expect(server.waits.withLock { $0.count } == 1)
    }

    @Test func aMachineWithoutARole() async throws {
      try await server.answer("PUT /latest/api/token", 200, body: "t")
      try await server.answer("GET", 404)
      #expect(try await refusal { _ in }.message.contains("has no role"))
    }

    /// Refused keys are replaced once, in the same request.
    @Test func withAStore() async throws {
      try await server.answer("GET /x", 200, body: answer("ASIAONE"))
      try await server.answer("GET /x", 200, body: answer("ASIATWO"))
      try await server.answer("GET /bucket/a", 400, body: "<Error><Code>ExpiredToken</Code></Error>")
      try await server.answer("GET /bucket/a", n: 2, 200, body: "content")
      var settings = AWSSettings()
      settings.containerFullURI = server.server.url("/x")
      (settings.credentialsFile, settings.configFile) = ("/nowhere/a", "/nowhere/b")
      let store = S3ObjectStore(
        S3Location(bucket: "bucket", region: "eu-west-1", endPoint: server.server.url("")),
        access: try S3Access(settings, context: server.context), context: server.context)
      #expect(try await store.read("a")?.bytes == Array("content".utf8))
      #expect(try await store.read("a") != nil)
      let keys = try await server.seen().compactMap { $0.headers["authorization"]?.contains("ASIATWO/") }
      #expect(keys == [false, true, true])
    }

    @Test func profileKeysAreReadAgain() async throws {
      let path = try file("[loader]\naws_access_key_id = ASIAONE\naws_secret_access_key = s\n")
      defer { try? FileManager.default.removeItem(atPath: path) }
      let keys = try cache {
        $0.profile = "loader"
        $0.credentialsFile = path
      }
      let first = try await keys.token()
      try Data("[loader]\naws_access_key_id = ASIATWO\naws_secret_access_key = s\n".utf8).write(
        to: URL(fileURLWithPath: path))
      #expect(try await keys.token() == first)
      await keys.refused(first)
      #expect(try await keys.token().credentials.accessKey == "ASIATWO")
    }
  }
}
