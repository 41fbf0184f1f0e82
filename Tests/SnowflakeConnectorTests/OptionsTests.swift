import NebulaCore
import Testing

@testable import SnowflakeConnector

@Suite struct OptionsTests {
  static let base: Properties = [
    "account": "acme-eu1", "user": "LOADER", "password": "x", "database": "RAW", "schema": "SHOP", "table": "ORDERS",
  ]

  private func failure(_ name: String, _ value: String) -> NebulaError? {
    var properties = Self.base
    properties[name] = .scalar(value, at: .init(path: name))
    do throws(NebulaError) {
      _ = try SnowflakeOptions(decoding: properties)
      return nil
    } catch { return error }
  }

  /// Another account, or another fence and ledger, is another destination: its position is not this one's.
  @Test(arguments: [
    ["host": "b.snowflakecomputing.com"], ["account_url": "https://b.snowflakecomputing.com"],
    ["host": "a.snowflakecomputing.com", "control_schema": "ELSEWHERE"],
  ]) func theAccountAndTheControlSchemaAreIdentity(_ changed: [String: String]) {
    func identity(_ given: [String: String]) -> [String: String] {
      var properties = Self.base
      properties["account"] = nil
      for (name, value) in given { properties[name] = .scalar(value, at: .init(path: name)) }
      return Connector.snowflakeOptimized.specification.identity(of: properties)
    }
    #expect(identity(changed) != identity(["host": "a.snowflakecomputing.com"]))
  }

  @Test func defaultsAreTheIssues() throws {
    let options = try SnowflakeOptions(decoding: Self.base)
    #expect(options.microBatchSize == nil && options.maxFileSize == .mebibytes(192))
    #expect(MicroBatches(options).epoch == EpochLimits(age: .seconds(5), ageBehind: .seconds(60)))
    #expect(options.connectionPoolSize == 4 && options.filesPerCopy == 100)
    #expect(options.maxRowBytes == .mebibytes(16) && options.parallelUploads >= 3)
    #expect(options.compression(for: .documents) == .zstd && options.compression(for: .csv([])) == .gzip)
  }

  @Test(arguments: [
    ("enable_streaming", "true"), ("authenticator", "externalbrowser"), ("authenticator", "WORKLOAD_IDENTITY"),
  ])
  func whatIsNotBuiltIsRefusedClearly(_ name: String, _ value: String) throws {
    let error = try #require(failure(name, value))
    #expect(error.code == .notSupported && error.exit == .configuration)
    #expect(error.place?.path == name && error.message.contains("not supported yet"))
  }

