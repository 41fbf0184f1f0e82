internal import NebulaCore
internal import NebulaHTTP

/// The manifest as JSON: `{"stage":[db,schema,name],"tables":[{…,"files":[[name,rows,bytes,sha256,rejected?],…]}]}`.
/// Version 1 had no rejected rows.
extension Manifest {
  var encoded: [UInt8] {
    let value: JSONValue = ["stage": Self.json(stage), "tables": .array(tables.map(Self.json))]
    return value.bytes
  }

  init(decoding prepared: PreparedEpoch) throws(NebulaError) {
    guard (1...Self.version).contains(prepared.version) else {
      throw Self.bad(prepared.id, "it has version \(prepared.version); this program reads 1 to \(Self.version)")
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
    let files = table.files.map { file -> JSONValue in
      let rejected: [JSONValue] = file.rejected > 0 ? [.integer(Int64(file.rejected))] : []
      return .array(
        [.string(file.name), .integer(Int64(file.rows)), .integer(Int64(file.bytes)), .string(file.sha256)] + rejected)
    }
    var members: [(String, JSONValue)] = [
      ("table", json(table.table)), ("layout", .string(kind(table.layout))),
      ("columns", .array(table.layout.rows == .documents ? [] : table.layout.columns.map(json))),
      ("compression", .string(table.compression.rawValue)), ("folder", .string(table.folder)),
      ("files", .array(files)),
    ]
    if table.delimiter != "," { members.append(("delimiter", .string(table.delimiter))) }
    if let rule = table.layout.merge { members.append(("rule", json(rule))) }
    if let merge = table.merge { members.append(("merge", json(merge))) }
    return .object(members.map { JSONValue.Member($0.0, $0.1) })
  }

  private static func table(_ value: JSONValue) -> StagedTable? {
    guard let name = value["table"].flatMap(name), let layout = layout(value), let folder = value["folder"]?.string,
      let compression = value["compression"]?.string.flatMap(Compression.init(rawValue:)),
      let list = value["files"]?.array
    else { return nil }
    let files = list.compactMap(file)
    let merge = value["merge"].map(merge)
    guard files.count == list.count, merge == nil || merge != .some(nil) else { return nil }
    return StagedTable(
      table: name, layout: layout, compression: compression, folder: folder, files: files,
      delimiter: value["delimiter"]?.string ?? ",", merge: merge ?? nil)
  }

  // MARK: layouts

  /// `documents`, `csv` and `json` are those of version 1.
  private static func kind(_ layout: TableLayout) -> String {
    switch layout.rows {
    case .documents: layout.format == .json ? "documents" : "documents-\(layout.format.rawValue.lowercased())"
    case .changes: "changes-\(layout.format.rawValue.lowercased())"
    case .records: layout.format.rawValue.lowercased()
    }
  }

  private static func layout(_ value: JSONValue) -> TableLayout? {
    guard let written = value["layout"]?.string else { return nil }
    let parts = written.split(separator: "-", maxSplits: 1).map(String.init)
    let isRecords = FileFormat(rawValue: written.uppercased()) != nil
    let format = isRecords ? written : parts.count == 2 ? parts[1] : "json"
    guard let kind = parts.first, isRecords || kind == "documents" || kind == "changes",
      let format = FileFormat(rawValue: format.uppercased())
    else { return nil }
    let list = value["columns"]?.array ?? []
    let columns = list.compactMap(column)
    let rule = value["rule"].map(rule)
    guard columns.count == list.count, rule == nil || rule != .some(nil) else { return nil }
    if kind == "documents" { return TableLayout(.documents, format, Landing.columns) }
    return TableLayout(isRecords ? .records : .changes, format, columns, merge: rule ?? nil)
  }

  private static func json(_ column: LoadColumn) -> JSONValue {
    let parts: [JSONValue] = [.string(column.name.name), .string(column.type), .string(column.field)]
    return .array(column.origin == .field ? parts : parts + [.string(column.origin.rawValue)])
  }
  private static func column(_ value: JSONValue) -> LoadColumn? {
    guard let name = value[0]?.string, let type = value[1]?.string, let field = value[2]?.string,
      let origin = LoadColumn.Origin(rawValue: value[3]?.string ?? LoadColumn.Origin.field.rawValue)
    else { return nil }
    return LoadColumn(name: Identifier(exactly: name), type: type, field: field, origin: origin)
  }

  // MARK: merges

  private static func json(_ rule: MergeRule) -> JSONValue {
    [
      "keys": .array(rule.keys.map { .string($0.name) }), "landing": json(rule.landing),
      "deletes": rule.deletes.map { .string($0.rawValue) } ?? .null,
    ]
  }
  private static func rule(_ value: JSONValue) -> MergeRule? {
    guard let keys = value["keys"]?.array?.compactMap(\.string), !keys.isEmpty,
      let landing = value["landing"].flatMap(name)
    else { return nil }
    let deletes = value["deletes"]?.string
    guard deletes == nil || deletes.flatMap(DeleteMode.init(rawValue:)) != nil else { return nil }
    return MergeRule(
      keys: keys.map { Identifier(exactly: $0) }, landing: landing,
      deletes: deletes.flatMap(DeleteMode.init(rawValue:)))
  }

  private static func json(_ merge: StagedMerge) -> JSONValue {
    [
      "direct": .bool(merge.isDirect), "tombstones": .bool(merge.keepsTombstones), "purges": .bool(merge.purges),
      "bounds": merge.bounds.map { [.string($0.least), .string($0.greatest)] } ?? .null,
      "sweeps": .array(
        merge.sweeps.map {
          [$0.namespace.map { .string($0) } ?? .null, .string($0.before), .string($0.operation)]
        }),
    ]
  }
  private static func merge(_ value: JSONValue) -> StagedMerge? {
    guard let direct = value["direct"]?.bool, let tombstones = value["tombstones"]?.bool,
      let purges = value["purges"]?.bool, let list = value["sweeps"]?.array
    else { return nil }
    let sweeps = list.compactMap { sweep -> Sweep? in
      guard let before = sweep[1]?.string, let operation = sweep[2]?.string else { return nil }
      return Sweep(namespace: sweep[0]?.string, before: before, operation: operation)
    }
    guard sweeps.count == list.count else { return nil }
    var merge = StagedMerge(isDirect: direct, keepsTombstones: tombstones, sweeps: sweeps, purges: purges)
    if let bounds = value["bounds"], !bounds.isNull {
      guard let least = bounds[0]?.string, let greatest = bounds[1]?.string else { return nil }
      merge.bounds = KeyBounds(least: least, greatest: greatest)
    }
    return merge
  }

  private static func file(_ value: JSONValue) -> StagedFile? {
    guard let name = value[0]?.string, let rows = value[1]?.integer, let bytes = value[2]?.integer,
      let sha256 = value[3]?.string, rows >= 0, bytes >= 0
    else { return nil }
    let rejected = value[4]?.integer ?? 0
    guard rejected >= 0, rejected <= rows else { return nil }
    return StagedFile(
      name: name, rows: UInt64(rows), bytes: UInt64(bytes), sha256: sha256, rejected: UInt64(rejected))
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
