internal import CNebulaKernels
public import NebulaCore

/// Writes JSON objects as rows of a CSV: one column a member, in the order of the columns.
///
/// A text is written as it reads (unescaped), everything else as its JSON text, arrays and objects too. A member that
/// is missing is an empty field, `null` the null marker; an empty text is `""`, so that the three differ as far as the
/// marker allows. A text that equals the marker, or looks like an empty field, is quoted. In a CSV of one column an
/// empty field would be a blank line, over which readers pass: there a missing member is the null marker too, and what
/// is empty even so is `""`.
/// Members that are no columns are passed over and counted, or given to who can find a column for them; of a doubled
/// member the last counts.
///
/// A value holds its working memory by reference: give each worker one of its own.
public struct FlatJSONToCSV {
  /// A column: which member it takes, and how.
  public struct Column: Sendable, Hashable {
    /// The member's name; nil when none is known yet.
    public var name: String?
    /// True to write texts as JSON too, with their quotes, so that each value keeps its type.
    public var keepsJSON: Bool
    /// Describes a column.
    public init(_ name: String?, keepsJSON: Bool = false) {
      self.name = name
      self.keepsJSON = keepsJSON
    }
  }

  private let rows: CSVRows
  /// How many members were passed over because no column has their name.
  public var unknownMembers: Int { rows.unknownMembers }

  /// Writes the columns called `columns`.
  public init(columns: [String], dialect: CSVDialect = CSVDialect(), nullMarker: String = "") {
    self.init(columns.map { Column($0) }, dialect: dialect, nullMarker: nullMarker)
  }
  /// Writes these columns.
  public init(_ columns: [Column], dialect: CSVDialect = CSVDialect(), nullMarker: String = "") {
    rows = CSVRows(columns, dialect: dialect, nullMarker: nullMarker)
  }

  /// Appends the names as a row.
  public func appendHeader(to output: OutputBuffer) { rows.appendHeader(to: output) }

  /// Appends one object as a row with its line end. Throws, with nothing appended, when `object` is not one JSON object.
  public mutating func append(_ object: UnsafeRawBufferPointer, to output: OutputBuffer) throws(NebulaError) {
    try rows.append(object, to: output, nil)
  }

  /// The same. `column` is asked, once a name, for the column of a member whose name is no column's; when it throws,
  /// nothing is appended.
  public mutating func append(
    _ object: UnsafeRawBufferPointer, to output: OutputBuffer, column: (String) throws(NebulaError) -> Int
  ) throws(NebulaError) {
    try withoutActuallyEscaping(column) { (column) throws(NebulaError) in
      try rows.append(object, to: output, column)
    }
  }
}

/// The working memory of `FlatJSONToCSV`: plain pointers, so that a row costs no reference counting.
private final class CSVRows {
  private let count: Int
  private let columns: [FlatJSONToCSV.Column]
  /// True for the columns that take texts as JSON.
  private let keepsJSON: UnsafeMutablePointer<Bool>
  private var names: NameTable
  /// For each column the index of its member; -1 where it is missing.
  private let slots: UnsafeMutablePointer<Int32>
  private var members: UnsafeMutableBufferPointer<nebula_json_member>
  private let dialect: CSVDialect
  private let nullMarker: UnsafeMutableRawBufferPointer
  private let scratch = OutputBuffer(capacity: 1024)
  private(set) var unknownMembers = 0
  /// True when numbers and booleans hold nothing that the dialect must quote.
  private let bareIsPlain: Bool

