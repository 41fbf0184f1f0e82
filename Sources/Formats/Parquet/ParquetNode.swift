internal import NebulaCore

/// A field of the schema with what writing needs to know of it. The words are those of Dremel: a *definition level*
/// says how much of a path is there, a *repetition level* which list a value goes on with.
///
/// A list has a repeated group within, as the format wants it, so it takes two definition levels: empty, and not empty.
final class ParquetNode {
  enum Shape {
    case leaf(ParquetPrimitive)
    case structure
    case list
  }
  let name: String
  /// For people: `items[].price`.
  let description: String
  let shape: Shape
  /// The fields of a struct, the one element of a list.
  let children: [ParquetNode]
  /// Which columns of the file lie under it.
  let leaves: Range<Int>
  /// The definition level where this itself is there; one less where it is null.
  let definition: Int
  /// The lists that lead here, itself too when it is one.
  let repetition: Int
  /// Of a struct: the field of a name.
  let names: NameTable?
  /// Of a struct: where the values of its fields stand in the document that is read just now.
  let slots: UnsafeMutableBufferPointer<Slot>

  struct Slot {
    var start = 0
    var end = 0
    /// What kind of value it is, in the numbers of the document's format; `missing` for none.
    var kind = missing
    static let missing = UInt8(0xFE)
  }

  init(
    _ name: String, _ description: String, _ shape: Shape, _ children: [ParquetNode], _ leaves: Range<Int>,
    definition: Int, repetition: Int
  ) {
    self.name = name
    self.description = description
    self.shape = shape
    self.children = children
    self.leaves = leaves
    self.definition = definition
    self.repetition = repetition
    if case .structure = shape { names = NameTable(children.map(\.name)) } else { names = nil }
    slots = .allocate(capacity: names == nil ? 0 : children.count)
    slots.initialize(repeating: Slot())
  }
  deinit { slots.deallocate() }
}

/// One column of the file.
struct ParquetLeaf {
  /// As the format wants it, with the groups of lists.
  let path: [String]
  let primitive: ParquetPrimitive
  let definition: Int
  let repetition: Int
  /// For people: `items[].price`.
  let description: String
}

/// The schema, checked and numbered.
struct ParquetSchema {
  let fields: [ParquetField]
  private(set) var nodes = [ParquetNode]()
  private(set) var leaves = [ParquetLeaf]()

  /// Levels are bytes here, and no reader is happy far below.
  static let deepest = 100

  init(_ fields: [ParquetField]) throws(NebulaError) {
    self.fields = fields
    guard !fields.isEmpty else { throw Self.bad("A Parquet file needs a column.") }
    try Self.checkNames(fields, in: "the schema")
    for field in fields { nodes.append(try node(field.name, field.type, [field.name], field.name, 0, 0, depth: 1)) }
  }

  private mutating func node(
    _ name: String, _ type: ParquetType, _ path: [String], _ description: String, _ definition: Int,
    _ repetition: Int, depth: Int
  ) throws(NebulaError) -> ParquetNode {
    guard depth <= Self.deepest else { throw Self.bad("`\(description)` is nested deeper than \(Self.deepest).") }
    let first = leaves.count
    var children = [ParquetNode]()
    var inner = repetition
    let shape: ParquetNode.Shape
    switch type {
    case .primitive(let primitive):
      try Self.check(primitive, description)
      leaves.append(
        ParquetLeaf(
          path: path, primitive: primitive, definition: definition + 1, repetition: repetition,
          description: description))
      shape = .leaf(primitive)
    case .structure(let fields):
      guard !fields.isEmpty else { throw Self.bad("`\(description)` is a struct without fields.") }
      try Self.checkNames(fields, in: "`\(description)`")
      for field in fields {
        children.append(
          try node(
            field.name, field.type, path + [field.name], "\(description).\(field.name)", definition + 1, repetition,
            depth: depth + 1))
      }
      shape = .structure
    case .list(let element):
      inner += 1
      children = [
        try node(
          "element", element, path + ["list", "element"], description + "[]", definition + 2, inner, depth: depth + 1)
      ]
      shape = .list
    }
    return ParquetNode(
      name, description, shape, children, first..<leaves.count, definition: definition + 1, repetition: inner)
  }

  private static func checkNames(_ fields: [ParquetField], in place: String) throws(NebulaError) {
    var seen = Set<[UInt8]>()
    for field in fields where !seen.insert(Array(field.name.utf8)).inserted {
      throw bad("Two fields of \(place) are called `\(field.name)`.")
    }
  }
  private static func check(_ primitive: ParquetPrimitive, _ description: String) throws(NebulaError) {
    guard case .decimal(let precision, let scale) = primitive else { return }
    guard (1...38).contains(precision), (0...precision).contains(scale) else {
      throw bad(
        "`\(description)` is decimal(\(precision),\(scale)); precisions are 1 to 38, scales 0 to the precision.")
    }
  }
  private static func bad(_ message: String) -> NebulaError {
    NebulaError(.badParquetSchema, message, remedy: "Correct the columns.", exit: .configuration)
  }
}
