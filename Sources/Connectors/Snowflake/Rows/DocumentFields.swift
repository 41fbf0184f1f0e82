internal import NebulaCore
internal import NebulaFormats

/// Writes a document's fields of the first level under their columns' names. One owner at a time.
final class DocumentFields {
  let overflow = OverflowText()
  private let columns: FieldColumns
  private let names: [[UInt8]]
  private let isText: [Bool]
  /// The document in which a column was filled last: a name may come twice.
  private var filled: [UInt64]
  private var number: UInt64 = 0
  private let documents: BSONToJSON
  private let value = OutputBuffer(capacity: 512)
  private let text = OutputBuffer(capacity: 512)

  init(_ layout: TableLayout, contract: SchemaContract?, _ documents: BSONToJSON) {
    let columns = layout.fields
    self.columns = FieldColumns(
      columns, contract: contract, reserved: ChangeTable.reserved, isStrict: layout.checksSizes)
    isText = columns.map(\.isText)
    self.documents = documents
    names = columns.map(FieldName.member)
    filled = columns.map { _ in 0 }
  }

  /// `{"COLUMN":value,…}`; nulls are left out, so that they become NULL. What has no column is in `overflow` then.
  func append(
    _ document: UnsafeRawBufferPointer, _ format: PayloadFormat, to rows: OutputBuffer
  ) throws(NebulaError) {
    overflow.removeAll()
    number += 1
    rows.append("{")
    let start = rows.count
    if format == .bson {
      var reader = try BSONReader(document)
      while let element = try reader.next() {
        if element.type == .null || element.type == .undefined { continue }
        value.removeAll(keepingCapacity: true)
        try documents.append(valueOf: element, to: value)
        try value.withBytes { (json) throws(NebulaError) in try place(element.nameBytes, json, start, rows) }
      }
    } else {
      guard var reader = JSONObjectReader(document) else { throw RowEncoding.unreadable("The document is no object") }
      while let member = reader.next() {
        if member.kind != .null { try place(member, document, start, rows) }
      }
    }
    rows.append("}")
  }

  private func place(
    _ member: JSONObjectReader.Member, _ document: UnsafeRawBufferPointer, _ start: Int, _ rows: OutputBuffer
  ) throws(NebulaError) {
    let key = UnsafeRawBufferPointer(rebasing: document[member.key])
    let json = UnsafeRawBufferPointer(rebasing: document[member.value])
    guard member.keyIsEscaped else { return try place(key, json, start, rows) }
    let plain = OutputBuffer(capacity: key.count)
    JSONObjectReader.unescape(key, into: plain)
    try plain.withBytes { (name) throws(NebulaError) in try place(name, json, start, rows) }
  }

  /// `json` is a value's JSON text.
  private func place(
    _ name: UnsafeRawBufferPointer, _ json: UnsafeRawBufferPointer, _ start: Int, _ rows: OutputBuffer
  ) throws(NebulaError) {
    guard let slot = try columns.column(of: name) else {
      let field = String(decoding: name, as: UTF8.self)
      return overflow.add(field, json, isJSON: true, columns.reason(field))
    }
    guard takes(json, slot) else {
      guard columns.contract != .reject else { throw columns.unfit(json, for: slot) }
      return overflow.add(
        String(decoding: name, as: UTF8.self), json, isJSON: true, columns.misfit(slot))
    }
    guard filled[slot] != number else { return try doubled(name, json) }
    filled[slot] = number
    if rows.count > start { rows.append(",") }
    rows.append(names[slot])
    if isText[slot], json.first != UInt8(ascii: "\"") {
      // As a number it would come out of a VARIANT in another form: 1.50 as 1.5.
      JSONText.appendString(json, to: rows)
    } else {
      rows.append(oneLine: json)
    }
  }

  private func doubled(_ name: UnsafeRawBufferPointer, _ json: UnsafeRawBufferPointer) throws(NebulaError) {
    let field = String(decoding: name, as: UTF8.self)
    guard columns.contract != .reject else {
      throw RowEncoding.unreadable("The document has the field \(shortened(field)) twice")
    }
    overflow.add(field, json, isJSON: true, "the document has the field twice")
  }

  /// Beside what the column's type can read, the value has to be of the column's kind: its document comes out of the
  /// table as it went in, or out of `_OVERFLOW`.
  private func takes(_ json: UnsafeRawBufferPointer, _ slot: Int) -> Bool {
    let check = columns.checks[slot]
    guard check != .anything else { return true }
    guard json.first == UInt8(ascii: "\"") else { return ValueKind.keepsLiteral(json, check) && check.takes(json) }
    text.removeAll(keepingCapacity: true)
    JSONObjectReader.unescape(UnsafeRawBufferPointer(rebasing: json.dropFirst().dropLast()), into: text)
    return text.withBytes { ValueKind.keepsText($0, check) && check.takes($0) }
  }
}

/// A column's name as a member of a staged line.
enum FieldName {
  /// `"NAME":`
  static func member(_ column: LoadColumn) -> [UInt8] {
    let name = OutputBuffer(capacity: 64)
    JSONText.appendString(column.name.name, to: name)
    name.append(":")
    return name.array
  }
}
