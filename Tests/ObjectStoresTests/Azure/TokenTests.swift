import Foundation
import NebulaCore
import NebulaHTTP
import Synchronization
import Testing

@testable import NebulaObjectStores

extension AzureTests {
  /// What is asked of those who give out tokens, and what is made of their answers.
  @Suite struct Tokens {
    let server: Scripted
    init() async throws { server = try await Scripted() }

    static let tenant = "11111111-1111-1111-1111-111111111111"
    static let good = #"{"access_token":"tok","expires_in":"3599","token_type":"Bearer"}"#

    func settings(_ change: (inout AzureCredentialSettings) -> Void) -> AzureCredentialSettings {
      var settings = AzureCredentialSettings()
      settings.authorityHost = server.server.url("/")
      settings.podIdentityHost = server.server.url("")
      change(&settings)
      return settings
    }
    func principal(secret: String = "s3cr+t") -> AzureCredentialSettings {
      settings {
        $0.tenantID = Self.tenant
        $0.clientID = "cid"
        $0.clientSecret = secret
      }
    }
    func workload(_ file: String) -> AzureCredentialSettings {
      settings {
        $0.tenantID = Self.tenant
        $0.clientID = "cid"
        $0.federatedTokenFile = file
      }
    }
    func cache(_ settings: AzureCredentialSettings) throws -> TokenCache {
      let location = try AzureLakeLocation(accountURL: server.server.url("/acct"), fileSystem: "raw")
      let credential = try AzureCredential(settings, for: location, context: server.context)
      guard case .tokens(let cache) = credential.kind else { throw NebulaError("test.no_tokens", "", remedy: "") }
      return cache
    }
    func tokenFile(_ text: String) throws -> String {
      let path = FileManager.default.temporaryDirectory.appendingPathComponent("nebula-\(UUID())").path
      try Data(text.utf8).write(to: URL(fileURLWithPath: path))
      return path
    }

