internal import CNebulaKernels
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
  private var members: [nebula_json_member]
  /// For each column the index of its member; -1 where it is missing.
  private var slots: [Int32]
  private let scratch = OutputBuffer(capacity: 1024)
  /// How many members were passed over because no column has their name.
  public private(set) var unknownMembers = 0

  /// Writes the columns called `columns`.
  public init(columns: [String], dialect: CSVDialect = CSVDialect(), nullMarker: String = "") {
    self.columns = columns.map { Array($0.utf8) }
    self.dialect = dialect
    self.nullMarker = Array(nullMarker.utf8)
    slots = Array(repeating: -1, count: columns.count)
    members = Array(repeating: nebula_json_member(), count: max(64, columns.count * 2))
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
    let count = try readMembers(of: object)
    for index in slots.indices { slots[index] = -1 }
    var guess = 0
    for index in 0..<count {
      if let slot = slot(of: members[index], in: object, guess) {
        slots[slot] = Int32(index)
        guess = slot + 1
      } else {
        unknownMembers += 1
      }
    }
    for index in slots.indices {
      if index > 0 { output.append(dialect.delimiter) }
      if slots[index] >= 0 { append(members[Int(slots[index])], of: object, to: output) }
    }
    output.append(UInt8(ascii: "\n"))
  }

  /// Validates the object and finds its members in the same walk.
  private mutating func readMembers(of object: UnsafeRawBufferPointer) throws(NebulaError) -> Int {
    guard let base = object.baseAddress?.assumingMemoryBound(to: UInt8.self), object.count <= UInt32.max else {
      throw JSONProblem(offset: 0, reason: object.isEmpty ? "no value" : "a value of 4 GiB or more").error()
    }
    var (found, offset) = (0, 0)
    let fault = nebula_json_members(
      base, object.count, UInt32(JSONText.maximumDepth), &members, members.count, &found, &offset)
    guard fault == 0 else { throw JSONText.problem(fault, offset).error() }
    if found > members.count {
      members = Array(repeating: nebula_json_member(), count: found)
      return try readMembers(of: object)
    }
    guard found > 0 || Self.isObject(object) else {
      throw JSONProblem(offset: 0, reason: "a value that is no object can't be a row").error()
    }
    return found
  }
  private static func isObject(_ value: UnsafeRawBufferPointer) -> Bool {
    value.first { $0 > 0x20 } == UInt8(ascii: "{")
  }

  /// Members mostly come in the order of the columns: the one behind the last is tried first.
  private func slot(of member: nebula_json_member, in object: UnsafeRawBufferPointer, _ guess: Int) -> Int? {
    let key = UnsafeRawBufferPointer(rebasing: object[Int(member.key)..<Int(member.key_end)])
    if member.key_escaped != 0 {
      let text = Array(JSONObjectReader.unescape(key).utf8)
      return columns.firstIndex(of: text)
    }
    if guess < columns.count, Self.equal(columns[guess], key) { return guess }
    return columns.firstIndex { Self.equal($0, key) }
  }
  private static func equal(_ name: [UInt8], _ key: UnsafeRawBufferPointer) -> Bool {
    name.withUnsafeBytes { name in
      guard name.count == key.count, let a = name.baseAddress, let b = key.baseAddress else { return name.count == key.count }
      return nebula_equal(a, b, name.count)
    }
  }

  private func append(_ member: nebula_json_member, of object: UnsafeRawBufferPointer, to output: OutputBuffer) {
    let value = UnsafeRawBufferPointer(rebasing: object[Int(member.value)..<Int(member.value_end)])
    switch member.kind {
    case UInt8(ascii: "n"): output.append(nullMarker)
    case UInt8(ascii: "\""): appendText(value, escaped: member.value_escaped != 0, to: output)
    case UInt8(ascii: "{"), UInt8(ascii: "["): CSVText.appendField(value, dialect: dialect, to: output)
    default: appendBare(value, to: output)
    }
  }

  /// Numbers and booleans hold nothing to quote, unless someone separates fields with their letters.
  private func appendBare(_ value: UnsafeRawBufferPointer, to output: OutputBuffer) {
    let usual = dialect.delimiter < UInt8(ascii: "+") || dialect.delimiter == UInt8(ascii: ",")
      || dialect.delimiter == UInt8(ascii: ";") || dialect.delimiter == UInt8(ascii: "|")
    usual ? output.append(value) : CSVText.appendField(value, dialect: dialect, to: output)
  }

  private func appendText(_ quoted: UnsafeRawBufferPointer, escaped: Bool, to output: OutputBuffer) {
    let inside = UnsafeRawBufferPointer(rebasing: quoted[1..<quoted.count - 1])
    guard escaped else { return appendField(inside, to: output) }
    scratch.removeAll(keepingCapacity: true)
    JSONObjectReader.unescape(inside, into: scratch)
    scratch.withBytes { appendField($0, to: output) }
  }
  private func appendField(_ text: UnsafeRawBufferPointer, to output: OutputBuffer) {
    let isMarker = text.count == nullMarker.count && Self.equal(nullMarker, text)
    CSVText.appendField(text, dialect: dialect, to: output, alwaysQuote: text.isEmpty || isMarker)
  }
}