  @Test(arguments: [
    ("use_external_stage", "false"), ("enable_streaming", "false"), ("async_copy", "true"), ("stage_retention", "7d"),
    ("write_mode", "append"),
    ("files_per_copy", "1000"), ("max_row_bytes", "128MiB"), ("file_format", "csv"), ("host", "http://127.0.0.1:99"),
    ("account_url", "https://acme.snowflakecomputing.com/"), ("stage_prefix", ""),
  ])
  func whatIsBuiltIsAccepted(_ name: String, _ value: String) { #expect(failure(name, value) == nil) }

  @Test(arguments: [
    ("files_per_copy", "1001"), ("max_row_bytes", "129MiB"), ("micro_batch_size", "0"), ("parallel_uploads", "65"),
    ("host", "http://example.com"), ("host", "https://x/y"), ("stage_prefix", "a b"), ("table", "{what}"),
    ("table", "{database"), ("compression_level", "3"), ("private_key", "k"),
  ])
  func badValuesAreNamed(_ name: String, _ value: String) throws {
    // A key beside a password is no contradiction; it decides the method, and is read when a login needs it.
    if name == "private_key" { return #expect(failure(name, value) == nil) }
    let error = try #require(failure(name, value))
    #expect(error.code == .badProperty && error.exit == .configuration)
  }

  @Test func secretsAreMarkedAndIdentityIsComplete() {
    let specification = Connector.snowflakeOptimized.specification
    let secret = specification.properties.filter(\.isSecret).map(\.name)
    let clouds = SnowflakeOptions.externalStage.map(\.specification.name)
    #expect(
      secret.filter { !clouds.contains($0) } == [
        "password", "passcode", "private_key", "private_key_passphrase", "token", "oauth_client_secret",
      ])
    #expect(
      specification.properties.filter(\.isIdentity).map(\.name) == [
        "account", "database", "schema", "table", "control_schema",
      ])
    #expect(
      specification.properties.first { $0.name == "private_key_path" }?.environment == ["SNOWFLAKE_PRIVATE_KEY_PATH"])
  }

  @Test func copyOptionsThatBreakTheCountAreRefusedWithTheReason() throws {
    #expect(try CopyOptions(["on_error": "abort_statement"]).clauses == [])
    #expect(try CopyOptions(["ENFORCE_LENGTH": "true"]).clauses == ["ENFORCE_LENGTH=TRUE"])
    for (name, value) in [("ON_ERROR", "SKIP_FILE_3"), ("FORCE", "TRUE"), ("PURGE", "TRUE"), ("FORCE", "FALSE")] {
      let error = #expect(throws: NebulaError.self) { try CopyOptions([name: value]) }
      #expect(error?.code == .notSupported)
    }
    #expect(throws: NebulaError.self) { try CopyOptions(["NONSENSE": "1"]) }
  }

  /// Where the encoder looks at lengths before COPY does, cutting would never happen.
  @Test(arguments: ["write_mode", "contract", "file_format", ""])
  func textsAreCutOnlyWhereCopyJudgesThem(_ property: String) throws {
    var options = SnowflakeOptions()
    (options.account, options.user, options.password) = ("a", "u", "p")
    (options.database, options.schema, options.table) = ("D", "S", "T")
    switch property {
    case "write_mode": (options.writeMode, options.key) = (.merge, ["id"])
    case "contract": options.contract = .evolve
    case "file_format": options.fileFormat = .parquet
    default: break
    }
    options.copyOptions = ["ENFORCE_LENGTH": "TRUE"]
    try options.validate()
    options.copyOptions = ["TRUNCATECOLUMNS": "TRUE"]
    guard !property.isEmpty else { return try options.validate() }
    let error = #expect(throws: NebulaError.self) { try options.validate() }
    #expect(error?.place?.path == "copy_options")
  }

  @Test func loginMethodFollowsFromWhatIsGiven() throws {
    var options = SnowflakeOptions()
    #expect(throws: NebulaError.self) { try options.loginMethod() }
    options.password = "x"
    #expect(try options.loginMethod() == .password)
    options.passcode = "123456"
    #expect(try options.loginMethod() == .passwordWithMFA)
    options.authenticator = .password
    #expect(try options.loginMethod() == .passwordWithMFA)
    options.authenticator = nil
    options.tokenFilePath = "x"
    #expect(try options.loginMethod() == .accessToken)
    options.oauthClientID = "x"
    #expect(try options.loginMethod() == .clientCredentials)
    options.privateKeyPath = "x"
    #expect(try options.loginMethod() == .keyPair)
    options.authenticator = .oauth
    #expect(try options.loginMethod() == .oauth)
  }

  static let lacking: [([String: String], String)] = [
    (["authenticator": "oauth_client_credentials"], "oauth_client_id"),
    (["oauth_client_id": "c"], "oauth_client_secret"),
    (["authenticator": "oauth"], "token"), (["authenticator": "snowflake_jwt"], "private_key_path"),
    (["authenticator": "username_password_mfa", "password": ""], "password"), (["password": ""], "private_key_path"),
    (["token": "t", "token_file_path": "p"], "token_file_path"),
    (
      ["oauth_client_id": "c", "oauth_client_secret": "s", "oauth_token_request_url": "http://example.com/t"],
      "oauth_token_request_url"
    ),
    (
      ["oauth_client_id": "c", "oauth_client_secret": "s", "oauth_token_request_url": "https://a:b@example.com/t"],
      "oauth_token_request_url"
    ),
  ]

  @Test(arguments: lacking) func whatALoginLacksIsNamed(_ given: [String: String], _ path: String) throws {
    var properties = Self.base
    for (name, text) in given { properties[name] = text.isEmpty ? nil : .scalar(text, at: .init(path: name)) }
    let error = try #require(throws: NebulaError.self) { _ = try SnowflakeOptions(decoding: properties) }
    #expect(error.place?.path == path && error.exit == .configuration && !error.remedy.isEmpty)
  }

  @Test func accountNamesForLogin() {
    #expect(Endpoint.loginName("acme-eu1") == "ACME-EU1")
    #expect(Endpoint.loginName("xy12345.eu-west-1.aws") == "XY12345")
    #expect(Endpoint.loginName("acme-123abc.global") == "ACME")
  }
}
