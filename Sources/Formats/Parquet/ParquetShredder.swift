public import NebulaCore

/// Takes JSON objects and BSON documents apart into the columns of a file, also into lists and structs.
///
/// A member that is missing is null. Of a doubled member the last counts. A member that the schema does not know is
/// refused, unless the rules say that it is passed over. Texts go into text columns, numbers into number columns; into
/// decimals texts too; dates and times as ISO 8601, binary as base64. JSON columns take every value as its text.
///
/// It works on one file, with its one owner, and recurses as deep as the schema, whatever a document does.
public final class ParquetShredder {
  /// How strictly documents are taken.
  public struct Rules: Sendable, Hashable {
    /// True to pass over members that the schema does not know, which are counted then.
    public var passesOverUnknown: Bool
    /// True to round a number to the nearest double; false to refuse one that has more digits than a double.
    public var roundsDoubles: Bool
    /// Strict, unless told otherwise.
    public init(passesOverUnknown: Bool = false, roundsDoubles: Bool = false) {
      self.passesOverUnknown = passesOverUnknown
      self.roundsDoubles = roundsDoubles
    }
  }

  /// How many members were passed over.
  public internal(set) var unknownMembers = 0
  let file: ParquetFileWriter
  let rules: Rules
  /// The fields that are filled, as a struct that is always there.
  let root: ParquetNode
  let scratch = OutputBuffer(capacity: 256)

  /// Fills `fields` of the file, or all; the others are left to who fills their columns.
  public init(_ file: ParquetFileWriter, fields: Range<Int>? = nil, rules: Rules = Rules()) {
    self.file = file
    self.rules = rules
    let nodes = Array(file.schema.nodes[fields ?? 0..<file.fields.count])
    root = ParquetNode(
      "", "the document", .structure, nodes,
      (nodes.first?.leaves.lowerBound ?? 0)..<(nodes.last?.leaves.upperBound ?? 0),
      definition: 0, repetition: 0)
  }

  /// Appends an object as a row, or throws and leaves the file as it was after the last row.
  public func appendRow(_ object: UnsafeRawBufferPointer) throws(NebulaError) {
    if let problem = JSONText.validate(object) { throw problem.error() }
    try appendRow(validated: object)
  }
  /// The same of what `JSONText.validate` has accepted.
  public func appendRow(validated object: UnsafeRawBufferPointer) throws(NebulaError) {
    try row { () throws(NebulaError) in try append(validated: object) }
  }
  /// Appends a BSON document as a row, or throws and leaves the file as it was after the last row.
  public func appendRow(bson document: UnsafeRawBufferPointer) throws(NebulaError) {
    try row { () throws(NebulaError) in try append(bson: document) }
  }
  private func row(_ body: () throws(NebulaError) -> Void) throws(NebulaError) {
    do {
      try body()
      try file.endRow()
    } catch {
      file.undoRow()
      throw error
    }
  }

  /// Appends to the fields what a validated object has for them, and does not end the row: `undoRow` is the caller's
  /// when this throws.
  public func append(validated object: UnsafeRawBufferPointer) throws(NebulaError) {
    try shred(structure: root, object, 0)
  }
  /// Appends a validated JSON value of any kind to one field, counted among those that this fills.
  public func append(validated value: UnsafeRawBufferPointer, toField index: Int) throws(NebulaError) {
    var walk = JSONWalk(value)
    walk.skipSpace()
    let start = walk.at
    guard start < value.count else { throw misfit(root.children[index], "nothing") }
    let kind = walk.skipValue()
    try shred(root.children[index], UnsafeRawBufferPointer(rebasing: value[start..<walk.at]), kind, 0)
  }

  // MARK: - Shared by both formats

  /// No value from here on: all columns below learn how much of the path is there.
  func nulls(_ node: ParquetNode, _ repetition: Int, definition: Int) {
    for leaf in node.leaves { file.column(leaf: leaf, repetition).append(nullAt: definition) }
  }

  /// Which field a member goes to; -1 when it is passed over. `guess` is the one that would come next.
  func field(
    _ node: ParquetNode, _ name: UnsafeRawBufferPointer, guess: Int
  ) throws(NebulaError) -> Int {
    guard let names = node.names else { return -1 }
    if guess < node.children.count, names.isColumn(guess, name) { return guess }
    let field = names.column(of: name)
    if field >= 0 { return field }
    guard rules.passesOverUnknown else {
      throw NebulaError(
        .parquetMisfit, "\(node.place) has no field `\(String(decoding: name.prefix(60), as: UTF8.self))`.",
        remedy: "Add the column, or remove the member at its origin.", disposition: .reject)
    }
    unknownMembers += 1
    return -1
  }

  func misfit(_ node: ParquetNode, _ what: String) -> NebulaError {
    let form: String
    switch node.shape {
    case .leaf(let primitive): form = primitive.description
    case .structure: form = "a struct"
    case .list: form = "a list"
    }
    return NebulaError(
      .parquetMisfit, "\(node.place) is \(form) and can't take \(what).",
      remedy: "Correct the record at its origin, or the column's type.", disposition: .reject)
  }
}

extension ParquetNode {
  fileprivate var place: String { definition == 0 ? "The document" : "Column `\(description)`" }
}
extension ParquetFileWriter {
  /// A column whose next entry goes on with the list of that level.
  func column(leaf: Int, _ repetition: Int) -> ParquetColumn {
    let column = columns[leaf]
    column.page.pointee.repetition = UInt8(truncatingIfNeeded: repetition)
    return column
  }
}
