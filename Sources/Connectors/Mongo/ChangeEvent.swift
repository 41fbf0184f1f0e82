internal import NebulaCore
internal import NebulaFormats

/// Where the parts of one change event stand in a buffer. Fields that it does not know are left alone.
struct ChangeEvent {
  var token = ByteRange.absent
  var tokenText = ByteRange.absent
  var operation = ByteRange.absent
  var namespace = ByteRange.absent
  var key = ByteRange.absent
  var document = ByteRange.absent
  var before = ByteRange.absent
  var update = ByteRange.absent
  var clusterTime: UInt64?
  var wallTime: Int64?
  /// Number and total of a fragment.
  var fragment: (number: Int, total: Int)?

  /// Reads the event at `range`; throws where its structure is broken, having read what stands before.
  mutating func read(_ bytes: UnsafeRawBufferPointer, _ range: ByteRange) throws(NebulaError) {
    var reader = try BSONReader(bytes.slice(range))
    while let element = try reader.next() { take(element, at: range.start) }
  }

  /// Milliseconds since 1970; clusterTime counts whole seconds.
  var time: Int64 { clusterTime.map { Int64($0 >> 32) * 1000 } ?? wallTime ?? Int64.min }

  private mutating func take(_ element: BSONElement, at start: UInt32) {
    // No two of these names have the same length, but clusterTime and documentKey.
    switch element.name.count {
    case 2: if element.isNamed("ns") { namespace = document(element, at: start) }
    case 3: if element.isNamed("_id") { takeToken(element, at: start) }
    case 8: if element.isNamed("wallTime") { wallTime = element.date }
    case 10: if element.isNamed("splitEvent") { fragment = Self.fragment(element) }
    case 11:
      if element.isNamed("documentKey") { key = document(element, at: start) }
      if element.isNamed("clusterTime") { clusterTime = element.timestamp }
    case 12: if element.isNamed("fullDocument") { document = document(element, at: start) }
    case 13: if element.isNamed("operationType") { operation = text(element, at: start) }
    case 17: if element.isNamed("updateDescription") { update = document(element, at: start) }
    case 24: if element.isNamed("fullDocumentBeforeChange") { before = document(element, at: start) }
    default: break
    }
  }

  private mutating func takeToken(_ element: BSONElement, at start: UInt32) {
    token = document(element, at: start)
    guard !token.isEmpty, let text = BSON.find("_data", in: element.valueBytes) else { return }
    tokenText = self.text(text, at: token.start)
  }

  /// The range of a document; absent for null and everything else.
  private func document(_ element: BSONElement, at start: UInt32) -> ByteRange {
    guard element.type == .document else { return .absent }
    return ByteRange(start + UInt32(element.value.lowerBound), start + UInt32(element.value.upperBound))
  }
  /// The range of a text's characters.
  private func text(_ element: BSONElement, at start: UInt32) -> ByteRange {
    guard element.type == .string else { return .absent }
    return ByteRange(start + UInt32(element.value.lowerBound) + 4, start + UInt32(element.value.upperBound) - 1)
  }
  private static func fragment(_ element: BSONElement) -> (Int, Int)? {
    guard let document = element.subdocument, let number = BSON.find("fragment", in: document)?.integer,
      let total = BSON.find("of", in: document)?.integer
    else { return nil }
    return (Int(number), Int(total))
  }
}

extension Operation {
  /// The operation with that name, without making a text of the usual ones.
  static func read(_ name: UnsafeRawBufferPointer, _ others: inout [String]) -> Operation? {
    switch name.first {
    case UInt8(ascii: "i") where name.count == 6 && name.is("insert"): .insert
    case UInt8(ascii: "u") where name.count == 6 && name.is("update"): .update
    case UInt8(ascii: "d") where name.count == 6 && name.is("delete"): .delete
    case UInt8(ascii: "r") where name.count == 7 && name.is("replace"): .replace
    default: .named(String(decoding: name, as: UTF8.self), &others)
    }
  }
}

extension UnsafeRawBufferPointer {
  fileprivate func `is`(_ text: StaticString) -> Bool {
    isEqual(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }
}
