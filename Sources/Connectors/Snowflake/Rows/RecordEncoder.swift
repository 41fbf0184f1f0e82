internal import NebulaCore
internal import NebulaFormats

/// Writes plain records (CSV rows, flat JSON objects) as rows of CSV or lines of JSON, a column a field.
///
/// In CSV an empty field is NULL and `""` an empty text. A column for text takes a JSON string as it reads and anything
/// else as its JSON text; a VARIANT column takes JSON text always, so that each value keeps its type. A value that the
/// column's type can't take goes to `_OVERFLOW` where there is one; else it makes a rejected record.
final class RecordEncoder: RowEncoder {
  let rows = OutputBuffer(capacity: 1024)
  let key: RowKey?
  private let columns: FieldColumns
  private let isSemiStructured: [Bool]
  private let isText: [Bool]
  private var count: Int { isSemiStructured.count }
  private let target: FileFormat
  private let limit: Int
  private let hasOverflow: Bool
  private let hasSequence: Bool
  /// The fast way of JSON to CSV, where nothing is needed beside the fields.
  private var csv: FlatJSONToCSV?
  private let names: [[UInt8]]
  private var members: [JSONObjectReader.Member?]
  private let scratch = OutputBuffer(capacity: 1024)
  private let overflow = OverflowText()
  private let output: CSVDialect
  /// For each key column its slot, and what it holds in the row at hand.
  private let keySlots: [Int]
  private var keyTexts: [OutputBuffer]
  private var hasKeyText: [Bool]
  private let epoch: EpochID
  private var order: UInt32 = 0
  /// Of the row at hand: columns written, and where the last one begins.
  private var written = 0
  private var cellStart = 0
  /// For each field of a CSV record its column; -1 where it has none.
  private var places: [Int] = []
  private var placed: RecordSchema?
  /// Finds CSV records that can be copied as they are; nil where each has to be walked through.
  private var plain: PlainRows?
  private let checked: [(slot: Int, check: ColumnCheck)]

  convenience init(_ columns: [LoadColumn], as target: FileFormat, limit: Int) {
    var options = SnowflakeOptions()
    options.maxRowBytes = ByteCount(limit)
    self.init(TableLayout(.records, target, columns), options, epoch: EpochID(generation: 0, sequence: 0))
  }

  init(_ layout: TableLayout, _ options: SnowflakeOptions, epoch: EpochID) {
    let fields = layout.fields
    let rules = FieldColumns(
      fields, contract: options.schemaRule,
      reserved: Set(layout.columns.filter { $0.origin != .field }.map(\.name.name)),
      isStrict: layout.checksSizes)
    columns = rules
    checked = rules.checks.enumerated().filter { $1 != .anything }.map { (slot: $0, check: $1) }
    isSemiStructured = fields.map(\.isSemiStructured)
    isText = fields.map(\.isText)
    target = layout.format == .csv ? .csv : .json
    limit = options.maxRowBytes.bytes
    hasOverflow = layout.hasOverflow
    hasSequence = layout.columns.contains { $0.origin == .sequence }
    output = options.stagedDialect
    names = fields.map(FieldName.member)
    members = Array(repeating: nil, count: fields.count)
    let keys = layout.merge?.keys ?? []
    key = keys.isEmpty ? nil : RowKey()
    keySlots = keys.compactMap { name in fields.firstIndex { $0.name == name } }
    keyTexts = keys.map { _ in OutputBuffer(capacity: 64) }
    hasKeyText = keys.map { _ in false }
    self.epoch = epoch
    if target == .csv, keys.isEmpty, !hasOverflow {
      csv = FlatJSONToCSV(
        fields.enumerated().map { slot, column in
          FlatJSONToCSV.Column(
            column.field.isEmpty ? nil : column.field, keepsJSON: column.isSemiStructured,
            isChecked: rules.checks[slot] != .anything)
        }, dialect: output)
    }
  }

