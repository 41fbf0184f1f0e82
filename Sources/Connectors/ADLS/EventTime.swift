internal import NebulaCore

/// The time by which a record finds its partition: the cluster time, else the wall time, else that in the ObjectId of
/// its key; of a copied row first the ObjectId, then T0. All in milliseconds since 1970.
struct EventTime {
  private let changes: ChangeColumns?
  /// For records without any.
  private let fallback: Int64

  init(_ batch: RecordBatch, fallback: Int64) {
    changes = batch.changes
    self.fallback = fallback
  }

  func callAsFunction(_ index: Int, _ bytes: UnsafeRawBufferPointer) -> Int64 {
    guard let changes else { return fallback }
    let known = changes.eventTimes[index]
    if changes.operations[index] != .snapshot, known != .min { return known }
    return Self.objectIDTime(changes.keys[index], bytes) ?? (known == .min ? fallback : known)
  }

  /// Of a key that is `{_id: ObjectId(…)}` in BSON, whose first four bytes are seconds.
  static func objectIDTime(_ key: ByteRange, _ bytes: UnsafeRawBufferPointer) -> Int64? {
    guard key.count == 22, bytes[Int(key.start) + 4] == 7, bytes[Int(key.start) + 5] == UInt8(ascii: "_") else {
      return nil
    }
    let at = Int(key.start) + 9
    return Int64(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self))) * 1000
  }
}
