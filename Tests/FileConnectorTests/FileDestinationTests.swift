import Foundation
import NebulaFormats
import Testing

@testable import FileConnector
@testable import NebulaCore

@Suite("file destination")
struct FileDestinationTests {
  let scratch: Scratch
  init() throws { scratch = try Scratch() }

  /// Writes batches as one epoch and commits it.
  @discardableResult
  private func commit(
    _ batches: [RecordBatch], _ options: Properties, letters: Letters = Letters()
  ) async throws -> (prepared: PreparedEpoch, receipt: CommitReceipt) {
    var properties = options
    properties["path"] = .scalar(scratch.output, at: .init(path: "path"))
    let make = try #require(Connector.fileDestination.makeDestination)
    let destination = try make(properties, testContext(scratch, letters: letters))
    try await destination.open(Lease(pipeline: "test", generation: 1))
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "\(scratch.output)/_manifest/test")) ?? []
    let epoch = id(UInt64(names.filter { $0.hasSuffix(".json") }.count + 1))
    try await destination.begin(epoch, pin: nil)
    for batch in batches { try await destination.write(batch, to: epoch) }
    let prepared = try await destination.prepare(epoch)
    #expect(scratch.files(in: scratch.output).count { $0.contains(epoch.description) } == 0)
    guard case .committed(let receipt) = try await destination.commit(prepared) else {
      throw CancellationError()
    }
    try await destination.settled(receipt, prepared)
    await destination.close()
    return (prepared, receipt)
  }

  private let people = RecordSchema(columns: [
    .init("id", .integer), .init("name"), .init("price", .number), .init("ok", .boolean), .init("extra", .json),
  ])

  @Test("JSON Lines stay as they are, in order, across batches and tasks")
  func verbatim() async throws {
    let lines = (0..<5000).map { "{\"n\": \($0), \"x\":1.10}" }
    let batches = stride(from: 0, to: 5000, by: 100).map { batch(Array(lines[$0..<$0 + 100])) }
    let (prepared, receipt) = try await commit(batches, ["max_file_records": "777"])
    #expect(try scratch.published() == lines.map { "\($0)\n" }.joined())
    #expect(scratch.files(in: scratch.output).count == 7)
    #expect(scratch.files(in: scratch.output).first == "0000000001-0000000001-000001.jsonl")
    #expect(prepared.counts == RecordCounts(committed: 5000))
    #expect(receipt.rows == 5000 && receipt.files == 7)
    #expect(receipt.bytes == UInt64(try scratch.published().utf8.count))
  }

  @Test("files are rolled by size, as stored", arguments: ["none", "gzip", "zstd"])
  func rolling(compression: String) async throws {
    let lines = (0..<20_000).map { "{\"n\":\($0),\"random\":\(UInt64.random(in: 0..<UInt64.max))}" }
    try await commit([batch(lines)], ["max_file_size": "60000", "compression": compression])
    #expect(try scratch.published() == lines.map { "\($0)\n" }.joined())
    let files = scratch.files(in: scratch.output)
    #expect(files.count >= 3)
    let sizes = try files.map { try Data(contentsOf: URL(fileURLWithPath: "\(scratch.output)/\($0)")).count }
    if compression == "none" { #expect(sizes.allSatisfy { $0 <= 60_000 }) }
    #expect(sizes.dropLast().allSatisfy { $0 > 59_000 })
  }

  @Test("CSV becomes JSON by header and declared types")
  func csvToJSON() async throws {
    let rows = [
      "1,\"a \"\"b\"\"\n\",1.50,TRUE,\"{\"\"k\"\":[1]}\"", "007,,,,", "-0,\"\",-1e3,false,null", "x,y,1,true,1",
    ]
    let letters = Letters()
    let (prepared, _) = try await commit([batch(rows, format: .csv, schema: people)], [:], letters: letters)
    #expect(
      try scratch.published() == """
        {"id":1,"name":"a \\"b\\"\\n","price":1.50,"ok":true,"extra":{"k":[1]}}
        {"id":7,"name":"","price":null,"ok":null,"extra":null}
        {"id":-0,"name":"","price":-1e3,"ok":false,"extra":null}

        """)
    #expect(prepared.counts == RecordCounts(committed: 3, rejected: 1))
    #expect(letters.all.map(\.error.code.rawValue) == ["file.bad_value"])
    #expect(letters.all.map { String(decoding: $0.payload, as: UTF8.self) } == ["x,y,1,true,1"])
  }

  @Test("JSON becomes CSV: nested values as JSON text, null and empty differ, unknown keys are rejected")
  func jsonToCSV() async throws {
    let letters = Letters()
    let lines = [
      #"{"a":1,"b":"x,\"y\"","c":{"k":[1,2]}}"#, #"{"b":null,"a":"","c":true}"#, #"{"a":1,"d":2}"#, "[1]",
      #"{"c":"é\n"}"#,
    ]
    try await commit([batch(lines)], ["format": "csv", "null_text": "NULL"], letters: letters)
    #expect(try scratch.published() == "a,b,c\n1,\"x,\"\"y\"\"\",\"{\"\"k\"\":[1,2]}\"\n\"\",NULL,true\n,,\"é\n\"\n")
    #expect(letters.all.map(\.error.code.rawValue) == ["file.unknown_key", "file.not_an_object"])
  }

  @Test("CSV to CSV: as it is in the same dialect, quoted anew in another")
  func csvToCSV() async throws {
    let rows = ["1,\"a;b\",,TRUE,\"\"", "2,\"q\"\"q\",2,false,x"]
    try await commit([batch(rows, format: .csv, schema: people)], ["format": "csv"])
    #expect(try scratch.published() == "id,name,price,ok,extra\n" + rows.map { "\($0)\n" }.joined())
    try FileManager.default.removeItem(atPath: scratch.output)
    try await commit([batch(rows, format: .csv, schema: people)], ["format": "csv", "delimiter": ";"])
    #expect(
      try scratch.published() == "id;name;price;ok;extra\n1;\"a;b\";;TRUE;\"\"\n2;\"q\"\"q\";2;false;x\n")
  }

  @Test("a CSV of one column keeps its empty rows, so that a reader counts them", arguments: ["", "NULL"])
  func oneColumn(marker: String) async throws {
    let options: Properties = ["format": "csv", "columns": "a", "null_text": marker]
    try await commit([batch(["{\"a\":null}", "{\"a\":\"\"}", "{}", "{\"a\":1}"])], options)
    let null = marker.isEmpty ? "\"\"" : marker
    #expect(try scratch.published() == "a\n\(null)\n\"\"\n\(null)\n1\n")
    let back = try await read(makeSource(testContext(scratch), ["path": scratch.output]))
    #expect(back.records.count == 4 && back.rejected.isEmpty)
    try FileManager.default.removeItem(atPath: scratch.output)
    let single = RecordSchema(columns: [.init("")])
    try await commit([batch(["", "x"], format: .csv, schema: single)], options)
    #expect(try scratch.published() == "\"\"\n\"\"\nx\n")
  }

  @Test("another header starts another file")
  func headers() async throws {
    let other = RecordSchema(columns: [.init("z")])
    try await commit(
      [batch(["1,a,1,true,1"], format: .csv, schema: people), batch(["9"], format: .csv, schema: other)],
      ["format": "csv"])
    #expect(
      try scratch.files(in: scratch.output).map { try scratch.text(of: "\(scratch.output)/\($0)") }
        == ["id,name,price,ok,extra\n1,a,1,true,1\n", "z\n9\n"])
  }

  private func changes() -> RecordBatch {
    let texts = [#"{"_id":1}"#, #"{"_id":1,"v":[1]}"#, "tok1", #"{"_id":2}"#, #"{"updatedFields":{}}"#, "tok2"]
    var bytes: [UInt8] = []
    let ranges = texts.map { text in
      defer { bytes += text.utf8 }
      return ByteRange(UInt32(bytes.count), UInt32(bytes.count + text.utf8.count))
    }
    var columns = ChangeColumns()
    columns.operations = [.snapshot, .update]
    columns.namespaces = [0, 1]
    columns.eventTimes = [.min, 1_709_164_800_123]
    columns.sequences = [ChangeSequence(clusterTime: 255, index: 1), ChangeSequence(clusterTime: .max, index: 16)]
    columns.tokens = [ranges[2], ranges[5]]
    columns.keys = [ranges[0], ranges[3]]
    columns.documents = [ranges[1], .absent]
    columns.befores = [.absent, .absent]
    columns.updates = [.absent, ranges[4]]
    return RecordBatch(
      bytes: SharedBytes(copying: bytes), records: [ranges[1], ranges[4]], format: .json,
      namespaces: [Namespace(database: "d/b", collection: "c"), Namespace(database: "..", collection: "")],
      changes: columns, position: nil)
  }

  @Test("changes become envelopes, in folders that no name can leave")
  func envelopes() async throws {
    try await commit([changes()], ["partition": "{namespace}/year={yyyy}/{mm}-{dd}T{hh}"])
    let files = scratch.files(in: scratch.output)
    #expect(
      files == [
        "%2E./year=2024/02-29T00/0000000001-0000000001-000002.jsonl",
        "d%2Fb.c/year=2023/11-14T22/0000000001-0000000001-000001.jsonl",
      ])
    #expect(
      try scratch.text(of: "\(scratch.output)/\(files[1])")
        == #"{"document":{"_id":1,"v":[1]},"documentBefore":null,"updateDescription":null,"documentKey":{"_id":1},"operation":"snapshot","namespace":"d/b.c","eventTime":null,"sequence":"00000000000000ff00000001","eventId":"tok1/d/b.c/{\"_id\":1}"}"#
        + "\n")
    #expect(
      try scratch.text(of: "\(scratch.output)/\(files[0])")
        == #"{"document":null,"documentBefore":null,"updateDescription":{"updatedFields":{}},"documentKey":{"_id":2},"operation":"update","namespace":"..","eventTime":"2024-02-29T00:00:00.123Z","sequence":"ffffffffffffffff00000010","eventId":"tok2"}"#
        + "\n")
  }

  @Test("copied rows of two collections with the same key have ids of their own, whatever `json` says")
  func copiedIDs() async throws {
    let key: [UInt8] = [14, 0, 0, 0, 0x10, 0x5F, 0x69, 0x64, 0, 1, 0, 0, 0, 0]
    let keyRange = ByteRange(2, 16)
    var columns = ChangeColumns()
    columns.operations = [.snapshot, .snapshot]
    columns.namespaces = [0, 1]
    columns.eventTimes = [0, 0]
    columns.sequences = [ChangeSequence(clusterTime: 1, index: 0), ChangeSequence(clusterTime: 1, index: 0)]
    columns.tokens = [ByteRange(0, 2), ByteRange(0, 2)]
    columns.keys = [keyRange, keyRange]
    columns.documents = [keyRange, keyRange]
    columns.befores = [.absent, .absent]
    columns.updates = [.absent, .absent]
    let copied = RecordBatch(
      bytes: SharedBytes(copying: [0x38, 0x32] + key), records: [keyRange, keyRange], format: .bson,
      namespaces: [Namespace(database: "d", collection: "a"), Namespace(database: "d", collection: "b")],
      changes: columns, position: nil)
    try await commit([copied], ["json": "plain"])
    let ids = try scratch.published().split(separator: "\n").map { line in
      try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])["eventId"] as? String
    }
    #expect(ids == [#"82/d.a/{"_id":{"$numberInt":"1"}}"#, #"82/d.b/{"_id":{"$numberInt":"1"}}"#])
  }

  @Test("changes as CSV have the same columns")
  func envelopeRows() async throws {
    try await commit([changes()], ["format": "csv"])
    let lines = try scratch.published().split(separator: "\n")
    #expect(lines.count == 3)
    #expect(
      lines[0] == "document,documentBefore,updateDescription,documentKey,operation,namespace,eventTime,sequence,eventId"
    )
    #expect(lines[2].hasPrefix(#",,"{""updatedFields"":{}}","{""_id"":2}",update,..,2024-02-29T00:00:00.123Z,"#))
  }

  @Test("more partitions than open files: order within each stays")
  func manyPartitions() async throws {
    let batches = (0..<60).map { batch(["{\"n\":\($0)}"], namespace: "p\($0 % 20)") }
    try await commit(batches, ["partition": "{namespace}", "max_open_files": "3"])
    for partition in 0..<20 {
      let folder = "\(scratch.output)/p\(partition)"
      let text = try scratch.files(in: folder).map { try scratch.text(of: "\(folder)/\($0)") }.joined()
      #expect(text == [0, 20, 40].map { "{\"n\":\(partition + $0)}\n" }.joined())
    }
  }

  @Test("the manifest lists name, records, bytes and SHA-256 of every file")
  func manifest() async throws {
    let (prepared, receipt) = try await commit([batch(["1", "2"])], ["compression": "gzip", "file_mode": "0640"])
    let path = "\(scratch.output)/_manifest/test/0000000001-0000000001.json"
    #expect(receipt.evidence == [path])
    let bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: path)))
    #expect(bytes == prepared.manifest)
    let json = try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
    let files = try #require(json["files"] as? [[String: Any]])
    let file = "\(scratch.output)/\(try #require(files[0]["name"] as? String))"
    let content = try [UInt8](Data(contentsOf: URL(fileURLWithPath: file)))
    #expect(files.count == 1 && files[0]["records"] as? Int == 2 && files[0]["bytes"] as? Int == content.count)
    #expect(files[0]["sha256"] as? String == SHA256.hex(SHA256.digest(of: content)))
    #expect(try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int == 0o640)
    let staging = try FileManager.default.attributesOfItem(atPath: "\(scratch.output)/_staging/test")
    #expect(staging[.posixPermissions] as? Int == 0o700)
    #expect(try FileManager.default.contentsOfDirectory(atPath: "\(scratch.output)/_staging/test").isEmpty)
  }

  @Test("memory is given back")
  func budget() async throws {
    let context = testContext(scratch, budget: 1 << 20)
    let destination = try makeDestination(context, ["path": scratch.output])
    try await destination.open(Lease(pipeline: "test", generation: 1))
    try await destination.begin(id(1), pin: nil)
    let line = "\"" + String(repeating: "x", count: 100_000) + "\""
    for _ in 0..<100 { try await destination.write(batch([line, line]), to: id(1)) }
    let prepared = try await destination.prepare(id(1))
    #expect(prepared.counts.committed == 200)
    #expect(context.budget.inFlight == 0)
    await destination.close()
  }

  @Test(
    "options that can't be meant are refused",
    arguments: [
      ("partition", "../x"), ("partition", "/x"), ("partition", "a//b"), ("partition", "{nmespace}"),
      ("partition", "_manifest"),
      ("partition", "a}"), ("delimiter", "ab"), ("delimiter", "\""), ("compression_level", "99"),
      ("max_file_records", "0"),
      ("file_mode", "999"),
    ])
  func options(name: String, value: String) throws {
    var properties: Properties = ["path": "x", "compression": "gzip"]
    properties[name] = .scalar(value, at: .init(path: name))
    let make = try #require(Connector.fileDestination.makeDestination)
    let error = #expect(throws: NebulaError.self) { try make(properties, testContext(scratch)) }
    #expect(error?.exit == .configuration)
  }
}
