import Foundation
import NebulaCore
import NebulaFormats
import NebulaHTTP
import Testing

@testable import SnowflakeConnector

@Suite struct PureTests {
  @Test func manifestComesBackAsItWas() throws {
    let name = TableName(
      database: Identifier(exactly: "D"), schema: Identifier(exactly: "S\"x"), name: Identifier(exactly: "T"))
    let files = [StagedFile(name: "f\u{1F600}", rows: 1, bytes: .init(Int64.max), sha256: "ab")]
    let columns = [LoadColumn(name: Identifier(exactly: "A"), type: "VARIANT", field: "a b")]
    let manifest = Manifest(
      stage: name,
      tables: [TableLayout.documents, .csv(columns), .json(columns)].map {
        StagedTable(table: name, layout: $0, compression: .zstd, folder: "x/y", files: files)
      })
    func prepared(_ bytes: [UInt8], _ version: Int = 2) -> PreparedEpoch {
      PreparedEpoch(.at(1, 2), counts: RecordCounts(), version: version, manifest: bytes)
    }
    #expect(try Manifest(decoding: prepared(manifest.encoded)) == manifest)
    #expect(throws: NebulaError.self) { try Manifest(decoding: prepared(manifest.encoded, 9)) }
    #expect(throws: NebulaError.self) { try Manifest(decoding: prepared(Array(manifest.encoded.dropLast()))) }
    let receipt = CommitReceipt(
      .at(1, 2), counts: RecordCounts(committed: 3, rejected: 1), rows: 3, bytes: 9, files: 1, evidence: ["01b"])
    #expect(try ReceiptText.decode(ReceiptText.encode(receipt), .at(1, 2)) == receipt)
  }

