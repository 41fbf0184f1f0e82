public import NebulaCore

/// BSON into columns: what has a column of its own kind straight, the rest by its plain JSON (`BSONJSONMode.plain`).
extension ParquetShredder {
  /// Appends to the fields what a document has for them, and does not end the row: `undoRow` is the caller's when this
  /// throws.
  public func append(bson document: UnsafeRawBufferPointer) throws(NebulaError) {
    try shred(structure: root, bson: document, 0)
  }

  private func shred(_ node: ParquetNode, _ element: BSONElement, _ repetition: Int) throws(NebulaError) {
    if element.type == .null || element.type == .undefined {
      return nulls(node, repetition, definition: node.definition - 1)
    }
    switch node.shape {
    case .leaf: try shred(leaf: node, element, repetition)
    case .structure:
      guard element.type == .document else { throw misfit(node, "BSON of type \(element.type.rawValue)") }
      try shred(structure: node, bson: element.valueBytes, repetition)
    case .list:
      guard element.type == .array else { throw misfit(node, "BSON of type \(element.type.rawValue)") }
      try shred(list: node, bson: element.valueBytes, repetition)
    }
  }

  private func shred(
    structure node: ParquetNode, bson document: UnsafeRawBufferPointer, _ repetition: Int
  ) throws(NebulaError) {
    var reader = try BSONReader(document)
    node.slots.update(repeating: ParquetNode.Slot())
    var guess = 0
    while let element = try reader.next() {
      let field = try field(node, element.nameBytes, guess: guess)
      guard field >= 0 else { continue }
      node.slots[field] = .init(
        start: element.value.lowerBound, end: element.value.upperBound, kind: element.type.rawValue)
      guess = field + 1
    }
    for (index, child) in node.children.enumerated() {
      let slot = node.slots[index]
      if slot.kind == ParquetNode.Slot.missing {
        nulls(child, repetition, definition: child.definition - 1)
      } else {
        let element = BSONElement(
          document: document, type: BSONType(rawValue: slot.kind), name: 0..<0, value: slot.start..<slot.end)
        try shred(child, element, repetition)
      }
    }
  }

  private func shred(
    list node: ParquetNode, bson array: UnsafeRawBufferPointer, _ repetition: Int
  ) throws(NebulaError) {
    var reader = try BSONReader(array)
    let child = node.children[0]
    var level = repetition
    var isEmpty = true
    while let element = try reader.next() {
      try shred(child, element, level)
      level = node.repetition
      isEmpty = false
    }
    if isEmpty { nulls(node, repetition, definition: node.definition) }
  }

  private func shred(leaf node: ParquetNode, _ element: BSONElement, _ repetition: Int) throws(NebulaError) {
    let column = file.column(leaf: node.leaves.lowerBound, repetition)
    switch (column.type, element.type) {
    case (.boolean, .boolean): try column.append(boolean: element.bool == true)
    case (.int32, .int32), (.int64, .int32), (.int32, .int64), (.int64, .int64), (.decimal, .int32), (.decimal, .int64):
      try column.append(int64: element.integer ?? 0)
    case (.double, .double): try column.append(double: element.double ?? 0)
    case (.double, .int32), (.double, .int64):
      let number = element.integer ?? 0
      guard rules.roundsDoubles || Double(exactly: number) != nil else { throw column.misfit("the number \(number)") }
      try column.append(double: Double(number))
    case (.string, .string): try column.append(bytes: element.text)
    case (.binary, .binary): try column.append(bytes: element.binary?.bytes ?? element.valueBytes)
    // A text that happens to look like base64 is none.
    case (.binary, _): throw column.misfit("BSON of type \(element.type.rawValue)")
    case (.timestamp(let unit, isUTC: true), .date):
      let (units, overflow) = (element.date ?? 0).multipliedReportingOverflow(by: unit.perSecond / 1000)
      guard !overflow else { throw column.misfit("a date that is too early or too late") }
      try column.append(int64: units)
    default: try shredText(of: element, node, repetition)
    }
  }

  private func shredText(of element: BSONElement, _ node: ParquetNode, _ repetition: Int) throws(NebulaError) {
    let json = OutputBuffer(capacity: 256)
    try BSONToJSON(.plain).append(valueOf: element, to: json)
    try json.withBytes { (text) throws(NebulaError) in
      var walk = JSONWalk(text)
      try shred(leaf: node, text, walk.skipValue(), repetition)
    }
  }
}
