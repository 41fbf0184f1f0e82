internal import CNebulaKernels

/// One element of a document: its type, and where name and value stand.
public struct BSONElement {
  /// The document that `name` and `value` speak of.
  public let document: UnsafeRawBufferPointer
  /// The value's type.
  public let type: BSONType
  /// Its name, without the zero byte.
  public let name: Range<Int>
  /// Its value, as BSON writes it (a text with its length, a document whole).
  public let value: Range<Int>

  /// The name's bytes.
  public var nameBytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: document[name]) }
  /// The value's bytes.
  public var valueBytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: document[value]) }
  /// The name as a text.
  public var nameText: String { String(decoding: nameBytes, as: UTF8.self) }

  /// True when the name has these bytes.
  public func isNamed(_ other: UnsafeRawBufferPointer) -> Bool {
    guard other.count == name.count else { return false }
    guard let a = document.baseAddress, let b = other.baseAddress else { return true }
    return nebula_equal(a + name.lowerBound, b, other.count)
  }
  /// True when the name is this literal.
  public func isNamed(_ other: StaticString) -> Bool {
    isNamed(UnsafeRawBufferPointer(start: other.utf8Start, count: other.utf8CodeUnitCount))
  }

  /// The value of an int32, else nil.
  public var int32: Int32? { type == .int32 ? load(Int32.self) : nil }
  /// The value of an int64, else nil.
  public var int64: Int64? { type == .int64 ? load(Int64.self) : nil }
  /// The value of an int32 or int64, else nil.
  public var integer: Int64? { int64 ?? int32.map(Int64.init) }
  /// The value of a double, else nil.
  public var double: Double? { type == .double ? Double(bitPattern: load(UInt64.self)) : nil }
  /// The value of a boolean, else nil.
  public var bool: Bool? { type == .boolean ? document[value.lowerBound] != 0 : nil }
  /// Milliseconds since 1970 of a date, else nil.
  public var date: Int64? { type == .date ? load(Int64.self) : nil }
  /// Seconds in the high half and increment in the low half of a timestamp, else nil.
  public var timestamp: UInt64? { type == .timestamp ? load(UInt64.self) : nil }
  /// The twelve bytes of an ObjectId, else nil.
  public var objectID: UnsafeRawBufferPointer? { type == .objectID ? valueBytes : nil }
  /// The UTF-8 of a string, else nil.
  public var string: UnsafeRawBufferPointer? { type == .string ? text : nil }
  /// A string as a text, else nil.
  public var stringText: String? { string.map { String(decoding: $0, as: UTF8.self) } }
  /// The bytes of a document within or an array, else nil.
  public var subdocument: UnsafeRawBufferPointer? { type == .document || type == .array ? valueBytes : nil }
  /// Subtype and content of a binary, else nil; of subtype 2 without the second length.
  public var binary: (subtype: UInt8, bytes: UnsafeRawBufferPointer)? {
    guard type == .binary else { return nil }
    let bytes = valueBytes
    return (bytes[4], UnsafeRawBufferPointer(rebasing: bytes.dropFirst(bytes[4] == 2 ? 9 : 5)))
  }

  /// The bytes of string, code, symbol, or of a DBPointer's namespace: without length and zero byte.
  var text: UnsafeRawBufferPointer {
    let length = Int(load(Int32.self))
    return UnsafeRawBufferPointer(rebasing: document[value.lowerBound + 4..<value.lowerBound + 3 + length])
  }
  /// The two parts of code with scope.
  var codeAndScope: (code: UnsafeRawBufferPointer, scope: UnsafeRawBufferPointer) {
    let bytes = valueBytes
    let length = Int(bytes.loadUnaligned(fromByteOffset: 4, as: Int32.self))
    return (
      UnsafeRawBufferPointer(rebasing: bytes[8..<7 + length]), UnsafeRawBufferPointer(rebasing: bytes[(8 + length)...])
    )
  }
  func load<T: BitwiseCopyable>(_ type: T.Type) -> T {
    document.loadUnaligned(fromByteOffset: value.lowerBound, as: type)
  }
}