  func start(_ batch: RecordBatch, order: UInt32) throws(NebulaError) {
    self.order = order
    guard batch.changes == nil, batch.format != .bson, batch.format != .csv || batch.schema != nil else {
      throw NebulaError(
        .formatMismatch, "Changes and plain records can't go to the same table.",
        remedy: "Give each its own table: {collection} in table does it.")
    }
    plain?.forget()
    guard let schema = batch.schema, batch.format == .csv, schema != placed else { return }
    places = []
    for column in schema.columns { places.append(try columns.column(of: column.name) ?? -1) }
    placed = schema
    let isInOrder = target == .csv && places == Array(0..<count) && CSVDialect(schema) == output
    let canCopy = isInOrder && keySlots.isEmpty && !isSemiStructured.contains(true)
    plain = canCopy ? PlainRows(output, width: count, checked, limit: limit) : nil
  }

  func appendRun(
    _ records: Range<Int>, of batch: RecordBatch, _ bytes: UnsafeRawBufferPointer, room: Int
  ) throws(NebulaError) -> Int {
    guard let plain else { return 0 }
    let found = plain.find(records, of: batch, bytes, room: room)
    guard found > 0 else { return 0 }
    let taken = records.prefix(found)
    guard !plain.isGapless || hasSequence || hasOverflow else {
      let (first, last) = (batch.records[taken.lowerBound], batch.records[taken.upperBound - 1])
      rows.append(UnsafeRawBufferPointer(rebasing: bytes[Int(first.start)...Int(last.end)]))
      return found
    }
    overflow.removeAll()
    for index in taken {
      rows.append(batch.records[index].slice(of: bytes))
      written = count
      try end(index)
    }
    return found
  }

  func append(_ index: Int, of batch: RecordBatch, _ bytes: UnsafeRawBufferPointer) throws(NebulaError) -> Bool {
    let record = batch.records[index].slice(of: bytes)
    try appendRow(limit: limit) { () throws(NebulaError) in
      if !keySlots.isEmpty { for slot in hasKeyText.indices { hasKeyText[slot] = false } }
      overflow.removeAll()
      if batch.format == .csv, let schema = batch.schema {
        try csvRecord(record, schema, index)
      } else if csv != nil {
        try csv?.append(validated: record, to: rows, rules: columns)
      } else {
        try jsonRecord(record, index)
      }
      if let key { try writeKey(key, index) }
    }
    return true
  }

  // MARK: from CSV

  private func csvRecord(
    _ row: UnsafeRawBufferPointer, _ schema: RecordSchema, _ index: Int
  ) throws(NebulaError) {
    guard UTF8Text.isValid(row) else { throw RowEncoding.unreadable("The row is not UTF-8") }
    let dialect = CSVDialect(schema)
    var fields = CSVFields(row, dialect: dialect)
    var number = 0
    written = 0
    if target == .json { rows.append("{") }
    while let field = fields.next() {
      guard number < places.count else { throw RowEncoding.unreadable("The row has more than \(places.count) fields") }
      let slot = places[number]
      if slot >= 0 {
        let isNull = isNull(field, row, slot)
        if target == .csv || !isNull { try separator(slot) }
        if !isNull { try csvField(field, row, dialect, slot, schema.columns[number].name) }
      } else {
        try homelessField(field, row, dialect, schema.columns[number].name)
      }
      number += 1
    }
    if let problem = fields.problem { throw problem.error() }
    guard number == places.count else {
      throw RowEncoding.unreadable("The row has \(number) fields instead of \(places.count)")
    }
    try end(index)
  }

  /// A JSON null is NULL in every format.
  private func isNull(_ field: CSVField, _ row: UnsafeRawBufferPointer, _ slot: Int) -> Bool {
    if !field.isQuoted, field.range.isEmpty { return true }
    return isSemiStructured[slot] && row[field.range].elementsEqual("null".utf8)
  }

  private func csvField(
    _ field: CSVField, _ row: UnsafeRawBufferPointer, _ dialect: CSVDialect, _ slot: Int, _ name: String
  ) throws(NebulaError) {
    let raw = UnsafeRawBufferPointer(rebasing: row[field.range])
    guard field.needsUnquoting else { return try text(raw, slot, name) }
    scratch.removeAll(keepingCapacity: true)
    CSVText.unquote(raw, dialect: dialect, into: scratch)
    try scratch.withBytes { (content) throws(NebulaError) in try text(content, slot, name) }
  }

