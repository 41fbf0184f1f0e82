public import NebulaCore

/// Writes one JSON object a line from parts that are bytes already: the row encoder of landing tables and files.
///
///     writer.begin(); writer.json("DOCUMENT", slice); writer.bson("DOCUMENT_KEY", key); writer.end()
///
/// Names are given as `Name`s, escaped once for all rows.
public struct JSONLineWriter {
  /// A member's name as `"name":`, made once.
  public struct Name: Sendable {
    let bytes: [UInt8]
    /// Escapes a name.
    public init(_ name: String) {
      let output = OutputBuffer(capacity: 64)
      JSONText.appendString(name, to: output)
      output.append(UInt8(ascii: ":"))
      bytes = output.array
    }
  }

  /// Where the lines go.
  public let output: OutputBuffer
  private let bson: BSONToJSON
  private var start = 0
  private var isFirst = true

  /// Writes to `output`; `bson` says how BSON values are written.
  public init(_ output: OutputBuffer, bson: BSONJSONMode = .plain) {
    self.output = output
    self.bson = BSONToJSON(bson)
  }

  /// Starts a line.
  public mutating func begin() {
    start = output.count
    isFirst = true
    output.append(UInt8(ascii: "{"))
  }
  /// Ends the line; returns its length without the newline.
  @discardableResult
  public mutating func end() -> Int {
    output.append("}\n")
    return output.count - start - 1
  }
  /// Takes back all that was written since `begin`.
  public mutating func abandon() { output.truncate(to: start) }

  /// A member whose value the caller appends to `output` next.
  public mutating func name(_ name: Name) {
    if !isFirst { output.append(UInt8(ascii: ",")) }
    isFirst = false
    output.append(name.bytes)
  }
  /// A member with a value that is JSON text already (validated, without a raw newline).
  public mutating func json(_ name: Name, _ value: UnsafeRawBufferPointer) {
    self.name(name)
    output.append(value)
  }
  /// A member with a text (well-formed UTF-8), escaped here.
  public mutating func text(_ name: Name, _ utf8: UnsafeRawBufferPointer) {
    self.name(name)
    JSONText.appendString(utf8, to: output)
  }
  /// A member with a text.
  public mutating func text(_ name: Name, _ text: String) {
    self.name(name)
    JSONText.appendString(text, to: output)
  }
  /// A member with a number.
  public mutating func integer(_ name: Name, _ number: Int64) {
    self.name(name)
    output.append(decimal: number)
  }
  /// A member with a time in UTC, ISO 8601 with milliseconds.
  public mutating func time(_ name: Name, milliseconds: Int64) {
    self.name(name)
    output.append(UInt8(ascii: "\""))
    output.append(iso8601: milliseconds)
    output.append(UInt8(ascii: "\""))
  }
  /// A member that is null.
  public mutating func null(_ name: Name) {
    self.name(name)
    output.append("null")
  }
  /// A member with a BSON document, written as JSON. After an error the line must be abandoned.
  public mutating func bson(_ name: Name, document: UnsafeRawBufferPointer) throws(NebulaError) {
    self.name(name)
    try bson.append(document: document, to: output)
  }
  /// A member with the value of a BSON element. After an error the line must be abandoned.
  public mutating func bson(_ name: Name, valueOf element: BSONElement) throws(NebulaError) {
    self.name(name)
    try bson.append(valueOf: element, to: output)
  }
}
