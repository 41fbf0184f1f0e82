internal import NebulaCore
internal import NebulaHTTP

/// Decides what a table looks like, from the options, what was observed, and what is there. No effects.
struct LayoutPlanner: Sendable {
  private let options: SnowflakeOptions
  private let pipeline: String
  private let declared: [String: String]

  init(_ options: SnowflakeOptions, pipeline: String) {
    self.options = options
    self.pipeline = pipeline
    declared = Dictionary(
      options.columns.map { (Identifier(folding: $0.key).name, DeclaredType.canonical($0.value)) },
      uniquingKeysWith: { first, _ in first })
  }

  // MARK: changes

  /// The document in one column.
  func packed(_ table: TableName) throws(NebulaError) -> TableLayout {
    let format = try documentFormat(table)
    guard options.writeMode == .merge else { return TableLayout(.documents, format, Landing.columns) }
    return TableLayout(.changes, format, ChangeTable.mergedPacked, merge: changeRule(table))
  }

  /// A column for each field: those of the table, else those that were observed and declared.
  func unpacked(
    _ observed: ObservedFields, _ table: TableName, present: [TableColumn]?
  ) throws(NebulaError) -> TableLayout {
    let isMerged = options.writeMode == .merge
    let extras = (isMerged ? ChangeTable.mergedUnpacked : ChangeTable.appendedUnpacked)
      .filter { $0.origin != .overflow || options.keepsOverflow }
    let fields = try fields(observed, table, present: present, extras: extras, reserved: ChangeTable.reserved)
    return TableLayout(
      .changes, try documentFormat(table), fields + extras, merge: isMerged ? changeRule(table) : nil)
  }

  private func documentFormat(_ table: TableName) throws(NebulaError) -> FileFormat {
    guard options.fileFormat != .csv else {
      throw NebulaError(
        .formatMismatch, "file_format is CSV, but documents came for \(table.sql), which are staged as JSON.",
        remedy: "Leave file_format out, or set it to JSON or PARQUET.", at: .init(path: "file_format"),
        exit: .configuration)
    }
    return options.fileFormat ?? .json
  }

  private func changeRule(_ table: TableName) -> MergeRule {
    MergeRule(
      keys: [Identifier(exactly: "_KEY"), Identifier(exactly: "_NAMESPACE")], landing: landing(table),
      deletes: options.deleteMode)
  }

  /// Another pipeline that merges into the same table has a landing table of its own.
  func landing(_ table: TableName) -> TableName {
    let hash = Crypto.hex(Crypto.sha256("\(pipeline)\n\(table.sql)")).prefix(8).uppercased()
    return TableName(
      database: table.database, schema: table.schema,
      name: Identifier(
        exactly: "\(table.name.name.unicodeScalars.prefix(200).map(String.init).joined())_NEBULA_\(hash)"))
  }

  // MARK: plain records

  /// For CSV: the columns of the header, in its order.
  func records(
    _ schema: RecordSchema, _ table: TableName, present: [TableColumn]?
  ) throws(NebulaError) -> TableLayout {
    var columns = try RecordColumns.make(schema)
    for index in columns.indices {
      if let type = declared[columns[index].name.name] { columns[index].type = type }
      guard let present else { continue }
      if let column = present.first(where: { $0.name == columns[index].name }) {
        columns[index].type = column.type
      } else if options.schemaRule != .evolve, options.schemaRule != .freeze {
        throw TableMaker.mismatch(table, missing: columns[index])
      }
    }
    if let present, options.schemaRule == .freeze {
      columns = columns.filter { column in present.contains { $0.name == column.name } }
    }
    return try layout(of: columns, table)
  }

  /// For JSON objects: the columns of the table, else those that were observed and declared.
  func records(
    _ observed: ObservedFields, _ table: TableName, present: [TableColumn]?
  ) throws(NebulaError) -> TableLayout {
    try layout(of: try fields(observed, table, present: present, extras: recordExtras), table)
  }

  private var recordExtras: [LoadColumn] {
    (options.writeMode == .merge ? [ChangeTable.recordSequence] : [])
      + (options.keepsOverflow ? [ChangeTable.overflow] : [])
  }

  private func layout(of fields: [LoadColumn], _ table: TableName) throws(NebulaError) -> TableLayout {
    let columns = fields + recordExtras
    if let taken = fields.first(where: { field in recordExtras.contains { $0.name == field.name } }) {
      throw NebulaError(
        .columnsCollide,
        "The field \(shortened(taken.field)) would take the column \(taken.name.quoted) of \(table.sql), "
          + "which the program fills itself.", remedy: "Rename it at the source.")
    }
    guard options.writeMode == .merge else { return TableLayout(.records, format(columns), columns) }
    var keys: [Identifier] = []
    for name in options.key {
      let key = try Identifier(name, property: "key")
      guard let column = fields.first(where: { $0.name == key }), !column.isSemiStructured else {
        throw NebulaError(
          .badProperty, "key: \(table.sql) has no column \(key.quoted) that could tell its rows apart.",
          remedy: "Name columns of the records whose type is no VARIANT; declare it in columns if need be.",
          at: .init(path: "key"), exit: .configuration)
      }
      keys.append(key)
    }
    let rule = MergeRule(keys: keys, landing: landing(table), deletes: nil)
    return TableLayout(.records, format(columns), columns, merge: rule)
  }

