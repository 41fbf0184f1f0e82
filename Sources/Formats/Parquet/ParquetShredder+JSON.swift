internal import CNebulaKernels
internal import NebulaCore

/// JSON into columns.
extension ParquetShredder {
  func shred(
    _ node: ParquetNode, _ value: UnsafeRawBufferPointer, _ kind: JSONKind, _ repetition: Int
  ) throws(NebulaError) {
    if kind == .null { return nulls(node, repetition, definition: node.definition - 1) }
    switch node.shape {
    case .leaf: try shred(leaf: node, value, kind, repetition)
    case .structure:
      guard kind == .object else { throw misfit(node, kind.description) }
      try shred(structure: node, value, repetition)
    case .list:
      guard kind == .array else { throw misfit(node, kind.description) }
      try shred(list: node, value, repetition)
    }
  }

  /// First where the members stand, then field by field: so the last of a doubled member counts, and a missing one is
  /// null. The slots are the node's own, as no struct comes again within itself.
  func shred(
    structure node: ParquetNode, _ object: UnsafeRawBufferPointer, _ repetition: Int
  ) throws(NebulaError) {
    guard var reader = JSONObjectReader(object) else { throw misfit(node, "what is no object") }
    node.slots.update(repeating: ParquetNode.Slot())
    var guess = 0
    while let member = reader.next() {
      var name = UnsafeRawBufferPointer(rebasing: object[member.key])
      if member.keyIsEscaped {
        scratch.removeAll()
        JSONObjectReader.unescape(name, into: scratch)
        name = scratch.withBytes { $0 }
      }
      let field = try field(node, name, guess: guess)
      guard field >= 0 else { continue }
      node.slots[field] = .init(
        start: member.value.lowerBound, end: member.value.upperBound, kind: member.kind.rawValue)
      guess = field + 1
    }
    for (index, child) in node.children.enumerated() {
      let slot = node.slots[index]
      if let kind = JSONKind(rawValue: slot.kind) {
        try shred(child, UnsafeRawBufferPointer(rebasing: object[slot.start..<slot.end]), kind, repetition)
      } else {
        nulls(child, repetition, definition: child.definition - 1)
      }
    }
  }

  private func shred(
    list node: ParquetNode, _ array: UnsafeRawBufferPointer, _ repetition: Int
  ) throws(NebulaError) {
    guard var reader = JSONArrayReader(array) else { throw misfit(node, "what is no array") }
    let child = node.children[0]
    var level = repetition
    var isEmpty = true
    while let element = reader.next() {
      try shred(child, UnsafeRawBufferPointer(rebasing: array[element.value]), element.kind, level)
      level = node.repetition
      isEmpty = false
    }
    if isEmpty { nulls(node, repetition, definition: node.definition) }
  }

  func shred(
    leaf node: ParquetNode, _ value: UnsafeRawBufferPointer, _ kind: JSONKind, _ repetition: Int
  ) throws(NebulaError) {
    let column = file.column(leaf: node.leaves.lowerBound, repetition)
    switch (column.type, kind) {
    case (.json, _): try column.append(validated: value)
    case (.boolean, .boolean): try column.append(boolean: value[0] == UInt8(ascii: "t"))
    case (.int32, .number), (.int64, .number): try column.append(integerText: value)
    case (.double, .number): try column.append(doubleText: value, exactly: !rules.roundsDoubles)
    case (.decimal, .number): try column.append(decimalText: value)
    case (.string, .string): try column.append(validated: text(value))
    case (.decimal, .string): try column.append(decimalText: text(value))
    case (.date, .string), (.timestamp, .string), (.binary, .string): try column.append(text: text(value))
    default: throw column.misfit(value)
    }
  }

  /// What a string says; it may stand in the scratch memory.
  private func text(_ string: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    let inside = UnsafeRawBufferPointer(rebasing: string.dropFirst().dropLast())
    guard let base = inside.baseAddress?.assumingMemoryBound(to: UInt8.self),
      nebula_find_byte(base, inside.count, UInt8(ascii: "\\")) < inside.count
    else { return inside }
    scratch.removeAll(keepingCapacity: scratch.count < 1 << 20)
    JSONObjectReader.unescape(inside, into: scratch)
    return scratch.withBytes { $0 }
  }
}

extension JSONKind {
  var description: String {
    switch self {
    case .object: "an object"
    case .array: "an array"
    case .string: "a text"
    case .number: "a number"
    case .boolean: "a boolean"
    case .null: "null"
    }
  }
}
