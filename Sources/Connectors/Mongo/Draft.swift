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

  func batch(at position: Position?, lag: RecordBatch.Lag, copy: CopyPhase) -> RecordBatch {
    RecordBatch(
      bytes: bytes, records: records, format: .bson, namespaces: namespaces.all, changes: changes, rejected: rejected,
      position: position, lag: lag, copy: copy)
  }
}

/// The namespaces of one batch. Most events stand in the namespace of the one before; of a thousand collections that
/// take turns, each is found by the hash of its bytes.
struct NamespaceTable: Sendable {
  private(set) var all: [Namespace] = []
  private var indices: [Namespace: UInt32] = [:]
  private struct Seen: Sendable {
    let document: ByteRange
    let index: UInt32
  }
  private var last: Seen?
  private var seen: [Int: Seen] = [:]

  /// The index of a namespace that is known as such.
  mutating func index(of namespace: Namespace) -> UInt32 {
    if let index = indices[namespace] { return index }
    let index = UInt32(all.count)
    all.append(namespace)
    indices[namespace] = index
    return index
  }

  /// The index of the namespace that an event's `ns` document names.
  mutating func index(ofDocument range: ByteRange, in bytes: UnsafeRawBufferPointer) -> UInt32? {
    let document = bytes.slice(range)
    if let last, bytes.slice(last.document).isEqual(document) { return last.index }
    var hasher = Hasher()
    hasher.combine(bytes: document)
    let hash = hasher.finalize()
    if let found = seen[hash], bytes.slice(found.document).isEqual(document) {
      last = found
      return found.index
    }
    guard let database = BSON.find("db", in: document)?.stringText else { return nil }
    let collection = BSON.find("coll", in: document)?.stringText ?? ""
    let new = Seen(document: range, index: index(of: Namespace(database: database, collection: collection)))
    (last, seen[hash]) = (new, new)
    return new.index
  }
}

extension UnsafeRawBufferPointer {
  func slice(_ range: ByteRange) -> UnsafeRawBufferPointer { range.slice(of: self) }
  func isEqual(_ other: UnsafeRawBufferPointer) -> Bool { count == other.count && elementsEqual(other) }
}
