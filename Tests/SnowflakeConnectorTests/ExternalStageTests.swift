import Foundation
import NebulaCore
import NebulaHTTP
import NebulaObjectStores
import Testing

@testable import SnowflakeConnector

/// What options of an external stage mean, and what Snowflake is told.
@Suite struct ExternalStageDefinitionTests {
  func options(_ given: [String: String]) throws -> SnowflakeOptions {
    var properties = OptionsTests.base
    properties["use_external_stage"] = .scalar("true", at: .init(path: "use_external_stage"))
    for (name, text) in given { properties[name] = .scalar(text, at: .init(path: name)) }
    return try SnowflakeOptions(decoding: properties)
  }
  static let name = TableName(
    database: Identifier(exactly: "RAW"), schema: Identifier(exactly: "SHOP"), name: Identifier(exactly: "EXT"))

  func definition(_ given: [String: String]) throws -> ExternalStageDefinition {
    let external = try options(given).external
    return try ExternalStageDefinition(try external.location(), external)
  }
  func create(_ given: [String: String]) throws -> String { try definition(given).create(Self.name) }

  @Test func statements() throws {
    let begin = #"CREATE STAGE IF NOT EXISTS "RAW"."SHOP"."EXT" URL = "#
    #expect(
      try create(["external_stage_url": "s3://bucket/x", "storage_integration": "acme_s3"])
        == begin + "'s3://bucket/x/' STORAGE_INTEGRATION = ACME_S3")
    #expect(
      try create(["external_stage_url": "gs://bucket", "storage_integration": "\"it's \"\"x\""])
        == begin + #"'gcs://bucket/' STORAGE_INTEGRATION = "it's ""x""#)
    #expect(
      try create([
        "external_stage_url": "s3://bucket/x", "aws_access_key_id": "AKID", "aws_secret_access_key": "s'c\\r/t+",
      ]) == begin + #"'s3://bucket/x/' CREDENTIALS = (AWS_KEY_ID = 'AKID' AWS_SECRET_KEY = 's''c\\r/t+')"#)
    #expect(
      try create([
        "external_stage_url": "azure://acct.blob.core.windows.net/con/x", "azure_sas_token": "sv=1&sig=x%3D",
      ]) == begin
        + "'azure://acct.blob.core.windows.net/con/x/' CREDENTIALS = (AZURE_SAS_TOKEN = '?sv=1&sig=x%3D')")
    #expect(
      try create([
        "external_stage_url": "s3compat://bucket/x", "aws_access_key_id": "AKID", "aws_secret_access_key": "s",
        "aws_endpoint": "https://minio.example.com:9000/",
      ]) == begin
        + "'s3compat://bucket/x/' ENDPOINT = 'minio.example.com:9000' CREDENTIALS = (AWS_KEY_ID = 'AKID' AWS_SECRET_KEY = 's')"
    )
  }

  @Test(arguments: [
    (["external_stage_url": "gcs://bucket/x"], "no other way"),
    (["external_stage_url": "s3://bucket/x"], "keys that expire"),
    (
      [
        "external_stage_url": "s3://bucket/x", "aws_access_key_id": "A", "aws_secret_access_key": "S3CRET",
        "aws_session_token": "T0KEN",
      ], "session token expire"
    ),
    (
      ["external_stage_url": "azure://acct.blob.core.windows.net/con", "azure_account_key": "S3CRET"],
      "shared access signature only"
    ),
  ]) func whatCannotBeWrittenIntoAStage(given: [String: String], why: String) throws {
    let error = #expect(throws: NebulaError.self) { try create(given) }
    #expect(error?.message.contains(why) == true && error?.place?.path == "storage_integration")
    #expect(error?.remedy.contains("CREATE STORAGE INTEGRATION") == true)
    #expect(error?.description.contains("S3CRET") == false && error?.description.contains("T0KEN") == false)
  }

  @Test(
    arguments: [
      ("external_stage_url", [:]), ("external_stage_url", ["external_stage_url": "s3://bucket/../x"]),
      ("external_stage_type", ["external_stage_url": "s3://bucket/x", "external_stage_type": "AZURE"]),
      ("storage_integration", ["external_stage_url": "s3://bucket/x", "storage_integration": ""]),
      (
        "storage_integration",
        ["external_stage_url": "s3compat://bucket/x", "storage_integration": "i", "aws_endpoint": "https://h"]
      ),
      ("aws_endpoint", ["external_stage_url": "s3compat://bucket/x"]),
      ("s3_kms_key_id", ["external_stage_url": "s3://bucket/x", "s3_kms_key_id": "k"]),
      ("s3_encryption", ["external_stage_url": "gcs://bucket/x", "s3_encryption": "AES256"]),
      ("external_stage_url", ["external_stage_url": "s3://bucket/x", "use_external_stage": "false"]),
      ("storage_integration", ["storage_integration": "i", "use_external_stage": "false"]),
    ] as [(String, [String: String])]) func contradictions(
      place: String, given: [String: String]
    )
  {
    let error = #expect(throws: NebulaError.self) { try options(given) }
    #expect(error?.place?.path == place && error?.exit == .configuration)
  }

  @Test func whatIsGood() throws {
    #expect(try options(["external_stage_url": "s3://bucket/x", "external_stage_type": "s3"]).external.type == .s3)
    let encrypted = try options([
      "external_stage_url": "s3://b-1/x", "s3_encryption": "aws:kms", "s3_kms_key_id": "k",
    ])
    #expect(encrypted.external.storeSettings.encryption == S3Encryption(algorithm: "aws:kms", keyID: "k"))
  }

  @Test func secretsAreMarked() {
    let secret = Set(SnowflakeOptions.fields.map(\.specification).filter(\.isSecret).map(\.name))
    #expect(
      secret.isSuperset(of: [
        "aws_secret_access_key", "aws_session_token", "aws_container_authorization_token", "gcs_access_token",
        "azure_account_key", "azure_sas_token", "azure_client_secret", "azure_identity_header",
      ]))
  }

  @Test func aStageThatIsThere() throws {
    let definition = try definition(["external_stage_url": "s3://bucket/x", "storage_integration": "i"])
    func check(_ value: String?) throws {
      let rows: [[String?]] = value.map { [["STAGE_LOCATION", "URL", "String", $0]] } ?? []
      try definition.check(
        QueryResult(columns: ["parent_property", "property", "property_type", "property_value"], rows: rows), Self.name)
    }
    for good in ["[\"s3://bucket/x/\"]", "[\"s3://bucket/x\"]", "s3://bucket/x/"] { try check(good) }
    for bad in [nil, "", "[]", "[\"s3://bucket/y/\"]", "[\"s3://bucket/x/y/\"]", "[\"s3://bucket/\"]"] {
      let error = #expect(throws: NebulaError.self) { try check(bad) }
      #expect(error?.code == .stageFailed && error?.place?.path == "external_stage_url")
    }
  }

  @Test func refusalsDoNotRepeatSecrets() throws {
    let definition = try definition([
      "external_stage_url": "s3://bucket/x", "aws_access_key_id": "AKID", "aws_secret_access_key": "s3'cret",
    ])
    let server = ServerError(number: "1", sqlState: nil, queryID: nil, message: "near 's3''cret' or s3'cret of AKID")
    #expect(definition.redacted(server).message == "near '***' or *** of ***")
  }
}

