internal import CNebulaKernels
public import NebulaCore

/// Walks the elements of one document. Every length is checked before it is used, so hostile bytes give an error and
/// nothing else; texts are not checked for UTF-8 here (`BSON.validate` and `BSONToJSON` do).
public struct BSONReader {
  private let bytes: UnsafeRawBufferPointer
  private let offset: Int
  private var at = 4

  /// Starts at the first element; throws unless the bytes have the length that the document says.
  public init(_ document: UnsafeRawBufferPointer) throws(NebulaError) {
    do { try self.init(checking: document, at: 0) } catch { throw error.error() }
  }

  /// `offset` is that of the document in the outermost one, for the problems.
  init(checking document: UnsafeRawBufferPointer, at offset: Int) throws(BSONProblem) {
    bytes = document
    self.offset = offset
    guard document.count >= 5 else { throw BSONProblem(offset: offset, reason: "a document of fewer than 5 bytes") }
    let length = document.loadUnaligned(as: Int32.self)
    guard Int(length) == document.count else {
      throw BSONProblem(offset: offset, reason: "a document says \(length) bytes where there are \(document.count)")
    }
    guard document[document.count - 1] == 0 else {
      throw BSONProblem(offset: offset + document.count - 1, reason: "a document does not end with a zero byte")
    }
  }

  /// The next element, nil behind the last.
  public mutating func next() throws(NebulaError) -> BSONElement? {
    do { return try step() } catch { throw error.error() }
  }

  mutating func step() throws(BSONProblem) -> BSONElement? {
    let end = bytes.count - 1
    guard at < end else { return nil }
    let type = BSONType(rawValue: bytes[at])
    guard type.rawValue != 0 else { throw problem(at, "an element of type 0") }
    let nameEnd = try zero(from: at + 1)
    let start = nameEnd + 1
    let size = try self.size(of: type, at: start)
    guard size <= end - start else { throw problem(start, "a value reaches over the end of its document") }
    let element = BSONElement(document: bytes, type: type, name: at + 1..<nameEnd, value: start..<start + size)
    at = start + size
    return element
  }

  private func problem(_ at: Int, _ reason: String) -> BSONProblem { BSONProblem(offset: offset + at, reason: reason) }

  /// The offset of the next zero byte, before the document's own.
  private func zero(from start: Int) throws(BSONProblem) -> Int {
    let end = bytes.count - 1
    guard start < end, let base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else {
      throw problem(start, "a name that does not end")
    }
    let found = start + nebula_find_byte(base + start, end - start, 0)
    guard found < end else { throw problem(start, "a name that does not end") }
    return found
  }

  /// A length field, checked to be at least `minimum`. 32 bits: sums of a few of them don't overflow `Int`.
  private func length(at start: Int, minimum: Int) throws(BSONProblem) -> Int {
    guard start + 4 <= bytes.count - 1 else { throw problem(start, "a length that does not end") }
    let length = Int(bytes.loadUnaligned(fromByteOffset: start, as: Int32.self))
    guard length >= minimum else { throw problem(start, "a length of \(length)") }
    return length
  }

  private func size(of type: BSONType, at start: Int) throws(BSONProblem) -> Int {
    switch type {
    case .string, .code, .symbol: return try text(at: start)
    case .int32: return 4
    case .double, .date, .int64, .timestamp: return 8
    case .null, .undefined, .minKey, .maxKey: return 0
    case .objectID: return 12
    case .boolean:
      guard bytes[start] <= 1 else { throw problem(start, "a boolean that is neither 0 nor 1") }
      return 1
    case .document, .array: return try length(at: start, minimum: 5)
    case .binary: return try binary(at: start)
    case .decimal128: return 16
    case .regex:
      let pattern = try zero(from: start)
      return try zero(from: pattern + 1) + 1 - start
    case .dbPointer: return try text(at: start) + 12
    case .codeWithScope: return try codeWithScope(at: start)
    default: throw problem(start, "an element of the unknown type \(type.rawValue)")
    }
  }

  private func text(at start: Int) throws(BSONProblem) -> Int {
    let length = try length(at: start, minimum: 1)
    guard length < bytes.count - start - 4 else { throw problem(start, "a text reaches over the end of its document") }
    guard bytes[start + 4 + length - 1] == 0 else { throw problem(start, "a text does not end with a zero byte") }
    return 4 + length
  }

  private func binary(at start: Int) throws(BSONProblem) -> Int {
    let length = try length(at: start, minimum: 0)
    guard length < bytes.count - start - 5 else {
      throw problem(start, "a binary reaches over the end of its document")
    }
    guard bytes[start + 4] == 2 else { return 5 + length }
    // Subtype 2 has its length once more within.
    guard length >= 4, Int(bytes.loadUnaligned(fromByteOffset: start + 5, as: Int32.self)) == length - 4 else {
      throw problem(start + 5, "a binary of subtype 2 whose two lengths differ")
    }
    return 5 + length
  }

  private func codeWithScope(at start: Int) throws(BSONProblem) -> Int {
    let whole = try length(at: start, minimum: 14)
    guard whole < bytes.count - start else {
      throw problem(start, "code with scope reaches over the end of its document")
    }
    let text = try text(at: start + 4)
    let scope = start + 4 + text
    guard whole - 4 - text >= 5, Int(bytes.loadUnaligned(fromByteOffset: scope, as: Int32.self)) == whole - 4 - text
    else {
      throw problem(scope, "code with scope whose lengths differ")
    }
    return whole
  }
}
