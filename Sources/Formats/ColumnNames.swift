public import NebulaCore

/// The columns of CSV that is made from JSON or BSON: as configured, else the keys of the first record of a namespace.
public struct ColumnNames: Sendable {
  private let configured: [String]
  private var inferred: [Namespace: [String]] = [:]
  /// Starts with the configured columns; none to take them from the records.
  public init(_ configured: [String]) { self.configured = configured }

  /// The columns for the records of `batch`; none when they are not needed.
  public mutating func columns(for batch: RecordBatch) -> [String] {
    if !configured.isEmpty { return configured }
    guard batch.count > 0, batch.format != .csv, batch.changes == nil else { return [] }
    let namespace = batch.namespace(of: 0)
    if let known = inferred[namespace] { return known }
    let keys = Self.keys(of: batch)
    if !keys.isEmpty { inferred[namespace] = keys }
    return keys
  }

  /// The keys of the first record that is an object.
  private static func keys(of batch: RecordBatch) -> [String] {
    let scratch = OutputBuffer()
    return batch.withBytes { bytes in
      for range in batch.records {
        let record = range.slice(of: bytes)
        scratch.removeAll()
        if batch.format == .json {
          scratch.append(record)
        } else {
          try? BSONToJSON().append(document: record, to: scratch)
        }
        let keys = scratch.withBytes { Self.keys(ofObject: $0) }
        if !keys.isEmpty { return keys }
      }
      return []
    }
  }

  private static func keys(ofObject json: UnsafeRawBufferPointer) -> [String] {
    guard var reader = JSONObjectReader(json) else { return [] }
    var keys: [String] = []
    while let member = reader.next() {
      let key = JSONObjectReader.unescape(UnsafeRawBufferPointer(rebasing: json[member.key]))
      if !keys.contains(key) { keys.append(key) }
    }
    return keys
  }
}