  private func homelessField(
    _ field: CSVField, _ row: UnsafeRawBufferPointer, _ dialect: CSVDialect, _ name: String
  ) throws(NebulaError) {
    let raw = UnsafeRawBufferPointer(rebasing: row[field.range])
    guard field.isQuoted || !raw.isEmpty else { return }
    scratch.removeAll(keepingCapacity: true)
    CSVText.unquote(raw, dialect: dialect, into: scratch)
    scratch.withBytes { overflow.add(name, $0, isJSON: false, columns.reason(name)) }
  }

  /// A field's content, which is not null.
  private func text(_ content: UnsafeRawBufferPointer, _ slot: Int, _ name: String) throws(NebulaError) {
    note(content, slot)
    if isSemiStructured[slot] {
      if let problem = JSONText.validate(content) {
        guard !hasOverflow else { return misfit(content, slot, name, isJSON: false) }
        throw RowEncoding.unreadable(
          "The column \(shortened(columns.columns[slot].name.name)) is declared as JSON or number: \(problem.reason)")
      }
      target == .json ? rows.append(oneLine: content) : CSVText.appendField(content, dialect: output, to: rows)
      return
    }
    if hasOverflow, !columns.checks[slot].takes(content) { return misfit(content, slot, name, isJSON: false) }
    try columns.check(content, for: slot)
    if target == .json {
      JSONText.appendString(content, to: rows)
    } else {
      CSVText.appendField(content, dialect: output, to: rows, alwaysQuote: content.isEmpty)
    }
  }

  private func misfit(_ content: UnsafeRawBufferPointer, _ slot: Int, _ name: String, isJSON: Bool) {
    overflow.add(name, content, isJSON: isJSON, columns.misfit(slot))
    guard target == .json else { return }
    // Left out, and not null: in a VARIANT that would be a JSON null.
    rows.truncate(to: cellStart)
    written -= 1
  }

  private func separator(_ slot: Int) throws(NebulaError) {
    cellStart = rows.count
    defer { written += 1 }
    if written > 0 { rows.append(target == .json ? UInt8(ascii: ",") : output.delimiter) }
    if target == .json { rows.append(names[slot]) }
    // CSV's columns have no names: the registry makes layouts whose columns are in the order of the fields.
    guard target == .json || slot == written else {
      throw NebulaError(
        .formatMismatch, "The fields of a CSV batch are in another order.", remedy: "Report the defect.")
    }
  }

  // MARK: from JSON

  /// Members under their columns' names; those that are null are left out (JSON) or empty (CSV), so that they become
  /// NULL.
  private func jsonRecord(_ object: UnsafeRawBufferPointer, _ index: Int) throws(NebulaError) {
    try place(object)
    if target == .json { rows.append("{") }
    written = 0
    for slot in members.indices {
      let member = members[slot].flatMap { $0.kind == .null ? nil : $0 }
      if target == .json, member == nil { continue }
      try separator(slot)
      if let member { try jsonValue(member, object, slot) }
    }
    try end(index)
  }

  private func jsonValue(
    _ member: JSONObjectReader.Member, _ object: UnsafeRawBufferPointer, _ slot: Int
  ) throws(NebulaError) {
    let value = UnsafeRawBufferPointer(rebasing: object[member.value])
    let needsText = target == .csv || columns.checks[slot] != .anything || keySlots.contains(slot)
    guard member.kind == .string, needsText, !isSemiStructured[slot] else {
      return try checked(value, value, slot, member, object)
    }
    scratch.removeAll(keepingCapacity: true)
    JSONObjectReader.unescape(UnsafeRawBufferPointer(rebasing: value.dropFirst().dropLast()), into: scratch)
    try scratch.withBytes { (text) throws(NebulaError) in try checked(text, value, slot, member, object) }
  }

  /// `text` is what the column will hold, `json` the value as it came.
  private func checked(
    _ text: UnsafeRawBufferPointer, _ json: UnsafeRawBufferPointer, _ slot: Int, _ member: JSONObjectReader.Member,
    _ object: UnsafeRawBufferPointer
  ) throws(NebulaError) {
    note(text, slot)
    if hasOverflow, !isSemiStructured[slot], !columns.checks[slot].takes(text) {
      let key = UnsafeRawBufferPointer(rebasing: object[member.key])
      return misfit(json, slot, JSONObjectReader.unescape(key), isJSON: true)
    }
    if !isSemiStructured[slot], columns.checks[slot] != .anything { try columns.check(text, for: slot) }
    if target == .csv {
      CSVText.appendField(text, dialect: output, to: rows, alwaysQuote: text.isEmpty)
    } else if isText[slot], member.kind != .string {
      // As a number it would come out of a VARIANT in another form: 1.50 as 1.5.
      JSONText.appendString(text, to: rows)
    } else {
      rows.append(oneLine: json)
    }
  }

