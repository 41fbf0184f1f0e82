import Foundation
import NebulaCore
import NebulaHTTP
import Synchronization
import Testing

@testable import NebulaObjectStores

extension AzureTests {
  /// What is asked of those who give out Google's tokens, and what is made of their answers.
  @Suite struct GooglesTokens {
    let server: Scripted
    let folder: String
    init() async throws {
      server = try await Scripted()
      folder = FileManager.default.temporaryDirectory.appendingPathComponent("nebula-\(UUID())").path
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    static let keys = Result { try PythonHelper.ask("keys.py", ["do": "make", "passphrase": "p"]) }
    static let good = #"{"access_token":"tok","expires_in":3599,"token_type":"Bearer"}"#

    func file(_ name: String, _ text: String) throws -> String {
      let path = "\(folder)/\(name)"
      try Data(text.utf8).write(to: URL(fileURLWithPath: path))
      return path
    }
    /// A file of the kind that the fixture has, its addresses led to the server.
    func credentials(_ name: String, _ change: (String) -> String = { $0 }) throws -> String {
      let fixture = try #require(try AzureSignatureTests.fixture("google_credentials.json")[name])
      let text = fixture.text.replacingOccurrences(of: "https://google.test", with: server.server.url(""))
        .replacingOccurrences(of: "/FOLDER", with: folder)
      let pem = try Crypto.bytes(base64: Self.keys.get()["pkcs8.pem"]?.string ?? "") ?? []
      let key = JSONValue.string(String(decoding: pem, as: UTF8.self)).text
      return try file("\(name).json", change(text.replacingOccurrences(of: "\"KEY\"", with: key)))
    }
    func cache(_ change: (inout GCSSettings) -> Void) throws -> TokenCache {
      var settings = GCSSettings()
      settings.configFolder = "/nowhere"
      settings.metadataHost = server.server.url("")
      change(&settings)
      guard case .cache(let cache) = try GCSAccess(settings, context: server.context).kind else {
        throw NebulaError("test.no_cache", "", remedy: "")
      }
      return cache
    }

    /// Equal in form to what Google's own client was seen to ask.
    func expect(_ name: String) async throws {
      let forms = try #require(try AzureSignatureTests.fixture("google_token_requests.json")[name]?.array)
      let seen = try await server.seen()
      #expect(seen.count == forms.count)
      for (seen, form) in zip(seen, forms) {
        #expect(seen.method == form["method"]?.string && seen.path == form["path"]?.string)
        for field in form["headers"]?.object ?? [] { #expect(seen.headers[field.name] == field.value.string) }
        if let json = form["json"] {
          #expect(try JSONValue(parsing: seen.body) == json)
        } else {
          let pairs = seen.body.split(separator: "&").filter { !$0.hasPrefix("assertion=") }
          #expect(pairs.map { PercentEncoding.decode($0) }.sorted().joined(separator: "&") == form["form"]?.string)
        }
      }
    }

    @Test func serviceAccount() async throws {
      try await server.answer("POST /token", n: 2, 200, body: Self.good)
      let path = try credentials("service_account")
      let tokens = try cache { $0.credentialsPath = path }
      #expect(try await tokens.token() == AccessToken(value: "tok", lifetime: .seconds(3599)))
      try await expect("service_account")
      // what was signed, and by whom, as PyJWT reads it
      let body = try #require(try await server.seen().last?.body)
      let assertion = try #require(body.split(separator: "&").first { $0.hasPrefix("assertion=") }?.dropFirst(10))
      let read = try PythonHelper.ask(
        "jwt_reader.py",
        [
          "public": Self.keys.get()["public"] ?? .null, "token": .string(PercentEncoding.decode(assertion)),
          "audience": .string(server.server.url("/token")),
        ])
      #expect(read["header"] == ["typ": "JWT", "alg": "RS256", "kid": "key-1"])
      let now = server.wall.withLock { $0 / 1000 }
      #expect(
        read["claims"] == [
          "iat": .integer(now), "exp": .integer(now + 3600), "iss": "loader@project.iam.gserviceaccount.com",
          "aud": .string(server.server.url("/token")), "scope": "https://www.googleapis.com/auth/devstorage.read_write",
        ])
    }

    @Test func authorizedUser() async throws {
      try await server.answer("POST /token", 200, body: Self.good)
      let path = try credentials("authorized_user")
      #expect(try await cache { $0.credentialsPath = path }.token().value == "tok")
      try await expect("authorized_user")
    }

    @Test(arguments: ["external_file", "external_url", "external_impersonated"])
    func externalAccounts(name: String) async throws {
      _ = try file("subject", name == "external_impersonated" ? #"{"id_token":"SUBJECT"}"# : "SUBJECT\n")
      try await server.answer("GET /subject", 200, body: #"{"value":"SUBJECT"}"#)
      try await server.answer("POST /sts", 200, body: Self.good)
      try await server.answer(
        "POST /impersonate", 200, body: #"{"accessToken":"imp","expireTime":"2099-01-01T00:00:00Z"}"#)
      let path = try credentials(name)
      let token = try await cache { $0.credentialsPath = path }.token()
      #expect(token.value == (name == "external_impersonated" ? "imp" : "tok"))
      try await expect(name)
    }

    @Test func metadataServer() async throws {
      try await server.answer("GET /computeMetadata", 200, headers: [("Metadata-Flavor", "Google")], body: Self.good)
      #expect(try await cache { _ in }.token().value == "tok")
      try await expect("metadata")
      try await server.answer("GET /computeMetadata", 200, body: Self.good)
      let imposter = try cache { _ in }
      #expect(try await failure { try await imposter.token() }.code == .credentialsRefused)
    }

    /// A file that is named, gcloud's own, the metadata server; a token that is given needs none of them.
    @Test func theOrderIsGoogles() async throws {
      try await server.answer("POST /token", n: 9, 200, body: Self.good)
      try await server.answer(
        "GET /computeMetadata", n: 9, 200, headers: [("Metadata-Flavor", "Google")], body: Self.good)
      let named = try credentials("service_account")
      _ = try credentials("authorized_user")
      try FileManager.default.moveItem(
        atPath: "\(folder)/authorized_user.json", toPath: "\(folder)/application_default_credentials.json")
      func name(_ change: (inout GCSSettings) -> Void) throws -> String { try cache(change).name }
      #expect(
        try name {
          $0.credentialsPath = named
          $0.configFolder = folder
        } == "service account loader@project.iam.gserviceaccount.com")
      #expect(
        try name {
          $0.credentialsPath = ""
          $0.configFolder = folder
        } == "user of gcloud's file")
      #expect(try name { _ in } == "metadata server")
      var settings = GCSSettings()
      settings.accessToken = "given"
      #expect(try GCSAccess(settings, context: server.context).name == "access token")
      settings.credentialsPath = named
      #expect(throws: NebulaError.self) { try GCSAccess(settings, context: server.context) }
    }

    @Test func filesThatAreOfNoUse() throws {
      let bad = [
        ("none", nil), ("text", "SECRET"), ("type", #"{"type":"impersonated_service_account","k":"SECRET"}"#),
        ("key", #"{"type":"service_account","client_email":"a","private_key":"SECRET"}"#),
        ("half", #"{"type":"authorized_user","client_id":"a","client_secret":"SECRET"}"#),
        (
          "aws",
          #"{"type":"external_account","audience":"a","subject_token_type":"t","token_url":"https://x/","credential_source":{"environment_id":"aws1","url":"u"}}"#
        ),
        ("directory", nil),
      ]
      for (name, text) in bad {
        let path = try text.map { try file(name, $0) } ?? (name == "directory" ? folder : "\(folder)/none")
        let error = #expect(throws: NebulaError.self) { try cache { $0.credentialsPath = path } }
        #expect(error?.code == .credentialsUnavailable && error?.place?.path == path)
        #expect(error?.description.contains("SECRET") == false)
      }
    }

    @Test func refusals() async throws {
      try await server.answer(
        "POST", 400,
        body:
          #"{"error":"invalid_grant","error_description":"Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."}"#
      )
      let path = try credentials("service_account")
      let tokens = try cache { $0.credentialsPath = path }
      let error = try await failure { try await tokens.token() }
      #expect(
        error.code == .credentialsRefused && error.message.contains("invalid_grant") && error.remedy.contains("clock"))
      try await server.answer("POST", n: 2, 503, body: "{}")
      try await server.answer("POST", 200, body: Self.good)
      #expect(try await tokens.token().value == "tok")
      let user = try credentials("authorized_user")
      try await server.answer(
        "POST", 400, body: #"{"error":"invalid_grant","error_description":"refresh-SECRET is no more"}"#)
      let refused = try cache { $0.credentialsPath = user }
      #expect(try await failure { try await refused.token() }.message.contains("*** is no more"))
    }

    @Test func noMachineOfGoogle() async throws {
      let tokens = try cache { $0.metadataHost = "127.0.0.1:1" }
      let error = try await failure { try await tokens.token() }
      #expect(
        error.code == .credentialsUnavailable && !error.isRetryable && error.remedy.contains("gcs_credentials_path"))
    }
  }
}
