internal import CNebulaKernels
public import NebulaCore

/// Why bytes are not a BSON document, and where.
public struct BSONProblem: Error, Sendable, Hashable {
  /// The offset of the offending byte.
  public let offset: Int
  /// A sentence without an end.
  public let reason: String
  /// Makes a problem.
  public init(offset: Int, reason: String) {
    self.offset = offset
    self.reason = reason
  }
  /// The error of the record; only it is at fault.
  public func error(at place: NebulaError.Place? = nil) -> NebulaError {
    NebulaError(
      .malformedBSON, "Not BSON: \(reason), at byte \(offset).", remedy: "Correct the record at its origin.", at: place,
      disposition: .reject)
  }
}

/// An element's type, by its number in the BSON specification. Others than these are malformed.
public struct BSONType: RawRepresentable, Sendable, Hashable {
  /// The number.
  public let rawValue: UInt8
  /// Makes a type from its number.
  @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }
  /// 64-bit floating point.
  public static let double = BSONType(rawValue: 0x01)
  /// UTF-8 text.
  public static let string = BSONType(rawValue: 0x02)
  /// A document within.
  public static let document = BSONType(rawValue: 0x03)
  /// An array: a document whose names count.
  public static let array = BSONType(rawValue: 0x04)
  /// Bytes with a subtype.
  public static let binary = BSONType(rawValue: 0x05)
  /// Deprecated.
  public static let undefined = BSONType(rawValue: 0x06)
  /// Twelve bytes.
  public static let objectID = BSONType(rawValue: 0x07)
  /// True or false.
  public static let boolean = BSONType(rawValue: 0x08)
  /// Milliseconds since 1970, UTC.
  public static let date = BSONType(rawValue: 0x09)
  /// Null.
  public static let null = BSONType(rawValue: 0x0A)
  /// Pattern and options.
  public static let regex = BSONType(rawValue: 0x0B)
  /// Deprecated: namespace and id.
  public static let dbPointer = BSONType(rawValue: 0x0C)
  /// JavaScript.
  public static let code = BSONType(rawValue: 0x0D)
  /// Deprecated: a text.
  public static let symbol = BSONType(rawValue: 0x0E)
  /// Deprecated: JavaScript with its scope.
  public static let codeWithScope = BSONType(rawValue: 0x0F)
  /// 32-bit integer.
  public static let int32 = BSONType(rawValue: 0x10)
  /// The oplog's own: seconds and increment.
  public static let timestamp = BSONType(rawValue: 0x11)
  /// 64-bit integer.
  public static let int64 = BSONType(rawValue: 0x12)
  /// IEEE 754 decimal128.
  public static let decimal128 = BSONType(rawValue: 0x13)
  /// Above all others.
  public static let maxKey = BSONType(rawValue: 0x7F)
  /// Below all others.
  public static let minKey = BSONType(rawValue: 0xFF)
}

/// BSON documents as bytes: checked and walked, never parsed into values.
public enum BSON {
  /// How deep documents may nest (MongoDB itself stores 100 levels and refuses more than 200).
  public static let maximumDepth = 250

  /// Nil when `bytes` is one whole document whose every length, type and text is right, else the first problem.
  public static func validate(_ bytes: UnsafeRawBufferPointer) -> BSONProblem? {
    if let base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self),
      nebula_bson_is_valid(base, bytes.count, UInt32(maximumDepth))
    {
      return nil
    }
    return problem(of: bytes)
  }

  /// The slow way, which knows what is wrong.
  private static func problem(of bytes: UnsafeRawBufferPointer) -> BSONProblem? {
    do {
      try check(bytes, at: 0, isArray: false, depth: 1)
      return nil
    } catch {
      return error
    }
  }

  private static func check(
    _ bytes: UnsafeRawBufferPointer, at base: Int, isArray: Bool, depth: Int
  ) throws(BSONProblem) {
    guard depth <= maximumDepth else { throw BSONProblem(offset: base, reason: "nested deeper than \(maximumDepth)") }
    var reader = try BSONReader(checking: bytes, at: base)
    while let element = try reader.step() {
      // An array's names mean nothing, so nobody writes them.
      if !isArray { try checkText(element.nameBytes, at: base + element.name.lowerBound) }
      try check(element, at: base + element.value.lowerBound, depth: depth)
    }
  }

  private static func check(_ element: BSONElement, at offset: Int, depth: Int) throws(BSONProblem) {
    let value = element.valueBytes
    switch element.type {
    case .document, .array: try check(value, at: offset, isArray: element.type == .array, depth: depth + 1)
    case .string, .code, .symbol, .dbPointer: try checkText(element.text, at: offset + 4)
    case .regex: try checkText(value, at: offset)
    case .codeWithScope:
      let parts = element.codeAndScope
      try checkText(parts.code, at: offset + 8)
      try check(parts.scope, at: offset + value.count - parts.scope.count, isArray: false, depth: depth + 1)
    default: break
    }
  }

  static func checkText(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(BSONProblem) {
    guard let base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count > 0 else { return }
    let good = nebula_utf8_valid_prefix(base, bytes.count)
    guard good == bytes.count else { throw BSONProblem(offset: offset + good, reason: "not UTF-8") }
  }

  /// The first top-level element called `name`; nil when there is none (or the document is malformed before it).
  public static func find(_ name: StaticString, in document: UnsafeRawBufferPointer) -> BSONElement? {
    find(UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount), in: document)
  }
  /// The first top-level element whose name has these bytes.
  public static func find(_ name: UnsafeRawBufferPointer, in document: UnsafeRawBufferPointer) -> BSONElement? {
    guard var reader = try? BSONReader(document) else { return nil }
    while let element = try? reader.next() {
      if element.isNamed(name) { return element }
    }
    return nil
  }
}