  /// Notes for each column which member goes there.
  private func place(_ object: UnsafeRawBufferPointer) throws(NebulaError) {
    guard var reader = JSONObjectReader(object) else { throw RowEncoding.unreadable("The record is no JSON object") }
    for slot in members.indices { members[slot] = nil }
    while let member = reader.next() {
      let raw = UnsafeRawBufferPointer(rebasing: object[member.key])
      let slot: Int?
      if member.keyIsEscaped {
        slot = try columns.column(of: JSONObjectReader.unescape(raw))
      } else {
        slot = try columns.column(of: raw)
      }
      if let slot { members[slot] = member } else { homeless(member, object) }
    }
  }

  private func homeless(_ member: JSONObjectReader.Member, _ object: UnsafeRawBufferPointer) {
    guard member.kind != .null else { return }
    let field = JSONObjectReader.unescape(UnsafeRawBufferPointer(rebasing: object[member.key]))
    overflow.add(
      field, UnsafeRawBufferPointer(rebasing: object[member.value]), isJSON: true, columns.reason(field))
  }

  // MARK: beside the fields

  /// The columns behind the fields, and the line's end.
  private func end(_ index: Int) throws(NebulaError) {
    guard target == .csv else {
      if hasSequence {
        rows.append(written > 0 ? ",\"_SEQ\":\"" : "\"_SEQ\":\"")
        appendSequence(index)
        rows.append("\"")
      }
      if hasOverflow, !overflow.isEmpty {
        rows.append(written > 0 || hasSequence ? ",\"_OVERFLOW\":" : "\"_OVERFLOW\":")
        overflow.append(to: rows)
      }
      return rows.append("}\n")
    }
    guard written == count else { throw RowEncoding.unreadable("The row has \(written) of \(count) columns") }
    if hasSequence {
      rows.append(output.delimiter)
      appendSequence(index)
    }
    if hasOverflow {
      rows.append(output.delimiter)
      if !overflow.isEmpty { overflow.append(to: rows, as: output) }
    }
    rows.append("\n")
  }

  /// Epochs follow each other, and so do batches and records in them: 16 + 16 + 8 + 8 hexadecimal digits.
  private func appendSequence(_ index: Int) {
    rows.append(hexadecimal: epoch.generation, digits: 16)
    rows.append(hexadecimal: epoch.sequence, digits: 16)
    rows.append(hexadecimal: UInt64(order), digits: 8)
    rows.append(hexadecimal: UInt64(index), digits: 8)
  }

  private func note(_ text: UnsafeRawBufferPointer, _ slot: Int) {
    guard let number = keySlots.firstIndex(of: slot) else { return }
    keyTexts[number].removeAll(keepingCapacity: true)
    keyTexts[number].append(text)
    hasKeyText[number] = true
  }

  private func writeKey(_ key: RowKey, _ index: Int) throws(NebulaError) {
    key.removeAll()
    for number in keySlots.indices {
      let column = columns.columns[keySlots[number]]
      guard hasKeyText[number] else {
        throw RowEncoding.unreadable("The key column \(column.name.quoted) is empty, so the record can't be merged")
      }
      try keyTexts[number].withBytes { (text) throws(NebulaError) in
        // What went to _OVERFLOW is no key: the column would be NULL.
        try columns.check(text, for: keySlots[number])
        key.append(text)
      }
    }
    key.high = UInt64(order)
    key.low = UInt64(index)
  }
}

extension OutputBuffer {
  /// Lower-case digits, zeros in front.
  func append(hexadecimal number: UInt64, digits: Int) {
    for place in stride(from: (digits - 1) * 4, through: 0, by: -4) {
      let digit = UInt8(truncatingIfNeeded: number >> UInt64(place)) & 15
      append(digit < 10 ? digit &+ 48 : digit &+ 87)
    }
  }
}
