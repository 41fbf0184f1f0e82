import NebulaCore

/// A BSON document, built by hand.
struct Document {
  private var elements: [UInt8] = []
  private mutating func element(_ type: UInt8, _ name: String, _ value: [UInt8]) {
    elements += [type] + Array(name.utf8) + [0] + value
  }
  private func little<T: FixedWidthInteger>(_ number: T) -> [UInt8] {
    withUnsafeBytes(of: number.littleEndian) { Array($0) }
  }
  func string(_ name: String, _ text: String) -> Document { raw(name, Array(text.utf8)) }
  /// A string of any bytes, also of those that are no UTF-8.
  func raw(_ name: String, _ bytes: [UInt8]) -> Document {
    var copy = self
    copy.element(2, name, little(Int32(bytes.count + 1)) + bytes + [0])
    return copy
  }
  func int32(_ name: String, _ number: Int32) -> Document {
    var copy = self
    copy.element(16, name, little(number))
    return copy
  }
  func int64(_ name: String, _ number: Int64) -> Document {
    var copy = self
    copy.element(18, name, little(number))
    return copy
  }
  func double(_ name: String, _ number: Double) -> Document {
    var copy = self
    copy.element(1, name, little(number.bitPattern))
    return copy
  }
  func boolean(_ name: String, _ isTrue: Bool) -> Document {
    var copy = self
    copy.element(8, name, [isTrue ? 1 : 0])
    return copy
  }
  /// Milliseconds since 1970.
  func date(_ name: String, _ milliseconds: Int64) -> Document {
    var copy = self
    copy.element(9, name, little(milliseconds))
    return copy
  }
  func document(_ name: String, _ inner: Document) -> Document {
    var copy = self
    copy.element(3, name, inner.bytes)
    return copy
  }
  var bytes: [UInt8] { little(Int32(elements.count + 5)) + elements + [0] }
}

/// Makes batches of changes.
struct ChangeBatch {
  private var bytes: [UInt8] = []
  private var records: [ByteRange] = []
  private var changes = ChangeColumns()
  private var namespaces: [Namespace] = []
  var copy = CopyPhase.none
  var otherOperations: [String] {
    get { changes.otherOperations }
    set { changes.otherOperations = newValue }
  }

  private mutating func add(_ part: [UInt8]?) -> ByteRange {
    guard let part else { return .absent }
    let start = UInt32(bytes.count)
    bytes += part
    return ByteRange(start, UInt32(bytes.count))
  }

  mutating func add(
    _ operation: Operation = .insert, _ namespace: Namespace = Namespace(database: "shop", collection: "orders"),
    key: [UInt8]?, document: [UInt8]? = nil, before: [UInt8]? = nil, update: [UInt8]? = nil, token: String = "8265AB",
    time: Int64 = 1_795_220_001_976, sequence: ChangeSequence = ChangeSequence(clusterTime: 7, index: 0)
  ) {
    let start = UInt32(bytes.count)
    changes.operations.append(operation)
    if !namespaces.contains(namespace) { namespaces.append(namespace) }
    changes.namespaces.append(UInt32(namespaces.firstIndex(of: namespace) ?? 0))
    changes.eventTimes.append(time)
    changes.sequences.append(sequence)
    changes.tokens.append(add(Array(token.utf8)))
    changes.keys.append(add(key))
    changes.documents.append(add(document))
    changes.befores.append(add(before))
    changes.updates.append(add(update))
    records.append(ByteRange(start, UInt32(bytes.count)))
  }

  var batch: RecordBatch {
    RecordBatch(
      bytes: SharedBytes(copying: bytes), records: records, format: .bson, namespaces: namespaces, changes: changes,
      position: Position([1]), copy: copy)
  }

  /// `count` inserts with distinct documents, numbered from `first`.
  static func orders(
    _ count: Int, from first: Int = 0, in namespace: Namespace = Namespace(database: "shop", collection: "orders")
  ) -> RecordBatch {
    var batch = ChangeBatch()
    for number in first..<first + count {
      let key = Document().int32("_id", Int32(number))
      let document = key.string("name", "customer \(number) \"quoted\" \u{1F600}").int64(
        "big", 9_007_199_254_740_993 + Int64(number)
      )
      .document("inner", Document().double("price", 19.99).string("text", "line\nbreak \\ back"))
      batch.add(
        .insert, namespace, key: key.bytes, document: document.bytes, token: "82\(number)",
        sequence: ChangeSequence(clusterTime: 0x6500_0000_0000_0001, index: UInt32(number)))
    }
    return batch.batch
  }
}

enum Plain {
  /// Lines of JSON as a source gives them.
  static func json(_ lines: [String], _ name: String = "orders") -> RecordBatch {
    var bytes: [UInt8] = []
    var records: [ByteRange] = []
    for line in lines {
      let start = UInt32(bytes.count)
      bytes += Array(line.utf8)
      records.append(ByteRange(start, UInt32(bytes.count)))
      bytes.append(10)
    }
    return RecordBatch(
      bytes: SharedBytes(copying: bytes), records: records, format: .json, namespaces: [Namespace(collection: name)],
      position: Position([1]))
  }

  /// Rows of CSV as a source gives them.
  static func csv(_ rows: [[UInt8]], _ schema: RecordSchema, _ name: String = "orders") -> RecordBatch {
    var bytes: [UInt8] = []
    var records: [ByteRange] = []
    for row in rows {
      let start = UInt32(bytes.count)
      bytes += row
      records.append(ByteRange(start, UInt32(bytes.count)))
      bytes.append(10)
    }
    return RecordBatch(
      bytes: SharedBytes(copying: bytes), records: records, format: .csv, namespaces: [Namespace(collection: name)],
      schema: schema, position: Position([1]))
  }
}
