public import NebulaCore

/// Fills one field of a row by walking through it: for values that come neither as JSON nor as BSON.
///
///     var walker = file.walker(0)          // list<struct<name, price>>
///     try walker.beginList()
///     try walker.beginStruct()
///     try walker.column().append(bytes: name)
///     try walker.column().append(int64: 7)
///     try walker.endStruct()
///     try walker.endList()
///
/// A struct's fields come in their order; those that are left out at its end are null.
public struct ParquetWalker {
  private struct Frame {
    let node: ParquetNode
    let repetition: Int
    var next = 0
  }
  private let file: ParquetFileWriter
  private let root: ParquetNode
  private var frames = [Frame]()
  private var isDone = false

  init(_ file: ParquetFileWriter, _ root: ParquetNode) {
    self.file = file
    self.root = root
  }

  /// The column of the value that comes now, to which it must be appended before anything else is done.
  public mutating func column() throws(NebulaError) -> ParquetColumn {
    let (node, repetition) = try take()
    guard case .leaf = node.shape else { throw misuse(node, "a value comes") }
    return file.column(leaf: node.leaves.lowerBound, repetition)
  }
  /// A value, struct or list that is null.
  public mutating func null() throws(NebulaError) {
    let (node, repetition) = try take()
    nulls(node, repetition, definition: node.definition - 1)
  }
  /// A struct, whose fields follow.
  public mutating func beginStruct() throws(NebulaError) {
    let (node, repetition) = try take()
    guard case .structure = node.shape else { throw misuse(node, "a struct begins") }
    frames.append(Frame(node: node, repetition: repetition))
  }
  /// A list, whose elements follow.
  public mutating func beginList() throws(NebulaError) {
    let (node, repetition) = try take()
    guard case .list = node.shape else { throw misuse(node, "a list begins") }
    frames.append(Frame(node: node, repetition: repetition))
  }
  /// Ends the innermost struct.
  public mutating func endStruct() throws(NebulaError) {
    guard let frame = frames.popLast(), case .structure = frame.node.shape else { throw misuse(root, "a struct ends") }
    for child in frame.node.children[frame.next...] {
      nulls(child, frame.repetition, definition: child.definition - 1)
    }
  }
  /// Ends the innermost list.
  public mutating func endList() throws(NebulaError) {
    guard let frame = frames.popLast(), case .list = frame.node.shape else { throw misuse(root, "a list ends") }
    if frame.next == 0 { nulls(frame.node, frame.repetition, definition: frame.node.definition) }
  }

  private func nulls(_ node: ParquetNode, _ repetition: Int, definition: Int) {
    for leaf in node.leaves { file.column(leaf: leaf, repetition).append(nullAt: definition) }
  }

  /// What the next value is for, and with which list it goes on.
  private mutating func take() throws(NebulaError) -> (ParquetNode, Int) {
    guard let frame = frames.last else {
      guard !isDone else { throw misuse(root, "a second value comes") }
      isDone = true
      return (root, 0)
    }
    frames[frames.count - 1].next += 1
    guard case .structure = frame.node.shape else {
      return (frame.node.children[0], frame.next == 0 ? frame.repetition : frame.node.repetition)
    }
    guard frame.next < frame.node.children.count else { throw misuse(frame.node, "a field too many comes") }
    return (frame.node.children[frame.next], frame.repetition)
  }

  private func misuse(_ node: ParquetNode, _ what: String) -> NebulaError {
    ParquetFooter.rowError("At column `\(node.description)` \(what) where none can.")
  }
}

extension ParquetFileWriter {
  /// Walks through field `index` of the row that is written. When it throws, the row must be undone.
  public func walker(_ index: Int) -> ParquetWalker { ParquetWalker(self, schema.nodes[index]) }
}
