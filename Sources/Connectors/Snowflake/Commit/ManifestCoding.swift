internal import NebulaCore
internal import NebulaHTTP

/// The manifest as JSON: `{"stage":[db,schema,name],"tables":[{…,"files":[[name,rows,bytes,sha256],…]}]}`.
extension Manifest {
  var encoded: [UInt8] {
    let value: JSONValue = ["stage": Self.json(stage), "tables": .array(tables.map(Self.json))]
    return value.bytes
  }

  init(decoding prepared: PreparedEpoch) throws(NebulaError) {
    guard prepared.version == Self.version else {
      throw Self.bad(prepared.id, "it has version \(prepared.version); this program reads \(Self.version)")
    }
    guard let value = try? JSONValue(parsing: prepared.manifest), let stage = value["stage"].flatMap(Self.name),
      let list = value["tables"]?.array
    else { throw Self.bad(prepared.id, "its text is damaged") }
    var tables: [StagedTable] = []
    for entry in list {
      guard let table = Self.table(entry) else { throw Self.bad(prepared.id, "a table in it is damaged") }
      tables.append(table)
    }
    self.init(stage: stage, tables: tables)
  }

  private static func bad(_ epoch: EpochID, _ problem: String) -> NebulaError {
    NebulaError(
      .badManifest, "The manifest of epoch \(epoch) can't be read: \(problem).",
      remedy: "Run the version of the program that wrote it until it has no intents, or restore the state file.")
  }

  private static func json(_ name: TableName) -> JSONValue {
    [.string(name.database.name), .string(name.schema.name), .string(name.name.name)]
  }
  private static func name(_ value: JSONValue) -> TableName? {
    guard let database = value[0]?.string, let schema = value[1]?.string, let name = value[2]?.string else {
      return nil
    }
    return TableName(
      database: Identifier(exactly: database), schema: Identifier(exactly: schema), name: Identifier(exactly: name))
  }

  private static func json(_ table: StagedTable) -> JSONValue {
    let kind: JSONValue =
      switch table.layout {
      case .documents: "documents"
      case .csv: "csv"
      case .json: "json"
      }
    var columns: [JSONValue] = []
    if table.layout != .documents {
      columns = table.layout.columns.map { [.string($0.name.name), .string($0.type), .string($0.field)] }
    }
    let files = table.files.map { file -> JSONValue in
      [.string(file.name), .integer(Int64(file.rows)), .integer(Int64(file.bytes)), .string(file.sha256)]
    }
    return [
      "table": json(table.table), "layout": kind, "columns": .array(columns),
      "compression": .string(table.compression.rawValue), "folder": .string(table.folder), "files": .array(files),
    ]
  }

  private static func table(_ value: JSONValue) -> StagedTable? {
    guard let name = value["table"].flatMap(name), let layout = layout(value), let folder = value["folder"]?.string,
      let compression = value["compression"]?.string.flatMap(Compression.init(rawValue:)),
      let list = value["files"]?.array
    else { return nil }
    let files = list.compactMap(file)
    guard files.count == list.count else { return nil }
    return StagedTable(table: name, layout: layout, compression: compression, folder: folder, files: files)
  }

  private static func layout(_ value: JSONValue) -> TableLayout? {
    let list = value["columns"]?.array ?? []
    let columns = list.compactMap { column -> LoadColumn? in
      guard let name = column[0]?.string, let type = column[1]?.string, let field = column[2]?.string else {
        return nil
      }
      return LoadColumn(name: Identifier(exactly: name), type: type, field: field)
    }
    guard columns.count == list.count else { return nil }
    switch value["layout"]?.string {
    case "documents": return .documents
    case "csv": return .csv(columns)
    case "json": return .json(columns)
    default: return nil
    }
  }

  private static func file(_ value: JSONValue) -> StagedFile? {
    guard let name = value[0]?.string, let rows = value[1]?.integer, let bytes = value[2]?.integer,
      let sha256 = value[3]?.string, rows >= 0, bytes >= 0
    else { return nil }
    return StagedFile(name: name, rows: UInt64(rows), bytes: UInt64(bytes), sha256: sha256)
  }
}

/// A receipt as the ledger keeps it.
enum ReceiptText {
  static func encode(_ receipt: CommitReceipt) -> String {
    let counts = receipt.counts
    let value: JSONValue = [
      "committed": .integer(Int64(counts.committed)), "superseded": .integer(Int64(counts.superseded)),
      "rejected": .integer(Int64(counts.rejected)), "filtered": .integer(Int64(counts.filtered)),
      "rows": .integer(Int64(receipt.rows)), "bytes": .integer(Int64(receipt.bytes)),
      "files": .integer(Int64(receipt.files)), "evidence": .array(receipt.evidence.map { .string($0) }),
    ]
    return value.text
  }

  static func decode(_ text: String, _ epoch: EpochID) throws(NebulaError) -> CommitReceipt {
    let value = try? JSONValue(parsing: text)
    func number(_ name: String) -> UInt64? { value?[name]?.integer.flatMap { UInt64(exactly: $0) } }
    guard let committed = number("committed"), let superseded = number("superseded"), let rejected = number("rejected"),
      let filtered = number("filtered"), let rows = number("rows"), let bytes = number("bytes"),
      let files = number("files")
    else {
      throw NebulaError(
        .badManifest, "The ledger's receipt of epoch \(epoch) can't be read.",
        remedy: "Look at its row in NEBULA_LEDGER: it must not be changed.")
    }
    return CommitReceipt(
      epoch, counts: RecordCounts(committed: committed, superseded: superseded, rejected: rejected, filtered: filtered),
      rows: rows, bytes: bytes, files: files, evidence: (value?["evidence"]?.array ?? []).compactMap(\.string))
  }
}