  /// A single column is never staged as CSV: its NULL would be a blank line, which COPY refuses.
  private func format(_ columns: [LoadColumn]) -> FileFormat {
    switch options.fileFormat {
    case .parquet: .parquet
    case .json: .json
    default: columns.count == 1 ? .json : .csv
    }
  }

  // MARK: fields

  /// More columns than this go to `_OVERFLOW`: keys that are data would make a table that nobody can query.
  static let mostColumns = 2000

  private func fields(
    _ observed: ObservedFields, _ table: TableName, present: [TableColumn]?, extras: [LoadColumn],
    reserved: Set<String> = []
  ) throws(NebulaError) -> [LoadColumn] {
    // With a contract, the record that has a field without a column is what it is about, and not the whole run.
    let isLenient = options.schemaRule != nil
    let seen = try observed.columns(
      declared: declared, reserved: reserved.union(extras.map(\.name.name)), isLenient: isLenient)
    guard let present else { return Array(seen.prefix(Self.mostColumns - extras.count)) }
    for column in seen where !isLenient && !present.contains(where: { $0.name == column.name }) {
      throw TableMaker.mismatch(table, missing: column)
    }
    let names = Dictionary(seen.map { ($0.name, $0.field) }, uniquingKeysWith: { first, _ in first })
    let own = Set(extras.map(\.name)).union(
      // Of an unpacked table also those that another mode made.
      options.packMode == .unpacked ? ChangeTable.reserved.map { Identifier(exactly: $0) } : [])
    let there = present.filter { (!$0.hasDefault || names[$0.name] != nil) && !own.contains($0.name) }
      .map { LoadColumn(name: $0.name, type: $0.type, field: names[$0.name] ?? "") }
    guard options.schemaRule == .evolve else { return there }
    return there
      + seen.filter { column in !present.contains { $0.name == column.name } }
      .prefix(max(0, Self.mostColumns - present.count))
  }

  /// The layout with columns for the fields that it has none for.
  func widened(
    _ layout: TableLayout, by observed: ObservedFields, present: [TableColumn]?
  ) throws(NebulaError) -> TableLayout {
    let known = Set(layout.columns.map(\.name))
    let reserved = Set(layout.columns.filter { $0.origin != .field }.map(\.name.name))
    let seen = try observed.columns(declared: declared, reserved: reserved, isLenient: true).filter {
      !known.contains($0.name)
    }
    .prefix(max(0, Self.mostColumns - layout.columns.count))
    .map { column in
      var column = column
      if let there = present?.first(where: { $0.name == column.name }) { column.type = there.type }
      return column
    }
    var wider = layout
    wider.columns = layout.fields + seen + layout.columns.filter { $0.origin != .field }
    return wider
  }

  /// The layout of a table that is there, for what needs no rows.
  func merged(_ table: TableName, _ present: [TableColumn]) throws(NebulaError) -> TableLayout {
    let isPacked = present.contains { $0.name.name == "DOCUMENT" } && options.packMode == .packed
    let extras = isPacked ? ChangeTable.mergedPacked : ChangeTable.mergedUnpacked
    return TableLayout(
      .changes, options.fileFormat == .parquet ? .parquet : .json,
      extras.filter { column in present.contains { $0.name == column.name } }, merge: changeRule(table))
  }

  // MARK: types

  /// True when the landing table can take all of the layout's rows.
  static func covers(_ present: [TableColumn], _ layout: TableLayout) -> Bool {
    let types = Dictionary(present.map { ($0.name, $0.type) }, uniquingKeysWith: { first, _ in first })
    return layout.columns.allSatisfy { column in
      types[column.name].map { isSameKind($0, column.plainType) } ?? false
    }
  }

  /// Whether two types hold the same kind of value, whatever their sizes; of numbers also the digits behind the point.
  static func isSameKind(_ a: String, _ b: String) -> Bool {
    func kind(_ type: String) -> String {
      let text = DeclaredType.canonical(type)
      let name = String(text.prefix { $0 != "(" })
      guard name == "NUMBER", let comma = text.firstIndex(of: ",") else { return name }
      return name + text[comma...]
    }
    return kind(a) == kind(b)
  }
}
