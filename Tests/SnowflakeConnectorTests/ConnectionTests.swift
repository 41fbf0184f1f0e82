import Foundation
import NebulaCore
import Testing

@testable import SnowflakeConnector

/// A home folder with files of its own.
private struct Home: ~Copyable {
  let path = NSTemporaryDirectory() + "nebula-home-\(UUID().uuidString)"
  func write(_ name: String, _ text: String, mode: Int = 0o600) throws {
    let file = "\(path)/\(name)"
    try FileManager.default.createDirectory(
      atPath: (file as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    try Data(text.utf8).write(to: URL(fileURLWithPath: file))
    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file)
  }
  func complete(_ written: Properties, _ environment: [String: String] = [:]) -> Completion {
    SnowflakeOptions.complete(written, ["HOME": path].merging(environment) { $1 })
  }
  deinit { try? FileManager.default.removeItem(atPath: path) }
}

extension Properties {
  fileprivate var texts: [String: String] {
    Dictionary(uniqueKeysWithValues: entries.map { ($0.name, $0.value.canonical) })
  }
}

private let file = """
  [dev]
  account = "acme-dev"
  user = "DEV"
  password = "planted-dev"

  [prod]
  account = "acme-eu1"
  user = "LOADER"
  authenticator = "SNOWFLAKE_JWT"
  private_key_path = "~/key.p8"
  database = "RAW"
  schema = "SHOP"
  warehouse = "LOAD_WH"
  role = "LOADER"
  client_session_keep_alive = true
  session_parameters = { QUERY_TAG = "x" }
  """

@Suite struct ConnectionTests {
  @Test func aConnectionGivesWhatIsNotWritten() throws {
    let home = Home()
    try home.write(".snowflake/connections.toml", file)
    let completion = home.complete(["connection": "prod", "table": "ORDERS", "warehouse": "BIG"])
    #expect(completion.errors == [])
    #expect(
      completion.properties.texts == [
        "connection": "prod", "table": "ORDERS", "warehouse": "BIG", "account": "acme-eu1", "user": "LOADER",
        "authenticator": "SNOWFLAKE_JWT", "private_key_path": "\(home.path)/key.p8", "database": "RAW",
        "schema": "SHOP", "role": "LOADER",
      ])
    let notes = completion.remarks.map(\.text)
    #expect(notes.count == 1 && notes[0].hasSuffix("client_session_keep_alive, session_parameters not used here."))
    #expect(completion.properties["account"]?.place.line == 7)
    _ = try SnowflakeOptions(decoding: completion.properties)
  }

  /// The heart of it: wherever a value is written, the pipeline is the same one.
  @Test func theIdentityIsThatOfTheResolvedValues() throws {
    let home = Home()
    try home.write(".snowflake/connections.toml", file)
    let specification = Connector.snowflakeOptimized.specification
    let written: Properties = [
      "account": "acme-eu1", "database": "RAW", "schema": "SHOP", "table": "ORDERS", "user": "U", "token": "t",
    ]
    let named = home.complete(["connection": "prod", "table": "ORDERS"]).properties
    let mixed = home.complete(["connection": "prod", "table": "ORDERS", "schema": "SHOP"]).properties
    let variables = home.complete(
      ["connection": "prod", "table": "ORDERS"], ["SNOWFLAKE_CONNECTIONS_PROD_SCHEMA": "SHOP"])
    for given in [named, mixed, variables.properties] {
      #expect(specification.identity(of: given) == specification.identity(of: written))
    }
    let other = home.complete(["connection": "dev", "table": "ORDERS", "database": "RAW", "schema": "SHOP"]).properties
    #expect(specification.identity(of: other) != specification.identity(of: written))
  }

