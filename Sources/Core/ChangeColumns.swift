/// What happened to a record. The names are those of MongoDB's change events; `snapshot` marks a copied document.
public struct Operation: Sendable, Hashable, RawRepresentable {
  /// Below 128: one of the known operations; from 128: `names[rawValue - 128]` of the batch.
  public let rawValue: UInt8
  /// Makes an operation from its number.
  @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }
  /// Copied by the first snapshot.
  public static let snapshot = Operation(rawValue: 0)
  /// A new document.
  public static let insert = Operation(rawValue: 1)
  /// A change to parts of a document.
  public static let update = Operation(rawValue: 2)
  /// A document put in place of another.
  public static let replace = Operation(rawValue: 3)
  /// A document removed.
  public static let delete = Operation(rawValue: 4)
  /// The names of the known operations, by number.
  public static let known = ["snapshot", "insert", "update", "replace", "delete"]
  /// The operation called `name`; others are added to `others`. Nil when 128 other names are already there.
  public static func named(_ name: String, _ others: inout [String]) -> Operation? {
    if let index = known.firstIndex(of: name) { return Operation(rawValue: UInt8(index)) }
    if let index = others.firstIndex(of: name) { return Operation(rawValue: UInt8(128 + index)) }
    guard others.count < 128 else { return nil }
    others.append(name)
    return Operation(rawValue: UInt8(127 + others.count))
  }
}

/// The place of a change in the source's total order. Written as text it sorts as itself (24 hex digits).
public struct ChangeSequence: Sendable, Hashable, Comparable {
  /// The cluster time: seconds in the high half, increment in the low half.
  public let clusterTime: UInt64
  /// Counts the changes of one cluster time, from 0.
  public let index: UInt32
  /// Makes a sequence.
  @inlinable public init(clusterTime: UInt64, index: UInt32) {
    self.clusterTime = clusterTime
    self.index = index
  }
  /// Orders by cluster time, then index.
  @inlinable public static func < (a: Self, b: Self) -> Bool {
    (a.clusterTime, a.index) < (b.clusterTime, b.index)
  }
}

/// The fixed-width columns of a change stream, one entry a record in each; slices point into the batch's buffer.
public struct ChangeColumns: Sendable {
  /// What happened.
  public var operations: [Operation] = []
  /// Names of operations from 128 on.
  public var otherOperations: [String] = []
  /// Index into the batch's namespaces.
  public var namespaces: [UInt32] = []
  /// Milliseconds since 1970, UTC; `Int64.min` when unknown.
  public var eventTimes: [Int64] = []
  /// Place in the total order.
  public var sequences: [ChangeSequence] = []
  /// The resume token's text; for snapshot rows that of T0. Makes the event's id (with namespace and key, for a
  /// snapshot row: `CopiedRowID`).
  public var tokens: [ByteRange] = []
  /// The document key, in the batch's format.
  public var keys: [ByteRange] = []
  /// The document after the change.
  public var documents: [ByteRange] = []
  /// The document before the change.
  public var befores: [ByteRange] = []
  /// The update description; for operations other than those on documents, the whole event as it came.
  public var updates: [ByteRange] = []
  /// No changes yet.
  public init() {}
  /// How many changes.
  @inlinable public var count: Int { operations.count }
  /// The name of an operation of this batch.
  public func name(of operation: Operation) -> String {
    operation.rawValue < 128 ? Operation.known[Int(operation.rawValue)] : otherOperations[Int(operation.rawValue) - 128]
  }
}