  /// The vectors were made by the Python code of Snowflake's own connector.
  @Test func encryptionEqualsSnowflakesOwn() throws {
    let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
      "Fixtures/encryption_vectors.json")
    let vectors = try #require(try JSONValue(parsing: Array(Data(contentsOf: path))).array)
    #expect(vectors.count == 8)
    for vector in vectors {
      let master = try #require(try StageMasterKey(vector))
      let fileKey = try #require(Crypto.bytes(hex: vector["fileKey_hex"]?.string ?? "-"))
      let iv = try #require(Crypto.bytes(hex: vector["iv_hex"]?.string ?? "-"))
      let file = try FileEncryption(master, fileKey: fileKey, iv: iv)
      let metadata = file.metadata(for: .s3)
      #expect(metadata["x-amz-key"] == vector["x-amz-key"]?.string)
      #expect(metadata["x-amz-iv"] == vector["x-amz-iv"]?.string)
      #expect(metadata["x-amz-matdesc"] == vector["x-amz-matdesc"]?.string)
      let plain = try #require(Crypto.bytes(hex: vector["plaintext_hex"]?.string ?? "-"))
      #expect(Crypto.hex(try Crypto.aesCBCEncrypt(plain, key: fileKey, iv: iv)) == vector["ciphertext_hex"]?.string)
    }
  }

  @Test func jwtClaims() throws {
    let input = JWT.signingInput(account: "acme", user: "Loader", fingerprint: "F=", now: 1000)
    let parts = input.split(separator: ".").map { part -> JSONValue? in
      var text = part.replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
      while text.count % 4 != 0 { text += "=" }
      return Data(base64Encoded: text).flatMap { try? JSONValue(parsing: Array($0)) }
    }
    #expect(
      parts == [
        ["alg": "RS256", "typ": "JWT"],
        ["iss": "ACME.LOADER.SHA256:F=", "sub": "ACME.LOADER", "iat": 1000, "exp": 1060],
      ])
  }

  @Test func sessionsNeverReturnSilentlyIntoATransaction() {
    let first = SessionTokens(session: "s1", master: "m1", masterValidity: 1, sessionID: "1")
    let second = SessionTokens(session: "s2", master: "m1", masterValidity: 1, sessionID: "1")
    var machine = SessionMachine()
    machine.loggedIn(first)
    #expect(machine.step(after: nil, sentWith: "s1") == .deliver)
    #expect(machine.step(after: "002003", sentWith: "s1") == .deliver)
    #expect(machine.step(after: "390112", sentWith: "s1") == .renew)
    machine.renewed(second)
    #expect(machine.step(after: "390112", sentWith: "s1") == .resend)
    machine.began()
    #expect(machine.step(after: "390112", sentWith: "s2") == .renew)  // renewing keeps the session, so the transaction
    #expect(machine.step(after: "390114", sentWith: "s2") == .lost)
    #expect(machine.isLost && machine.tokens == nil)
    var idle = SessionMachine()
    idle.loggedIn(first)
    #expect(idle.step(after: "390111", sentWith: "s1") == .login)
    #expect(!idle.isLost)
  }

  @Test func filesAreRolled() {
    var options = SnowflakeOptions()
    options.maxFileSize = ByteCount(1 << 20)
    options.microBatchSize = 10
    options.microBatchTimeoutMilliseconds = 5000
    let rule = RollRule(options)
    #expect(!rule.isFull(records: 9, bytes: 0) && rule.isFull(records: 10, bytes: 0))
    #expect(rule.isFull(records: 1, bytes: 1 << 20) && !rule.isFull(records: 1, bytes: 100 << 10))
    #expect(rule.isOld(opened: .seconds(1), now: .seconds(6)) && !rule.isOld(opened: .seconds(2), now: .seconds(6)))
  }

  @Test func pathNamesAreSafeAndDistinct() {
    #expect(pathName("ORDERS") == "ORDERS")
    #expect(pathName("a/b") != pathName("a_b") && pathName("a/b") != pathName("a b"))
    for name in ["..", "a/../b", "", "ä ö", String(repeating: "x", count: 300), ".hidden"] {
      let path = pathName(name)
      #expect(path.utf8.allSatisfy(isPathSafe) && !path.isEmpty && !path.hasPrefix(".") && path.utf8.count <= 100)
    }
  }

  private func lines(_ encoder: any RowEncoder, _ batch: RecordBatch) throws -> [String] {
    try encoder.start(batch, order: 0)
    try batch.withBytes { bytes in for index in 0..<batch.count { _ = try encoder.append(index, of: batch, bytes) } }
    return String(decoding: encoder.rows.array, as: UTF8.self).split(separator: "\n").map(String.init)
  }

  @Test func landingLine() throws {
    var batch = ChangeBatch()
    let key = Document().int32("_id", 1)
    batch.add(.snapshot, key: key.bytes, document: key.double("x", .nan).bytes, token: "82\"T0")
    batch.add(.delete, key: key.bytes, token: "8301", time: .min)
    let other = Namespace(database: "shop", collection: "other")
    batch.add(.snapshot, other, key: key.bytes, token: "82\"T0", time: .min)
    let encoder = LandingEncoder(json: .plain, limit: 1 << 20)
    #expect(
      try lines(encoder, batch.batch) == [
        #"{"op":"snapshot","ns":"shop.orders","time":"2026-11-21T00:13:21.976","seq":"000000000000000700000000","id":"82\"T0/shop.orders/{\"_id\":{\"$numberInt\":\"1\"}}","key":{"_id":1},"document":{"_id":1,"x":"NaN"}}"#,
        #"{"op":"delete","ns":"shop.orders","seq":"000000000000000700000000","id":"8301","key":{"_id":1}}"#,
        #"{"op":"snapshot","ns":"shop.other","seq":"000000000000000700000000","id":"82\"T0/shop.other/{\"_id\":{\"$numberInt\":\"1\"}}","key":{"_id":1}}"#,
      ])
  }

  @Test func plainRecordsToCSV() throws {
    func column(_ name: String, _ type: String) -> LoadColumn {
      LoadColumn(name: Identifier(folding: name), type: type, field: name)
    }
    let columns = [column("a", "VARCHAR"), column("b", "VARIANT")]
    let json = Plain.json([
      #"{"a":"x,\"y\"","b":"t"}"#, #"{"b":12345678901234567890.5,"a":""}"#, #"{"a":null}"#, #"{"A":5}"#,
    ])
    #expect(throws: NebulaError.self) { try lines(RecordEncoder(columns, as: .csv, limit: 1000), json) }  // a and A
    let three = Plain.json([#"{"a":"x,\"y\"","b":"t"}"#, #"{"b":12345678901234567890.5,"a":""}"#, #"{"a":null}"#])
    #expect(
      try lines(RecordEncoder(columns, as: .csv, limit: 1000), three) == [
        #""x,""y""","""t""""#, #""",12345678901234567890.5"#, ",",
      ])
    #expect(
      try lines(RecordEncoder(columns, as: .json, limit: 1000), three) == [
        #"{"A":"x,\"y\"","B":"t"}"#, #"{"A":"","B":12345678901234567890.5}"#, "{}",
      ])
    let schema = RecordSchema(columns: [.init("a"), .init("b", .number)], delimiter: UInt8(ascii: ";"))
    let csv = Plain.csv([Array("x,y;1.50".utf8), Array("\"a\"\"b\";".utf8), Array("\"\";2".utf8)], schema)
    #expect(try lines(RecordEncoder(columns, as: .csv, limit: 1000), csv) == [#""x,y",1.50"#, #""a""b","#, #""",2"#])
    for bad in ["x", "x;1;2", "x;abc", "\"x;1"] {
      #expect(throws: NebulaError.self) {
        try lines(RecordEncoder(columns, as: .csv, limit: 1000), Plain.csv([Array(bad.utf8)], schema))
      }
    }
    #expect(throws: NebulaError.self) {
      try lines(RecordEncoder(columns, as: .csv, limit: 1000), Plain.csv([[0x61, 0xFF, 0x3B]], schema))
    }
  }

  /// Rows that are staged as they are must be those that the long way makes: what is read back is what was given.
  @Test func rowsThatAreCopiedWhole() throws {
    let columns = [("a", "VARCHAR"), ("b", "NUMBER(5,2)"), ("c", "TIMESTAMP_NTZ")].map { name, type in
      LoadColumn(name: Identifier(folding: name), type: type, field: name)
    }
    let schema = RecordSchema(columns: [.init("a"), .init("b"), .init("c")])
    func staged(_ row: String, _ delimiter: String = ",") throws -> [String] {
      var other = schema
      other.delimiter = delimiter.utf8.first ?? 0
      return try lines(RecordEncoder(columns, as: .csv, limit: 1000), Plain.csv([Array(row.utf8)], other))
    }
    for (row, long) in [
      ("x,1.50,2026-11-21 10:00:00.5", "x;1.50;2026-11-21 10:00:00.5"), (",,", ";;"), ("é,-0,", "é;-0;"),
      ("x,1e2,2026-11-21T10:00:00+00:00", "x;1e2;2026-11-21T10:00:00+00:00"),
      ("x,000001.10,11/21/2026", "x;000001.10;11/21/2026"),
    ] {
      #expect(try staged(row) == [row])
      #expect(try staged(long, ";") == [row])
    }
    // What would read otherwise is written anew.
    #expect(try staged(" x,1,") == [#"" x",1,"#])
    #expect(try staged("x\t,1,") == ["\"x\t\",1,"])
    #expect(try staged("x\"y,1,") == [#""x""y",1,"#])
    #expect(try staged("\"\",1,") == [#""",1,"#])
    for bad in [
      "x,1", "x,1,,", "x,1.234,", "x,y,", "x,,2026-13-01", "x,,2026-02-30", "x,1,2026-11-21 24:00:00",
      "x,1,2026-11-21T10:00:00+01:00",
    ] {
      #expect(throws: NebulaError.self, "\(bad)") { try staged(bad) }
    }
    let bytes: [UInt8] = [0xFF, 0x2C, 0x31, 0x2C]
    #expect(throws: NebulaError.self) {
      try lines(RecordEncoder(columns, as: .csv, limit: 1000), Plain.csv([bytes], schema))
    }
    #expect(throws: NebulaError.self) {
      try lines(RecordEncoder(columns, as: .csv, limit: 5), Plain.csv([Array("xxxx,1,".utf8)], schema))
    }
  }
}