  @Test func writtenBeforeVariableOfTheConnectionBeforeFileBeforeVariable() throws {
    let home = Home()
    try home.write(".snowflake/connections.toml", "[p]\naccount = \"file\"\nuser = \"file\"\nrole = \"file\"\n")
    let environment = [
      "SNOWFLAKE_CONNECTIONS_P_USER": "own", "SNOWFLAKE_CONNECTIONS_P_ROLE": "own",
      "SNOWFLAKE_CONNECTIONS_P_EU_ROLE": "another's", "SNOWFLAKE_ACCOUNT": "usual", "SNOWFLAKE_PASSWORD": "usual",
    ]
    let completion = home.complete(["connection": "p", "role": "written"], environment)
    #expect(
      completion.properties.texts == [
        "connection": "p", "role": "written", "user": "own", "account": "file", "password": "usual",
      ])
  }

  @Test func theUsualConnectionIsForPipelinesThatNameNoAccount() throws {
    let home = Home()
    try home.write(".snowflake/connections.toml", file)
    let usual = ["SNOWFLAKE_DEFAULT_CONNECTION_NAME": "prod"]
    #expect(home.complete(["table": "T"], usual).properties["account"]?.text == "acme-eu1")
    let own = home.complete(["table": "T", "account": "mine"], usual)
    #expect(own.properties.texts == ["table": "T", "account": "mine"] && own.closed == ["connection"])
    #expect(home.complete(["table": "T"]).properties.texts == ["table": "T"])
    #expect(home.complete(["connection": "dev"], usual).properties["account"]?.text == "acme-dev")
  }

  @Test func placesInTheirOrder() throws {
    let home = Home()
    func account(_ environment: [String: String] = [:], _ more: Properties = [:]) -> String? {
      var written: Properties = ["connection": "c"]
      for entry in more.entries { written[entry.name] = entry.value }
      return home.complete(written, environment).properties["account"]?.text
    }
    try home.write(".config/snowflake/config.toml", "[connections.c]\naccount = \"config\"\n")
    #expect(account() == "config")
    try home.write(".config/snowflake/connections.toml", "[c]\naccount = \"xdg\"\n")
    #expect(account() == "xdg")
    try home.write("x/snowflake/connections.toml", "[c]\naccount = \"own xdg\"\n")
    #expect(account(["XDG_CONFIG_HOME": "\(home.path)/x"]) == "own xdg")
    try home.write(".snowflake/config.toml", "[connections.c]\naccount = \"home config\"\n")
    #expect(account(["XDG_CONFIG_HOME": "\(home.path)/x"]) == "home config")
    try home.write(".snowflake/connections.toml", "[c]\naccount = \"home\"\n")
    #expect(account() == "home")
    try home.write("s/connections.toml", "[c]\naccount = \"set\"\n")
    #expect(account(["SNOWFLAKE_HOME": "~/s"]) == "set")
    #expect(account(["SNOWFLAKE_HOME": "\(home.path)/none"]) == "xdg")
    try home.write("other.toml", "[connections.c]\naccount = \"named\"\n")
    #expect(account([:], ["connections_file": "~/other.toml"]) == "named")
  }

  @Test func whatIsMissingIsTold() throws {
    let home = Home()
    let nothing = try #require(home.complete(["connection": "prod"]).errors.first)
    #expect(
      nothing.code == .noConnection && nothing.message.contains("\(home.path)/.config/snowflake/connections.toml"))
    try home.write(".snowflake/connections.toml", file)
    let typo = try #require(home.complete(["connection": "prd"]).errors.first)
    #expect(typo.code == .noConnection && typo.remedy == "Did you mean 'prod'? Known: dev, prod.")
    let gone = try #require(home.complete(["connection": "prod", "connections_file": "/none.toml"]).errors.first)
    #expect(gone.code == .badConnectionsFile && gone.message.contains("No such file"))
    // No file is needed where the variables say all.
    #expect(home.complete(["connection": "env"], ["SNOWFLAKE_CONNECTIONS_ENV_ACCOUNT": "a"]).errors == [])
    let database = home.complete(["connection": "dev"]).hints["database"]
    #expect(database == "in connection 'dev' of \(home.path)/.snowflake/connections.toml")
  }

  @Test func rightsOfTheFile() throws {
    let home = Home()
    try home.write(".snowflake/connections.toml", "[c]\naccount = \"a\"\n", mode: 0o644)
    let open = home.complete(["connection": "c"])
    #expect(open.errors == [] && open.remarks.map(\.level) == [.warning])
    let remark = try #require(open.remarks.first).text
    #expect(remark.contains("mode 644") && remark.contains("chmod 600"))
    #expect(
      home.complete(["connection": "c"], ["SF_SKIP_TOKEN_FILE_PERMISSIONS_VERIFICATION": "true"]).remarks == [])
    for mode in [0o620, 0o602, 0o666] {
      try home.write(".snowflake/connections.toml", "[c]\naccount = \"a\"\n", mode: mode)
      let error = try #require(home.complete(["connection": "c"]).errors.first)
      #expect(error.code == .badConnectionsFile && error.remedy.contains("chmod 600"))
    }
  }

  @Test(arguments: [
    "[c]\npassword = \"planted-secret", "[c]\npassword = planted-secret", "[c]\npasscode = 99999999999999999999",
    "[c]\npassword = \"planted\u{0}secret\"", "[c]\npassword = \"planted-secret\" planted-secret",
    "[c]\npassword = \"planted-secret\"\npassword = \"planted-secret\"", "[c\n", "a.b.c = 'planted-secret'\na.b = 1",
    String(repeating: "a.", count: 40) + "b = 1",
  ]) func faultsHaveAPlaceAndShowNothing(_ text: String) throws {
    let home = Home()
    try home.write(".snowflake/connections.toml", text)
    let error = try #require(home.complete(["connection": "c"]).errors.first)
    #expect(error.code == .badConnectionsFile && error.exit == .configuration)
    #expect(!"\(error)".contains("planted") && !"\(error)".contains("9999"), "\(error)")
    #expect(error.place?.path.hasSuffix("connections.toml") == true)
    if !text.hasPrefix("a.a.") { #expect((error.place?.line ?? 0) > 0) }
  }

  @Test func aValueOfTheWrongKindHasItsLine() throws {
    let home = Home()
    try home.write(".snowflake/connections.toml", "[c]\naccount = \"a\"\nuser = [\"x\"]\n")
    let error = try #require(home.complete(["connection": "c"]).errors.first)
    #expect(error.place?.line == 3 && error.message.contains("user"))
  }

  @Test func secretsAreKnownAlsoWhereTheyAreNotUsed() throws {
    let home = Home()
    try home.write(
      ".snowflake/connections.toml",
      """
      [c]
      account = "a"
      password = "s1"
      PASSCODE = 123456
      token = "s2"
      token_file_path = "/t"
      oauth_client_secret = "s3"
      private_key_passphrase = "s4"
      proxy_password = "s5"
      session_token = "s6"
      """)
    let completion = home.complete(["connection": "c", "password": "mine"])
    #expect(Set(completion.secrets) == ["s1", "123456", "s2", "s3", "s4", "s5", "s6"])
    #expect(completion.properties["password"]?.text == "mine" && completion.properties["token"] == nil)
  }

  static let addresses: [([String: String], String?)] = [
    (["host": "h.example.com"], "h.example.com"), (["host": "h", "port": "443", "protocol": "https"], "h"),
    (["host": "127.0.0.1", "port": "8080", "protocol": "http"], "http://127.0.0.1:8080"),
    (["account": "a", "port": "444"], "https://a.snowflakecomputing.com:444"), (["account": "a"], nil),
  ]

  @Test(arguments: addresses) func hostPortAndProtocolAreOneAddress(_ keys: [String: String], _ host: String?) throws {
    let home = Home()
    try home.write(
      ".snowflake/connections.toml", "[c]\n" + keys.map { "\($0.key) = \"\($0.value)\"\n" }.sorted().joined())
    #expect(home.complete(["connection": "c"]).properties["host"]?.text == host)
  }

  // MARK: which half of a login goes with which

  typealias Texts = [String: String]
  static let halves: [(Texts, Texts, Set<String>)] = [
    // upper, lower, what is taken from lower
    (["account": "b"], ["account": "a", "host": "a.example.com", "user": "u"], ["user"]),
    (["account": "A"], ["account": "a", "host": "a.example.com"], ["host"]),
    (["account": "b"], ["host": "a.example.com"], ["host"]),
    (["host": "b"], ["account_url": "https://a"], []),
    (["host": "b"], ["host": "a", "account": "a"], ["account"]),
    (["password": "p"], ["authenticator": "snowflake_jwt", "private_key_path": "k"], []),
    (
      ["password": "p"], ["authenticator": "username_password_mfa", "passcode": "1"],
      ["authenticator", "passcode"]
    ),
    (["authenticator": "oauth"], ["token": "t", "password": "p"], ["token"]),
    (["token": "t"], ["token_file_path": "f", "authenticator": "oauth"], ["authenticator"]),
    (["private_key": "k"], ["private_key_path": "f", "private_key_passphrase": "x"], ["private_key_passphrase"]),
    (["oauth_client_secret": "s"], ["oauth_client_id": "i", "password": "p"], ["oauth_client_id"]),
    (["authenticator": "externalbrowser"], ["password": "p"], []),
    (["role": "r"], ["password": "p", "authenticator": "snowflake", "role": "q"], ["password", "authenticator"]),
  ]

  @Test(arguments: halves) func halvesOfLoginsAreNotMixed(_ upper: Texts, _ lower: Texts, _ taken: Set<String>) {
    func properties(_ texts: Texts) -> Properties {
      var result = Properties()
      for (name, text) in texts { result[name] = .scalar(text, at: .init(path: name)) }
      return result
    }
    let merged = ConnectionLayers.merge(properties(upper), over: properties(lower)).texts
    #expect(Set(merged.keys) == taken.union(upper.keys))
    for (name, text) in upper { #expect(merged[name] == text) }
  }

  @Test func theEnvironmentAddsNoOtherAccountOrProof() throws {
    let home = Home()
    try home.write(
      ".snowflake/connections.toml",
      "[k]\naccount = \"a\"\nuser = \"u\"\npassword = \"p\"\n[h]\nhost = \"a.example.com\"\n")
    let environment = [
      "SNOWFLAKE_HOST": "b.example.com", "SNOWFLAKE_TOKEN": "t", "SNOWFLAKE_PRIVATE_KEY_PATH": "k",
      "SNOWFLAKE_ACCOUNT": "b",
    ]
    let full = home.complete(["connection": "k"], environment)
    #expect(full.properties.texts == ["connection": "k", "account": "a", "user": "u", "password": "p"])
    #expect(full.closed.isSuperset(of: ["host", "account_url", "token", "private_key_path", "authenticator"]))
    #expect(home.complete(["connection": "h"], environment).properties["account"] == nil)
  }
}
