internal import CNebulaKernels
internal import NebulaCore

/// The working memory of `FlatJSONToCSV`: plain pointers, so that a row costs no reference counting.
final class CSVRows {
  private let count: Int
  private let columns: [FlatJSONToCSV.Column]
  private let modes: UnsafeMutablePointer<(keepsJSON: Bool, isChecked: Bool)>
  private let names: NameTable
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
    modes = .allocate(capacity: max(count, 1))
    for (index, column) in columns.enumerated() {
      (modes + index).initialize(to: (column.keepsJSON, column.isChecked))
    }
    names = NameTable(columns.map(\.name))
    slots = .allocate(capacity: max(count, 1))
    members = Self.room(max(64, columns.count * 2))
    self.dialect = dialect
    self.nullMarker = Self.copy(nullMarker)
    let bare = Array("+-.0123456789eEtrufals".utf8)
    bareIsPlain = !bare.contains(dialect.delimiter) && !bare.contains(dialect.quote)
  }
  deinit {
    modes.deallocate()
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
    _ object: UnsafeRawBufferPointer, to output: OutputBuffer, _ rules: some ColumnRules
  ) throws(NebulaError) {
    try place(members: readMembers(of: object), of: object, rules)
    let start = output.count
    do {
      for column in 0..<count {
        if column > 0 { output.append(dialect.delimiter) }
        if slots[column] >= 0 { try append(members[Int(slots[column])], of: object, column, rules, to: output) }
      }
    } catch {
      output.truncate(to: start)
      throw error
    }
    if output.count == start { output.append(UnsafeRawBufferPointer(nullMarker)) }
    CSVText.endRow(from: start, dialect: dialect, in: output)
  }

  /// Notes for each column which member goes there.
  private func place(
    members found: Int, of object: UnsafeRawBufferPointer, _ rules: some ColumnRules
  ) throws(NebulaError) {
    let members = members
    slots.update(repeating: -1, count: count)
    var guess = 0
    for index in 0..<found {
      var slot = slot(of: members[index], in: object, guess)
      if slot < 0 { slot = try self.slot(of: members[index], in: object, rules) }
      if slot >= 0 {
        slots[slot] = Int32(truncatingIfNeeded: index)
        guess = slot + 1
      } else {
        unknownMembers += 1
      }
    }
  }

  /// Finds the members of a validated object.
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
  /// Asks for the column of an unknown name, and remembers it.
  private func slot(
    of member: nebula_json_member, in object: UnsafeRawBufferPointer, _ rules: some ColumnRules
  ) throws(NebulaError) -> Int {
    let key = UnsafeRawBufferPointer(rebasing: object[Int(member.key)..<Int(member.key_end)])
    let name = JSONObjectReader.unescape(key)
    guard let slot = try rules.column(of: name) else { return -1 }
    precondition((0..<count).contains(slot), "no such column")
    names.add(name, slot)
    return slot
  }

  private func append(
    _ member: nebula_json_member, of object: UnsafeRawBufferPointer, _ column: Int, _ rules: some ColumnRules,
    to output: OutputBuffer
  ) throws(NebulaError) {
    let value = UnsafeRawBufferPointer(rebasing: object[Int(member.value)..<Int(member.value_end)])
    let mode = modes[column]
    switch member.kind {
    case UInt8(ascii: "n"): return output.append(UnsafeRawBufferPointer(nullMarker))
    case UInt8(ascii: "\"") where !mode.keepsJSON:
      let inside = UnsafeRawBufferPointer(rebasing: value[1..<value.count - 1])
      guard member.value_escaped != 0 else {
        if mode.isChecked { try rules.check(inside, for: column) }
        return appendField(inside, to: output)
      }
      scratch.removeAll(keepingCapacity: true)
      JSONObjectReader.unescape(inside, into: scratch)
      try scratch.withBytes { (text) throws(NebulaError) in
        if mode.isChecked { try rules.check(text, for: column) }
        appendField(text, to: output)
      }
    case UInt8(ascii: "\""), UInt8(ascii: "{"), UInt8(ascii: "["):
      if mode.isChecked { try rules.check(value, for: column) }
      CSVText.appendField(value, dialect: dialect, to: output)
    default:
      if mode.isChecked { try rules.check(value, for: column) }
      bareIsPlain ? output.append(short: value) : CSVText.appendField(value, dialect: dialect, to: output)
    }
  }

  private func appendField(_ text: UnsafeRawBufferPointer, to output: OutputBuffer) {
    let isMarker = text.count == nullMarker.count && text.elementsEqual(nullMarker)
    CSVText.appendField(text, dialect: dialect, to: output, alwaysQuote: text.isEmpty || isMarker)
  }
}
