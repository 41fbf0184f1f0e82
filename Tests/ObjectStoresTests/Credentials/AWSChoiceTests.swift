import Foundation
import NebulaCore
import NebulaHTTP
import Testing

@testable import NebulaObjectStores

/// Which way of logging in to Amazon's services the settings mean.
@Suite struct AWSChoiceTests {
  static let ini = """
    # of a person
    [default]
    aws_access_key_id = AKIDDEFAULT
    aws_secret_access_key=s3cr3t/default=
    [temporary]
      aws_access_key_id = AKIDTEMP
    aws_secret_access_key = s3cr3t

    aws_session_token = token==
    ; nothing
    [indented]
    s3 =
      aws_access_key_id = AKIDWRONG
    """
  static let config = """
    [default]
    region = eu-west-1
    [profile temporary]
    region=eu-central-1
    aws_access_key_id = AKIDCONFIG
    [profile "with blanks"]
    role_arn = arn:aws:iam::1:role/r
    web_identity_token_file = ~/token
    [profile chained]
    role_arn = arn:aws:iam::1:role/r
    source_profile = default
    [profile sso]
    sso_session = corp
    [profile process]
    credential_process = /bin/keys
    [profile empty]
    output = json
    [sso-session corp]
    sso_start_url = https://example.com
    """
  let profiles = AWSProfiles(credentials: Self.ini, config: Self.config)

  func choice(_ change: (inout AWSSettings) -> Void = { _ in }) throws -> AWSCredentialChoice {
    var settings = AWSSettings()
    change(&settings)
    return try AWSCredentialChoice(settings, profile: profiles.profile(settings.profile ?? "none of that name"))
  }

  @Test func profilesAreRead() {
    #expect(profiles.profile("default")?.kind == .keys(.init(accessKey: "AKIDDEFAULT", secretKey: "s3cr3t/default=")))
    #expect(
      profiles.profile("default")?.region == "eu-west-1" && profiles.profile("temporary")?.region == "eu-central-1")
    #expect(
      profiles.profile("temporary")?.kind
        == .keys(.init(accessKey: "AKIDTEMP", secretKey: "s3cr3t", sessionToken: "token==")))
    #expect(
      profiles.profile("indented")?.kind == AWSProfile.Kind.none
        && profiles.profile("empty")?.kind == AWSProfile.Kind.none)
    guard case .webIdentity(let role) = profiles.profile("with blanks")?.kind else {
      Issue.record("no web identity")
      return
    }
    #expect(role.arn == "arn:aws:iam::1:role/r" && role.tokenFile.hasSuffix("/token") && !role.tokenFile.hasPrefix("~"))
    #expect(profiles.profile("corp") == nil && profiles.profile("sso-session corp") == nil)
  }

  /// The referees read the same with botocore.
  @Test func indentedLinesAreReadAsBotocoreDoes() throws {
    let cases = try #require(try AzureSignatureTests.fixture("aws_profiles.json").object)
    #expect(!cases.isEmpty)
    for file in cases {
      let lines = try #require(file.value["lines"]?.array).compactMap(\.string)
      let found = AWSProfiles(credentials: lines.joined(separator: "\n"))
      for expected in try #require(file.value["profiles"]?.object) {
        let ours = found.profile(expected.name)
        let keys = expected.value["aws_access_key_id"]?.string.map {
          S3Credentials(accessKey: $0, secretKey: expected.value["aws_secret_access_key"]?.string ?? "")
        }
        #expect(ours?.kind == keys.map { AWSProfile.Kind.keys($0) }, "\(file.name): \(expected.name)")
        #expect(ours?.region == expected.value["region"]?.string, "\(file.name): \(expected.name)")
      }
    }
  }

  @Test func theOrderIsAmazons() throws {
    var all = AWSSettings()
    all.accessKeyID = "AKID"
    all.secretAccessKey = "s"
    all.sessionToken = "t"
    all.webIdentityTokenFile = "/token"
    all.roleARN = "arn"
    all.profile = "default"
    all.containerRelativeURI = "/v2/credentials/1"
    all.metadataEndpoint = "http://127.0.0.1:1"
    func next() throws -> AWSCredentialChoice {
      try AWSCredentialChoice(all, profile: all.profile.flatMap { profiles.profile($0) })
    }
    #expect(try next() == .keys(S3Credentials(accessKey: "AKID", secretKey: "s", sessionToken: "t")))
    (all.accessKeyID, all.secretAccessKey) = ("", nil)  // an empty variable is an unset one
    #expect(try next() == .webIdentity(.init(arn: "arn", tokenFile: "/token", sessionName: nil)))
    all.webIdentityTokenFile = nil
    #expect(try next() == .profile(AWSProfiles.Place(all), name: "default"))
    all.profile = nil
    guard case .container(let container) = try next() else {
      Issue.record("no container")
      return
    }
    #expect(container.url == "http://169.254.170.2/v2/credentials/1" && container.token == nil)
    all.containerRelativeURI = nil
    #expect(try next() == .machine(endpoint: "http://127.0.0.1:1"))
    all.metadataDisabled = "True"
    #expect(#expect(throws: NebulaError.self) { try next() }?.code == .credentialsUnavailable)
  }

  @Test func contradictionsAndHalves() throws {
    let bad: [(String, (inout AWSSettings) -> Void)] = [
      ("aws_secret_access_key", { $0.accessKeyID = "s3cr3t" }),
      ("aws_access_key_id", { $0.secretAccessKey = "s3cr3t" }),
      ("aws_role_arn", { $0.webIdentityTokenFile = "/t" }),
      ("aws_profile", { $0.profile = "unknown" }), ("aws_profile", { $0.profile = "empty" }),
      ("aws_profile", { $0.profile = "sso" }), ("aws_profile", { $0.profile = "process" }),
      ("aws_profile", { $0.profile = "chained" }),
      ("aws_container_credentials_relative_uri", { $0.containerRelativeURI = "@evil.example/x" }),
      ("aws_container_credentials_full_uri", { $0.containerFullURI = "http://evil.example/x" }),
    ]
    for (place, change) in bad {
      let error = #expect(throws: NebulaError.self) { try choice(change) }
      #expect(error?.place?.path == place && error?.exit == .configuration)
      #expect(error?.description.contains("s3cr3t") == false)
    }
    #expect(#expect(throws: NebulaError.self) { try choice { $0.profile = "sso" } }?.message.contains("SSO") == true)
  }

  @Test(arguments: [
    ("https://any.example/x", true), ("http://127.0.0.1:8080/x", true), ("http://localhost/x", true),
    ("http://[::1]:80/x", true), ("http://169.254.170.2/x", true), ("http://169.254.170.23/v1/credentials", true),
    ("http://[fd00:ec2::23]/v1/credentials", true), ("http://169.254.169.254/x", false), ("http://10.0.0.1/x", false),
    ("http://evil.example/x", false), ("http://169.254.170.2@evil.example/", false),
    ("http://127.0.0.1.evil.example/", false),
    ("ftp://127.0.0.1/x", false), ("", false),
  ]) func hostsThatMayBeAsked(url: String, isAllowed: Bool) { #expect(AWSContainer.mayBeAsked(url) == isAllowed) }

  @Test func keysAreNotPrinted() {
    let keys = AWSKeys(S3Credentials(accessKey: "A", secretKey: "s3cr3t", sessionToken: "t0k"), lifetime: .zero)
    for text in ["\(keys)", String(reflecting: keys)] { #expect(!text.contains("s3cr3t") && !text.contains("t0k")) }
  }
}