  init(_ columns: [FlatJSONToCSV.Column], dialect: CSVDialect, nullMarker: String) {
    count = columns.count
    self.columns = columns
    keepsJSON = .allocate(capacity: max(count, 1))
    for (index, column) in columns.enumerated() { (keepsJSON + index).initialize(to: column.keepsJSON) }
    names = NameTable(columns.map(\.name))
    slots = .allocate(capacity: max(count, 1))
    members = Self.room(max(64, columns.count * 2))
    self.dialect = dialect
    self.nullMarker = Self.copy(nullMarker)
    let bare = Array("+-.0123456789eEtrufals".utf8)
    bareIsPlain = !bare.contains(dialect.delimiter) && !bare.contains(dialect.quote)
  }
  deinit {
    keepsJSON.deallocate()
    slots.deallocate()
    members.deallocate()
    nullMarker.deallocate()
  }
  private static func copy(_ text: String) -> UnsafeMutableRawBufferPointer {
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: text.utf8.count, alignment: 1)
    bytes.copyBytes(from: text.utf8)
    return bytes
  }
  private static func room(_ count: Int) -> UnsafeMutableBufferPointer<nebula_json_member> {
    let room = UnsafeMutableBufferPointer<nebula_json_member>.allocate(capacity: count)
    room.initialize(repeating: nebula_json_member())
    return room
  }

  func appendHeader(to output: OutputBuffer) {
    let start = output.count
    for index in 0..<count {
      if index > 0 { output.append(dialect.delimiter) }
      var name = columns[index].name ?? ""
      name.withUTF8 { CSVText.appendField(UnsafeRawBufferPointer($0), dialect: dialect, to: output) }
    }
    CSVText.endRow(from: start, dialect: dialect, in: output)
  }

  func append(
    _ object: UnsafeRawBufferPointer, to output: OutputBuffer, _ column: ((String) throws(NebulaError) -> Int)?
  ) throws(NebulaError) {
    let found = try readMembers(of: object)
    let members = members
    slots.update(repeating: -1, count: count)
    var guess = 0
    for index in 0..<found {
      var slot = slot(of: members[index], in: object, guess)
      if slot < 0, let column { slot = try self.slot(of: members[index], in: object, column) }
      if slot >= 0 {
        slots[slot] = Int32(truncatingIfNeeded: index)
        guess = slot + 1
      } else {
        unknownMembers += 1
      }
    }
    let start = output.count
    for index in 0..<count {
      if index > 0 { output.append(dialect.delimiter) }
      if slots[index] >= 0 { append(members[Int(slots[index])], of: object, keepsJSON[index], to: output) }
    }
    if output.count == start { output.append(UnsafeRawBufferPointer(nullMarker)) }
    CSVText.endRow(from: start, dialect: dialect, in: output)
  }

  /// Validates the object and finds its members in the same walk.
  private func readMembers(of object: UnsafeRawBufferPointer) throws(NebulaError) -> Int {
    guard let base = object.baseAddress?.assumingMemoryBound(to: UInt8.self), object.count <= UInt32.max else {
      throw JSONProblem(offset: 0, reason: object.isEmpty ? "no value" : "a value of 4 GiB or more").error()
    }
    var (found, offset) = (0, 0)
    let fault = nebula_json_members(
      base, object.count, UInt32(JSONText.maximumDepth), members.baseAddress, members.count, &found, &offset)
    guard fault == 0 else { throw JSONText.problem(fault, offset).error() }
    if found > members.count {
      members.deallocate()
      members = Self.room(found)
      return try readMembers(of: object)
    }
    guard found > 0 || object.first(where: { $0 > 0x20 }) == UInt8(ascii: "{") else {
      throw JSONProblem(offset: 0, reason: "a value that is no object can't be a row").error()
    }
    return found
  }

  /// Members mostly come in the order of the columns: the one behind the last is tried first. -1 when there is none.
  private func slot(of member: nebula_json_member, in object: UnsafeRawBufferPointer, _ guess: Int) -> Int {
    let key = UnsafeRawBufferPointer(rebasing: object[Int(member.key)..<Int(member.key_end)])
    guard member.key_escaped == 0 else {
      scratch.removeAll(keepingCapacity: true)
      JSONObjectReader.unescape(key, into: scratch)
      return scratch.withBytes { names.column(of: $0) }
    }
    return guess < count && names.isColumn(guess, key) ? guess : names.column(of: key)
  }
  /// Asks for the column of an unknown name, and remembers the answer.
  private func slot(
    of member: nebula_json_member, in object: UnsafeRawBufferPointer, _ column: (String) throws(NebulaError) -> Int
  ) throws(NebulaError) -> Int {
    let name = JSONObjectReader.unescape(
      UnsafeRawBufferPointer(rebasing: object[Int(member.key)..<Int(member.key_end)]))
    let slot = try column(name)
    precondition((0..<count).contains(slot), "no such column")
    names.add(name, slot)
    return slot
  }

  private func append(
    _ member: nebula_json_member, of object: UnsafeRawBufferPointer, _ keepsJSON: Bool, to output: OutputBuffer
  ) {
    let value = UnsafeRawBufferPointer(rebasing: object[Int(member.value)..<Int(member.value_end)])
    switch member.kind {
    case UInt8(ascii: "n"): output.append(UnsafeRawBufferPointer(nullMarker))
    case UInt8(ascii: "\"") where !keepsJSON: appendText(value, escaped: member.value_escaped != 0, to: output)
    case UInt8(ascii: "\""), UInt8(ascii: "{"), UInt8(ascii: "["):
      CSVText.appendField(value, dialect: dialect, to: output)
    default: bareIsPlain ? output.append(value) : CSVText.appendField(value, dialect: dialect, to: output)
    }
  }

  private func appendText(_ quoted: UnsafeRawBufferPointer, escaped: Bool, to output: OutputBuffer) {
    let inside = UnsafeRawBufferPointer(rebasing: quoted[1..<quoted.count - 1])
    guard escaped else { return appendField(inside, to: output) }
    scratch.removeAll(keepingCapacity: true)
    JSONObjectReader.unescape(inside, into: scratch)
    scratch.withBytes { appendField($0, to: output) }
  }
  private func appendField(_ text: UnsafeRawBufferPointer, to output: OutputBuffer) {
    let isMarker = text.count == nullMarker.count && text.elementsEqual(nullMarker)
    CSVText.appendField(text, dialect: dialect, to: output, alwaysQuote: text.isEmpty || isMarker)
  }
}