    /// Equal in form to what Microsoft's own client was seen to ask.
    func expect(_ name: String) async throws {
      let form = try #require(try AzureSignatureTests.fixture("azure_token_requests.json")[name])
      let seen = try #require(try await server.seen().last)
      #expect(seen.method == form["method"]?.string && seen.path == form["path"]?.string)
      for field in form["headers"]?.object ?? [] { #expect(seen.headers[field.name] == field.value.string) }
      let body = seen.body.split(separator: "&").map { PercentEncoding.decode($0) }.joined(separator: "&")
      #expect(body == form["form"]?.string)
      #expect(!seen.body.contains("+") && seen.headers["authorization"] == nil)
    }

    @Test func servicePrincipal() async throws {
      try await server.answer("POST", 200, body: Self.good)
      #expect(try await cache(principal()).token() == AccessToken(value: "tok", lifetime: .seconds(3599)))
      try await expect("service principal")
    }

    @Test func workloadIdentityReadsItsFileEachTime() async throws {
      let file = try tokenFile("eyJ.k8s.jwt\n")
      defer { try? FileManager.default.removeItem(atPath: file) }
      try await server.answer("POST", n: 2, 200, body: Self.good)
      let tokens = try cache(workload(file))
      #expect(try await tokens.token().value == "tok")
      try await expect("workload identity")
      try Data("eyJ.another".utf8).write(to: URL(fileURLWithPath: file))
      await tokens.refused(AccessToken(value: "tok", lifetime: .zero))
      _ = try await tokens.token()
      #expect(try await server.seen().last?.body.contains("client_assertion=eyJ.another&") == true)
    }

    @Test func machines() async throws {
      try await server.answer("GET /metadata", n: 2, 200, body: Self.good)
      #expect(try await cache(settings { _ in }).token().value == "tok")
      try await expect("IMDS system")
      let user = "11111111-aaaa-bbbb-cccc-222222222222"
      _ = try await cache(settings { $0.clientID = user }).token()
      try await expect("IMDS user-assigned")
    }

    @Test func appService() async throws {
      let ends = server.wall.withLock { $0 / 1000 } + 1800
      try await server.answer(
        "GET /msi/token", 200, body: #"{"access_token":"tok","expires_on":"\#(ends)","resource":"r"}"#)
      let tokens = try cache(
        settings {
          $0.identityEndpoint = server.server.url("/msi/token")
          $0.identityHeader = "hdr"
        })
      #expect(try await tokens.token() == AccessToken(value: "tok", lifetime: .seconds(1800)))
      try await expect("App Service")
    }

    // MARK: Asked again

    @Test(arguments: [404, 410, 429, 500, 503]) func aBusyMachineIsAskedAgain(status: Int64) async throws {
      try await server.answer("GET", n: 2, status, body: "{}")
      try await server.answer("GET", 200, body: Self.good)
      #expect(try await cache(settings { _ in }).token().value == "tok")
      let waits = server.waits.withLock { $0 }
      #expect(waits.count == 2 && (status != 410 || waits.allSatisfy { $0 >= .seconds(18) }))
    }

    @Test(arguments: [429, 500, 503]) func aBusyAuthorityIsAskedAgain(status: Int64) async throws {
      try await server.answer("POST", status, headers: [("Retry-After", "4")], body: "{}")
      try await server.drop("POST")
      try await server.answer("POST", 200, body: Self.good)
      #expect(try await cache(principal()).token().value == "tok")
      #expect(server.waits.withLock { $0[0] } >= .seconds(4))
    }

    // MARK: Errors

    func refusal(_ settings: AzureCredentialSettings) async throws -> NebulaError {
      let tokens = try cache(settings)
      return try await failure { try await tokens.token() }
    }

    @Test(arguments: [
      (
        401, "invalid_client", "AADSTS7000215: Invalid client secret provided. Ensure the secret is the value.",
        "not its id"
      ),
      (
        401, "invalid_client", "AADSTS7000222: The provided client secret keys for app 'cid' are expired.",
        "has expired"
      ),
      (400, "unauthorized_client", "AADSTS700016: Application with identifier 'cid' was not found.", "AZURE_CLIENT_ID"),
      (400, "invalid_request", "AADSTS90002: Tenant 'x' not found.", "AZURE_TENANT_ID"),
      (400, "something_new", "AADSTS1: New.", "AZURE_CLIENT_SECRET"),
    ]) func theAuthorityRefuses(status: Int64, code: String, words: String, remedy: String) async throws {
      let text = words + " Trace ID: 1234 Correlation ID: 5678"
      try await server.answer(
        "POST", status,
        body: JSONValue.object([.init("error", .string(code)), .init("error_description", .string(text))]).text)
      let error = try await refusal(principal())
      #expect(error.code == .credentialsRefused && error.exit == .environment && !error.isRetryable)
      #expect(error.message.contains(words) && error.message.contains(code) && error.message.contains(Self.tenant))
      #expect(!error.message.contains("Trace ID") && error.remedy.contains(remedy))
      #expect(error.native == "HTTP \(status) \(words.prefix { $0 != ":" })")
      #expect(try await server.seen().count == 1)
    }

    @Test func aSecretThatIsQuotedIsHidden() async throws {
      try await server.answer(
        "POST", 400, body: #"{"error":"invalid_client","error_description":"AADSTS1: bad SECRET-7 here"}"#)
      let error = try await refusal(principal(secret: "SECRET-7"))  // `failure` looks for the word
      #expect(error.message.contains("bad *** here"))
    }

    @Test func federatedCredentialsThatDoNotFit() async throws {
      let file = try tokenFile("SECRET.jwt")
      defer { try? FileManager.default.removeItem(atPath: file) }
      try await server.answer(
        "POST", 401,
        body:
          #"{"error":"invalid_client","error_description":"AADSTS700213: No matching federated identity record found for presented assertion subject 'a'."}"#
      )
      let error = try await refusal(workload(file))
      #expect(error.code == .credentialsRefused && error.remedy.contains("issuer, subject and audience"))
    }

    @Test(arguments: [nil, "", " \n", "two words"]) func tokenFilesThatHoldNone(text: String?) async throws {
      let file = try text.map { try tokenFile($0) } ?? "/nowhere/token"
      defer { try? FileManager.default.removeItem(atPath: file) }
      let error = try await refusal(workload(file))
      #expect(error.code == .credentialsUnavailable && error.place?.path == file)
      #expect(try await server.seen().isEmpty)
    }

    @Test func noIdentityIsAssigned() async throws {
      try await server.answer(
        "GET", n: 2, 400, body: #"{"error":"invalid_request","error_description":"Identity not found"}"#)
      let error = try await refusal(settings { _ in })
      #expect(error.code == .credentialsRefused && error.message.contains("Identity not found"))
      #expect(error.remedy.contains("Assign a managed identity"))
      #expect(try await refusal(settings { $0.clientID = "c" }).remedy.contains("Check AZURE_CLIENT_ID"))
    }

    /// Nobody listens: this is no machine of Azure. It is told soon, and says what else there is.
    @Test func noMachineOfAzure() async throws {
      let error = try await refusal(settings { $0.podIdentityHost = "http://127.0.0.1:1" })
      #expect(error.code == .credentialsUnavailable && error.exit == .environment && !error.isRetryable)
      #expect(error.message.contains("http://127.0.0.1:1") && error.remedy.contains("AZURE_TENANT_ID"))
      #expect(server.waits.withLock { $0.count } == 1)
    }

    @Test func anAuthorityThatIsNotThere() async throws {
      let error = try await refusal(
        settings {
          $0.tenantID = "t"
          $0.clientID = "c"
          $0.clientSecret = "SECRET"
          $0.authorityHost = "http://127.0.0.1:1"
        })
      #expect(
        error.code == .credentialsUnavailable && error.isRetryable && error.remedy.contains("AZURE_AUTHORITY_HOST"))
    }

    @Test func anAnswerThatIsNoToken() async throws {
      try await server.answer("POST", 200, body: "<html>SECRET login page</html>")
      let error = try await refusal(principal())
      #expect(error.code == .credentialsRefused && error.message.contains("status 200"))
    }

    @Test func plainHTTPToAnAuthorityElsewhere() async throws {
      let error = try await refusal(
        settings {
          $0.tenantID = "t"
          $0.clientID = "c"
          $0.clientSecret = "SECRET"
          $0.authorityHost = "http://login.example.com"
        })
      #expect(error.message.contains("Plain http") && !error.isRetryable && error.exit == .configuration)
    }

    // MARK: With a store

    @Test func aRefusedTokenIsReplacedOnce() async throws {
      try await server.answer("POST", 200, body: #"{"access_token":"one","expires_in":3600}"#)
      try await server.answer("POST", 200, body: #"{"access_token":"two","expires_in":3600}"#)
      try await server.answer("HEAD", 401, code: "InvalidAuthenticationInfo")
      try await server.answer("HEAD", n: 9, 200)
      let store = try server.store(.tokens(cache(principal())))
      _ = try await store.file("a")
      let seen = try await server.seen()
      #expect(seen.map { $0.headers["authorization"] } == [nil, "Bearer one", nil, "Bearer two"])
      #expect(seen[1].headers["x-ms-client-request-id"] == seen[3].headers["x-ms-client-request-id"])
      _ = try await store.file("a")
      #expect(try await server.seen().count == 5)
    }

    @Test func aTokenThatStaysRefusedNamesTheTenant() async throws {
      try await server.answer("POST", n: 2, 200, body: #"{"access_token":"SECRET","expires_in":3600}"#)
      try await server.answer(
        "HEAD", n: 2, 401, code: "InvalidAuthenticationInfo",
        headers: [
          (
            "WWW-Authenticate",
            "Bearer authorization_uri=https://login.microsoftonline.com/the-tenant/oauth2/authorize resource_id=https://storage.azure.com"
          )
        ])
      let store = try server.store(.tokens(cache(principal())))
      let error = try await failure { try await store.file("a") }
      #expect(error.code == .credentialsRefused && error.remedy.contains("the tenant the-tenant"))
      #expect(try await server.seen().count == 4)
    }

    @Test func aTokenWithoutTheRole() async throws {
      try await server.answer("POST", 200, body: Self.good)
      try await server.answer("HEAD", 403, code: "AuthorizationPermissionMismatch")
      let store = try server.store(.tokens(cache(principal())))
      let error = try await failure { try await store.file("a") }
      #expect(
        error.code == .objectsDenied
          && error.remedy.contains("the service principal the role Storage Blob Data Contributor"))
    }
  }
}
