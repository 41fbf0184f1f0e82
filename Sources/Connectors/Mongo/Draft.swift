internal import NebulaCore
internal import NebulaFormats

/// A batch before the merge point gives it its position.
struct Draft: Sendable {
  var bytes: SharedBytes
  var records: [ByteRange] = []
  var namespaces = NamespaceTable()
  var changes = ChangeColumns()
  var rejected: [RejectedRecord] = []

  init(_ bytes: SharedBytes) { self.bytes = bytes }

  var isEmpty: Bool { records.isEmpty && rejected.isEmpty }

  mutating func reserve(_ count: Int) {
    records.reserveCapacity(count)
    changes.operations.reserveCapacity(count)
    changes.namespaces.reserveCapacity(count)
    changes.eventTimes.reserveCapacity(count)
    changes.sequences.reserveCapacity(count)
    changes.tokens.reserveCapacity(count)
    changes.keys.reserveCapacity(count)
    changes.documents.reserveCapacity(count)
    changes.befores.reserveCapacity(count)
    changes.updates.reserveCapacity(count)
  }

  func batch(at position: Position?, lag: RecordBatch.Lag) -> RecordBatch {
    RecordBatch(
      bytes: bytes, records: records, format: .bson, namespaces: namespaces.all, changes: changes, rejected: rejected,
      position: position, lag: lag)
  }
}

/// The namespaces of one batch. Most events stand in the namespace of a recent one, whose bytes are compared first.
struct NamespaceTable: Sendable {
  private(set) var all: [Namespace] = []
  private var seen: [(document: ByteRange, index: UInt32)] = []

  /// The index of a namespace that is known as such.
  mutating func index(of namespace: Namespace) -> UInt32 {
    if let index = all.firstIndex(of: namespace) { return UInt32(index) }
    all.append(namespace)
    return UInt32(all.count - 1)
  }

  /// The index of the namespace that an event's `ns` document names.
  mutating func index(ofDocument range: ByteRange, in bytes: UnsafeRawBufferPointer) -> UInt32? {
    let document = bytes.slice(range)
    for entry in seen.reversed() where bytes.slice(entry.document).isEqual(document) { return entry.index }
    guard let database = BSON.find("db", in: document)?.stringText else { return nil }
    let collection = BSON.find("coll", in: document)?.stringText ?? ""
    let index = index(of: Namespace(database: database, collection: collection))
    if seen.count < 32 { seen.append((range, index)) }
    return index
  }
}

extension UnsafeRawBufferPointer {
  func slice(_ range: ByteRange) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: self[Int(range.start)..<Int(range.end)])
  }
  func isEqual(_ other: UnsafeRawBufferPointer) -> Bool { count == other.count && elementsEqual(other) }
}