/// An external stage in each cloud's store, with the least of Snowflake beside it.
@Suite(.enabled(if: StandIn.isAvailable), .serialized) final class ExternalStageTests {
  static let server = Result { try PythonServer("external_stage_server.py") }
  let server: PythonServer
  private let http = HTTPClient()

  init() async throws {
    server = try Self.server.get()
    try await tell(["reset": true], to: "stores")
    try await tell([:])
  }

  private func tell(_ order: JSONValue, to place: String = "snowflake") async throws {
    let url = "http://127.0.0.1:\(server.port(place))/__ctl"
    _ = try await http.perform(HTTPRequest(method: "POST", url: url, body: .bytes(order.bytes)))
  }
  private func asked(_ place: String, _ path: String) async throws -> JSONValue {
    let url = "http://127.0.0.1:\(server.port(place))\(path)"
    return try JSONValue(parsing: try await http.perform(HTTPRequest(url: url)).body)
  }
  private func statements() async throws -> [String] {
    try await asked("snowflake", "/__sql").array?.compactMap(\.string) ?? []
  }
  private func objects() async throws -> [String] {
    try await asked("stores", "/__objects").object?.map(\.name).filter { $0.hasPrefix("/") }.sorted() ?? []
  }

  static let clouds = ["s3://bucket/x", "azure://acct.blob.core.windows.net/container/x", "gcs://bucket/x"]
  static func path(_ url: String) -> String {
    url.hasPrefix("s3") ? "/bucket/x/" : url.hasPrefix("azure") ? "/azure/container/x/" : "/gcs/bucket/x/"
  }

  func rig(_ url: String, pipeline: String = "orders", _ changes: [(String, String)] = []) throws -> Rig {
    let stores = "http://127.0.0.1:\(server.port("stores"))"
    return try Rig(
      url: "http://127.0.0.1:\(server.port("snowflake"))", pipeline: pipeline,
      uploads: { $0.retry.maxAttempts = 3 },
      [
        ("use_external_stage", "true"), ("external_stage_url", url), ("storage_integration", "ACME"),
        ("aws_access_key_id", "AKIDEXAMPLE"), ("aws_secret_access_key", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        ("aws_endpoint", stores), ("azure_endpoint", stores + "/azure"),
        ("azure_sas_token", "sv=2023-11-03&sp=rcwd&sig=SECRETSIG%2B%3D"), ("gcs_access_token", "SECRET-token"),
        ("gcs_endpoint", stores),
      ] + changes)
  }

  private func staged(_ text: String) -> StagedBody {
    let bytes = Array(text.utf8)
    return StagedBody(body: .bytes(bytes), sha256: Crypto.sha256(bytes), md5: Crypto.md5(bytes))
  }

  @Test(arguments: clouds) func aStageIsMadeProvenAndUsed(url: String) async throws {
    let rig = try rig(url)
    let stage = await rig.destination.stage
    try await stage.ensure(folder: "nebula/orders")
    #expect(try await objects().isEmpty)  // no probe is left
    let said = try await statements()
    #expect(
      said.contains {
        $0.hasPrefix(#"CREATE STAGE IF NOT EXISTS "RAW"."SHOP"."NEBULA_STAGE" URL = '\#(url)/' STORAGE_"#)
      })
    #expect(said.contains { $0.hasPrefix(#"LIST @"RAW"."SHOP"."NEBULA_STAGE"/nebula/orders/.nebula-probe-"#) })
    #expect(!said.contains { $0.hasPrefix("PUT") })
    try await stage.ensure(folder: "nebula/orders")
    #expect(try await statements().filter { $0.hasPrefix("CREATE") }.count == 1)

    let folder = "nebula/orders/ORDERS"
    let preparation = try await stage.preparation(folder: folder, file: "1-1-000001.csv.gz", .gzip)
    #expect(preparation.encryption == nil && preparation.needsMD5)
    for name in ["1-1-000001.csv.gz", "1-1-000002.csv.gz", "1-11-000001.csv.gz", "2-1-000001.csv.gz"] {
      try await stage.upload(staged("content of \(name)"), file: name, folder: folder, encryption: nil, .gzip)
      try await stage.upload(staged("content of \(name)"), file: name, folder: folder, encryption: nil, .gzip)  // ours
    }
    let taken = await #expect(throws: NebulaError.self) {
      try await stage.upload(self.staged("another"), file: "1-1-000001.csv.gz", folder: folder, encryption: nil, .gzip)
    }
    #expect(taken?.code == .stagedNameTaken)
    let size = UInt64("content of 1-1-000001.csv.gz".utf8.count)
    #expect(try await stage.list(folder)["1-1-000001.csv.gz"] == size)
    #expect(try await stage.list(folder).count == 4)
    #expect(try await stage.list("nebula/orders").isEmpty)
    try await stage.remove(folder, prefix: "1-1-")
    let left = try await stage.entries(below: "nebula/orders").map { "\($0.table)/\($0.name)" }
    #expect(left.sorted() == ["ORDERS/1-11-000001.csv.gz", "ORDERS/2-1-000001.csv.gz"])
    try await stage.remove("nebula/orders", prefix: "ORDERS/1-")
    #expect(try await objects() == [Self.path(url) + folder + "/2-1-000001.csv.gz"])
    await rig.close()
    for line in rig.log.all { #expect(!line.contains("SECRET") && !line.contains("wJalr")) }
  }

  /// Rows that a load left out are read back from the bucket, proven to be what was written there.
  @Test(arguments: clouds) func stagedRowsAreReadBack(url: String) async throws {
    let rig = try rig(url)
    let stage = await rig.destination.stage
    let text = "{\"a\":1}\n{}\n{\"b\":\"c\"}\n"
    let folder = "nebula/orders/T"
    try await stage.upload(staged(text), file: "1-1-000001.json", folder: folder, encryption: nil, .none)
    let file = StagedFile(
      name: "1-1-000001.json", rows: 3, bytes: 9, sha256: Crypto.hex(Crypto.sha256(Array(text.utf8))))
    let table = StagedTable(
      table: ExternalStageDefinitionTests.name, layout: .documents, compression: .none, folder: folder, files: [file])
    var rows: [String] = []
    try await stage.read(file, of: table) { rows.append(String(decoding: $0.bytes, as: UTF8.self)) }
    #expect(rows == ["{\"a\":1}", "{}", "{\"b\":\"c\"}"])
    for (name, change) in [
      ("rows", { $0.rows = 4 }), ("sha256", { $0.sha256 = "ab" }), ("name", { $0.name = "1-1-2" }),
    ]
      as [(String, (inout StagedFile) -> Void)]
    {
      var other = file
      change(&other)
      let error = await #expect(throws: NebulaError.self, "\(name)") { try await stage.read(other, of: table) { _ in } }
      #expect(error?.code == .stageFailed && error?.isRetryable == true, "\(name)")
    }
    await rig.close()
  }

  /// Nothing of another pipeline's, and nothing that is no file of an epoch, is removed or written.
  @Test(arguments: clouds) func othersFilesAreNotTouched(url: String) async throws {
    let rig = try rig(url)
    let stage = await rig.destination.stage
    let others = ["nebula/orders2/T/1-1-1.csv", "nebula/orders/T/readme", "nebula/orders-1/1-1-1.csv", "1-1-1.csv"]
    for key in others { try await tell(["put": ["path": .string(Self.path(url) + key), "body": "x"]], to: "stores") }
    for (folder, prefix) in [
      ("nebula/orders2/T", "1-"), ("nebula", "orders2/T/1-"), ("", "1-"), ("nebula/orders/../orders2/T", "1-"),
      ("nebula/orders/T", ""), ("nebula/orders/T", "read"), ("nebula/orders/T", "1"), ("nebula/orders", "T/"),
    ] {
      await #expect(throws: NebulaError.self) { try await stage.remove(folder, prefix: prefix) }
    }
    await #expect(throws: NebulaError.self) { try await stage.list("nebula/orders2/T") }
    await #expect(throws: NebulaError.self) { _ = try await stage.entries(below: "nebula") }
    await #expect(throws: NebulaError.self) {
      try await stage.upload(self.staged("x"), file: "f", folder: "nebula/orders2", encryption: nil, .none)
    }
    try await stage.remove("nebula/orders", prefix: "T/1-")
    #expect(try await objects() == others.map { Self.path(url) + $0 }.sorted())
    await rig.close()
  }

  @Test func keysInAStage() async throws {
    let rig = try rig("s3://bucket/x", [("storage_integration", "")])
    let stage = await rig.destination.stage
    try await stage.ensure(folder: "nebula/orders")
    #expect(
      try await statements().contains {
        $0.contains("CREDENTIALS = (AWS_KEY_ID = 'AKIDEXAMPLE' AWS_SECRET_KEY = 'wJalr")
      })
    #expect(rig.log.all.contains { $0.contains("keys of its own") } && !rig.log.all.contains { $0.contains("wJalr") })
    try await tell(["refuse": "not permitted"])
    let error = await #expect(throws: NebulaError.self) { try await stage.ensure(folder: "nebula/orders") }
    #expect(error?.code == .notPermitted && error?.description.contains("wJalr") == false)
    await rig.close()
  }

  @Test func aStageElsewhere() async throws {
    for there in ["s3://bucket/y/", ""] {
      try await tell(["stages": ["\"RAW\".\"SHOP\".\"NEBULA_STAGE\"": .string(there)]])
      let rig = try rig("s3://bucket/x")
      let stage = await rig.destination.stage
      let error = await #expect(throws: NebulaError.self) { try await stage.ensure(folder: "nebula/orders") }
      #expect(error?.code == .stageFailed && error?.place?.path == "external_stage_url")
      #expect(await stage.check(folder: "nebula/orders").contains { !$0.passed })
      await rig.close()
    }
    #expect(try await objects().isEmpty)
  }

  /// Our client writes to one account, Snowflake reads another: COPY would never find a file.
  @Test(arguments: clouds) func differentPlaces(url: String) async throws {
    try await tell(["blind": true])
    let rig = try rig(url)
    let stage = await rig.destination.stage
    let error = await #expect(throws: NebulaError.self) { try await stage.ensure(folder: "nebula/orders") }
    #expect(error?.message.contains("different places") == true)
    #expect(try await objects().isEmpty)
    await rig.close()
  }

  @Test func aStoreThatTakesNoNoticeOfConditions() async throws {
    try await tell(["lenient": true], to: "stores")
    let rig = try rig("s3://bucket/x")
    let stage = await rig.destination.stage
    let error = await #expect(throws: NebulaError.self) { try await stage.ensure(folder: "nebula/orders") }
    #expect(error?.code == .objectsNotSupported)
    #expect(try await objects().isEmpty)
    await rig.close()
  }

  @Test(arguments: clouds) func findings(url: String) async throws {
    let rig = try rig(url)
    let stage = await rig.destination.stage
    let before = await stage.check(folder: "nebula/orders")
    #expect(before.count == 2 && before.allSatisfy(\.passed))
    #expect(try await !statements().contains { $0.hasPrefix("CREATE") })
    #expect(try await objects().isEmpty)
    try await stage.ensure(folder: "nebula/orders")
    #expect(await stage.check(folder: "nebula/orders").allSatisfy(\.passed))
    await rig.close()
    let missing = try self.rig(
      url.replacingOccurrences(of: "bucket", with: "missing").replacingOccurrences(of: "container", with: "missing"))
    #expect(await !missing.destination.stage.check(folder: "nebula/orders")[0].passed)
    await missing.close()
  }
}
