internal import NebulaCore
internal import NebulaFormats

/// What a row's columns can't take, as one JSON object: `{"field":{"value":…,"reason":"…"}}`. One owner at a time.
final class OverflowText {
  private let text = OutputBuffer(capacity: 256)

  var isEmpty: Bool { text.isEmpty }
  func removeAll() { text.removeAll(keepingCapacity: true) }

  /// Adds a value, which is JSON text, or a text that becomes a string.
  func add(_ field: String, _ value: UnsafeRawBufferPointer, isJSON: Bool, _ reason: String) {
    text.append(text.isEmpty ? "{" : ",")
    JSONText.appendString(field, to: text)
    text.append(":{\"value\":")
    if isJSON { text.append(oneLine: value) } else { JSONText.appendString(value, to: text) }
    text.append(",\"reason\":")
    JSONText.appendString(reason, to: text)
    text.append("}")
  }

  /// The whole object.
  func append(to rows: OutputBuffer) {
    rows.append(text)
    rows.append("}")
  }

  /// The whole object as a field of CSV.
  func append(to rows: OutputBuffer, as dialect: CSVDialect) {
    text.append("}")
    text.withBytes { CSVText.appendField($0, dialect: dialect, to: rows) }
    removeAll()
  }
}
