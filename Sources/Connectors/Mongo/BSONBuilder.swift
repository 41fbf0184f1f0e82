/// Writes BSON for commands and positions. Not for records: those stay as they came.
struct BSONBuilder {
  private(set) var bytes: [UInt8] = [0, 0, 0, 0]

  init() {}
  init(_ body: (inout BSONBuilder) -> Void) { body(&self) }

  /// The document, closed.
  var document: [UInt8] {
    var closed = bytes + [0]
    let length = UInt32(closed.count).littleEndian
    withUnsafeBytes(of: length) { closed.replaceSubrange(0..<4, with: $0) }
    return closed
  }

  mutating func append(_ name: String, _ value: Int32) { element(0x10, name) { $0.number(value) } }
  mutating func append(_ name: String, _ value: Int64) { element(0x12, name) { $0.number(value) } }
  mutating func append(_ name: String, _ value: Bool) { element(0x08, name) { $0.bytes.append(value ? 1 : 0) } }
  mutating func append(raw element: Slice<UnsafeRawBufferPointer>) { bytes.append(contentsOf: element) }
  mutating func append(null name: String) { element(0x0A, name) { _ in } }
  mutating func append(_ name: String, timestamp value: UInt64) { element(0x11, name) { $0.number(value) } }
  mutating func append(_ name: String, _ value: String) {
    element(0x02, name) {
      $0.number(UInt32(value.utf8.count + 1))
      $0.bytes.append(contentsOf: value.utf8)
      $0.bytes.append(0)
    }
  }
  mutating func append(_ name: String, document: [UInt8]) {
    element(0x03, name) { $0.bytes.append(contentsOf: document) }
  }
  mutating func append(_ name: String, _ body: (inout BSONBuilder) -> Void) {
    append(name, document: BSONBuilder(body).document)
  }
  mutating func append(_ name: String, array documents: [[UInt8]]) {
    let array = BSONBuilder { for (index, one) in documents.enumerated() { $0.append(String(index), document: one) } }
    element(0x04, name) { $0.bytes.append(contentsOf: array.document) }
  }
  mutating func append(_ name: String, int64s: [Int64]) {
    let array = BSONBuilder { for (index, one) in int64s.enumerated() { $0.append(String(index), one) } }
    element(0x04, name) { $0.bytes.append(contentsOf: array.document) }
  }
  mutating func append(_ name: String, strings: [String]) {
    let array = BSONBuilder { for (index, one) in strings.enumerated() { $0.append(String(index), one) } }
    element(0x04, name) { $0.bytes.append(contentsOf: array.document) }
  }

  private mutating func element(_ type: UInt8, _ name: String, _ value: (inout BSONBuilder) -> Void) {
    bytes.append(type)
    bytes.append(contentsOf: name.utf8)
    bytes.append(0)
    value(&self)
  }
  private mutating func number(_ value: some FixedWidthInteger) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }
}
