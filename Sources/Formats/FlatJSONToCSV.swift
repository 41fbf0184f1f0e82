public import NebulaCore

/// Writes JSON objects as rows of a CSV: one column a member, in the order of the columns.
///
/// A text is written as it reads (unescaped), everything else as its JSON text, arrays and objects too. A member that
/// is missing is an empty field, `null` the null marker; an empty text is `""`, so that the three differ as far as the
/// marker allows. A text that equals the marker, or looks like an empty field, is quoted.
/// Members that are no columns are passed over and counted; of a doubled member the last counts.
public struct FlatJSONToCSV {
  private let columns: [[UInt8]]
  private let dialect: CSVDialect
  private let nullMarker: [UInt8]
  private var slots: [JSONObjectReader.Member?]
  private let scratch = OutputBuffer(capacity: 1024)
  /// How many members were passed over because no column has their name.
  public private(set) var unknownMembers = 0

  /// Writes the columns called `columns`.
  public init(columns: [String], dialect: CSVDialect = CSVDialect(), nullMarker: String = "") {
    self.columns = columns.map { Array($0.utf8) }
    self.dialect = dialect
    self.nullMarker = Array(nullMarker.utf8)
    slots = Array(repeating: nil, count: columns.count)
  }

  /// Appends the names as a row.
  public func appendHeader(to output: OutputBuffer) {
    for (index, column) in columns.enumerated() {
      if index > 0 { output.append(dialect.delimiter) }
      column.withUnsafeBytes { CSVText.appendField($0, dialect: dialect, to: output) }
    }
    output.append(UInt8(ascii: "\n"))
  }

  /// Appends one object as a row with its line end. Throws, with nothing appended, when `object` is not one JSON object.
  public mutating func append(_ object: UnsafeRawBufferPointer, to output: OutputBuffer) throws(NebulaError) {
    if let problem = JSONText.validate(object) { throw problem.error() }
    try append(validated: object, to: output)
  }

  /// The same for an object that was validated before.
  public mutating func append(
    validated object: UnsafeRawBufferPointer, to output: OutputBuffer
  ) throws(NebulaError) {
    guard var reader = JSONObjectReader(object) else {
      throw JSONProblem(offset: 0, reason: "a value that is no object can't be a row").error()
    }
    for index in slots.indices { slots[index] = nil }
    var guess = 0
    while let member = reader.next() {
      if let slot = slot(of: member, in: object, guess) {
        slots[slot] = member
        guess = slot + 1
      } else {
        unknownMembers += 1
      }
    }
    for index in slots.indices {
      if index > 0 { output.append(dialect.delimiter) }
      if let member = slots[index] { append(member, of: object, to: output) }
    }
    output.append(UInt8(ascii: "\n"))
  }

  /// Members mostly come in the order of the columns: the one behind the last is tried first.
  private func slot(of member: JSONObjectReader.Member, in object: UnsafeRawBufferPointer, _ guess: Int) -> Int? {
    let key = UnsafeRawBufferPointer(rebasing: object[member.key])
    if member.keyIsEscaped {
      let text = Array(JSONObjectReader.unescape(key).utf8)
      return columns.firstIndex(of: text)
    }
    if guess < columns.count, columns[guess].elementsEqual(key) { return guess }
    return columns.firstIndex { $0.elementsEqual(key) }
  }

  private func append(_ member: JSONObjectReader.Member, of object: UnsafeRawBufferPointer, to output: OutputBuffer) {
    let value = UnsafeRawBufferPointer(rebasing: object[member.value])
    switch member.kind {
    case .null: output.append(nullMarker)
    case .string: appendText(UnsafeRawBufferPointer(rebasing: value.dropFirst().dropLast()), to: output)
    default: CSVText.appendField(value, dialect: dialect, to: output)
    }
  }

  private func appendText(_ inside: UnsafeRawBufferPointer, to output: OutputBuffer) {
    guard inside.contains(UInt8(ascii: "\\")) else { return appendField(inside, to: output) }
    scratch.removeAll(keepingCapacity: true)
    JSONObjectReader.unescape(inside, into: scratch)
    scratch.withBytes { appendField($0, to: output) }
  }
  private func appendField(_ text: UnsafeRawBufferPointer, to output: OutputBuffer) {
    CSVText.appendField(
      text, dialect: dialect, to: output, alwaysQuote: text.isEmpty || text.elementsEqual(nullMarker))
  }
}
