internal import CNebulaKernels
public import NebulaCore

/// How BSON is written as JSON.
public enum BSONJSONMode: String, PropertyChoice {
  /// For people and SQL; docs/connectors/mongo.md lists every type. Not reversible.
  case plain
  /// MongoDB Extended JSON v2, relaxed: numbers and recent dates readable.
  case relaxed
  /// MongoDB Extended JSON v2, canonical: every type told apart.
  case canonical
}

/// Writes BSON documents as JSON text, straight from bytes to bytes.
///
/// | type | plain |
/// |---|---|
/// | ObjectId | its 24 hex digits, as a string |
/// | date | `"2024-05-06T07:08:09.010Z"`; years outside 0001…9999 as `"+012345-…"`, `"-000001-…"` |
/// | int32, int64 | a number, exact |
/// | double | a number, the shortest that reads back the same; `"NaN"`, `"Infinity"`, `"-Infinity"` |
/// | Decimal128 | its text, as a string (a VARIANT number has 38 digits but not every exponent) |
/// | binary | base64, as a string; subtype 4 with 16 bytes as `"00112233-4455-6677-8899-aabbccddeeff"` |
/// | timestamp | `{"t":seconds,"i":increment}` |
/// | regex | `"/pattern/options"` |
/// | code | its text; with scope `{"code":…,"scope":{…}}` |
/// | symbol, undefined | its text; `null` |
/// | DBPointer | `{"ref":namespace,"id":hex}` |
/// | MinKey, MaxKey | `"MinKey"`, `"MaxKey"` |
///
/// relaxed and canonical equal pymongo's `json_util` (also in what the deprecated types become: a symbol is a string,
/// undefined is null, a DBPointer is a DBRef). Names are written in their order, doubled ones too.
public struct BSONToJSON: Sendable {
  /// The way of writing.
  public let mode: BSONJSONMode

  /// Makes a writer.
  public init(_ mode: BSONJSONMode = .plain) { self.mode = mode }

  /// Appends a document as a JSON object. When it is malformed, `output` is left as it was.
  public func append(document: UnsafeRawBufferPointer, to output: OutputBuffer) throws(NebulaError) {
    try undoing(output) { () throws(BSONProblem) in
      try write(document, at: 0, isArray: false, depth: 1, output)
    }
  }

  /// Appends the bytes of a BSON array as a JSON array. When it is malformed, `output` is left as it was.
  public func append(array: UnsafeRawBufferPointer, to output: OutputBuffer) throws(NebulaError) {
    try undoing(output) { () throws(BSONProblem) in
      try write(array, at: 0, isArray: true, depth: 1, output)
    }
  }

  /// Appends the value of an element, without its name. When it is malformed, `output` is left as it was.
  public func append(valueOf element: BSONElement, to output: OutputBuffer) throws(NebulaError) {
    try undoing(output) { () throws(BSONProblem) in
      try write(element, at: element.value.lowerBound, depth: 0, output)
    }
  }

  private func undoing(_ output: OutputBuffer, _ body: () throws(BSONProblem) -> Void) throws(NebulaError) {
    let start = output.count
    do { try body() } catch {
      output.truncate(to: start)
      throw error.error()
    }
  }

  private func write(
    _ bytes: UnsafeRawBufferPointer, at offset: Int, isArray: Bool, depth: Int, _ output: OutputBuffer
  ) throws(BSONProblem) {
    guard depth <= BSON.maximumDepth else {
      throw BSONProblem(offset: offset, reason: "nested deeper than \(BSON.maximumDepth)")
    }
    var reader = try BSONReader(checking: bytes, at: offset)
    output.append(UInt8(ascii: isArray ? "[" : "{"))
    var first = true
    while let element = try reader.step() {
      if !first { output.append(UInt8(ascii: ",")) }
      first = false
      if !isArray {
        try text(element.nameBytes, at: offset + element.name.lowerBound, output)
        output.append(UInt8(ascii: ":"))
      }
      try write(element, at: offset + element.value.lowerBound, depth: depth, output)
    }
    output.append(UInt8(ascii: isArray ? "]" : "}"))
  }

  /// A JSON string, its UTF-8 checked on the way.
  private func text(_ bytes: UnsafeRawBufferPointer, at offset: Int, _ output: OutputBuffer) throws(BSONProblem) {
    let good = JSONText.appendCheckedString(bytes, to: output)
    guard good == bytes.count else { throw BSONProblem(offset: offset + good, reason: "not UTF-8") }
  }

  private func write(
    _ element: BSONElement, at offset: Int, depth: Int, _ output: OutputBuffer
  ) throws(BSONProblem) {
    switch element.type {
    case .string, .symbol: try text(element.text, at: offset + 4, output)
    case .document: try write(element.valueBytes, at: offset, isArray: false, depth: depth + 1, output)
    case .array: try write(element.valueBytes, at: offset, isArray: true, depth: depth + 1, output)
    case .int32: int32(element.load(Int32.self), output)
    case .int64: int64(element.load(Int64.self), output)
    case .double: double(Double(bitPattern: element.load(UInt64.self)), output)
    case .boolean: element.document[element.value.lowerBound] != 0 ? output.append("true") : output.append("false")
    case .null, .undefined: output.append("null")
    case .objectID: objectID(element.valueBytes, output)
    case .date: date(element.load(Int64.self), output)
    case .binary: if let (subtype, bytes) = element.binary { binary(subtype, bytes, output) }
    case .decimal128: decimal(element, output)
    case .timestamp: timestamp(element.load(UInt64.self), output)
    case .regex: try regex(element.valueBytes, at: offset, output)
    case .dbPointer: try dbPointer(element, at: offset, output)
    case .code: try code(element.text, at: offset + 4, output)
    case .codeWithScope: try codeWithScope(element, at: offset, depth: depth, output)
    case .minKey: mode == .plain ? output.append("\"MinKey\"") : output.append("{\"$minKey\":1}")
    default: mode == .plain ? output.append("\"MaxKey\"") : output.append("{\"$maxKey\":1}")
    }
  }

  private func int32(_ number: Int32, _ output: OutputBuffer) {
    guard mode == .canonical else { return output.append(decimal: Int64(number)) }
    output.append("{\"$numberInt\":\"")
    output.append(decimal: Int64(number))
    output.append("\"}")
  }

  private func int64(_ number: Int64, _ output: OutputBuffer) {
    guard mode == .canonical else { return output.append(decimal: number) }
    output.append("{\"$numberLong\":\"")
    output.append(decimal: number)
    output.append("\"}")
  }

  private func double(_ number: Double, _ output: OutputBuffer) {
    let named = mode == .canonical || (mode == .relaxed && !number.isFinite)
    if named { output.append("{\"$numberDouble\":") }
    if named || !number.isFinite { output.append(UInt8(ascii: "\"")) }
    output.append(shortest: number)
    if named || !number.isFinite { output.append(UInt8(ascii: "\"")) }
    if named { output.append(UInt8(ascii: "}")) }
  }

  private func objectID(_ bytes: UnsafeRawBufferPointer, _ output: OutputBuffer) {
    mode == .plain ? output.append("\"") : output.append("{\"$oid\":\"")
    output.append(hex: bytes)
    mode == .plain ? output.append("\"") : output.append("\"}")
  }

  private func date(_ milliseconds: Int64, _ output: OutputBuffer) {
    if mode == .plain {
      output.append(UInt8(ascii: "\""))
      output.append(iso8601: milliseconds, fraction: .always)
      output.append(UInt8(ascii: "\""))
    } else if mode == .relaxed, milliseconds >= 0, milliseconds <= 253_402_300_799_999 {
      output.append("{\"$date\":\"")
      output.append(iso8601: milliseconds, fraction: .whenNotZero)
      output.append("\"}")
    } else {
      output.append("{\"$date\":{\"$numberLong\":\"")
      output.append(decimal: milliseconds)
      output.append("\"}}")
    }
  }

  private func binary(_ subtype: UInt8, _ bytes: UnsafeRawBufferPointer, _ output: OutputBuffer) {
    guard mode == .plain else {
      output.append("{\"$binary\":{\"base64\":\"")
      output.append(base64: bytes)
      output.append("\",\"subType\":\"")
      output.append(hexDigit(subtype >> 4))
      output.append(hexDigit(subtype & 15))
      return output.append("\"}}")
    }
    output.append(UInt8(ascii: "\""))
    if subtype == 4, bytes.count == 16 { output.append(uuid: bytes) } else { output.append(base64: bytes) }
    output.append(UInt8(ascii: "\""))
  }

  private func decimal(_ element: BSONElement, _ output: OutputBuffer) {
    let low = element.load(UInt64.self)
    let high = element.document.loadUnaligned(fromByteOffset: element.value.lowerBound + 8, as: UInt64.self)
    mode == .plain ? output.append("\"") : output.append("{\"$numberDecimal\":\"")
    Decimal128(high: high, low: low).append(to: output)
    mode == .plain ? output.append("\"") : output.append("\"}")
  }

  private func timestamp(_ stamp: UInt64, _ output: OutputBuffer) {
    mode == .plain ? output.append("{\"t\":") : output.append("{\"$timestamp\":{\"t\":")
    output.append(decimal: Int64(stamp >> 32))
    output.append(",\"i\":")
    output.append(decimal: Int64(stamp & 0xFFFF_FFFF))
    mode == .plain ? output.append("}") : output.append("}}")
  }

  private func regex(_ bytes: UnsafeRawBufferPointer, at offset: Int, _ output: OutputBuffer) throws(BSONProblem) {
    try BSON.checkText(bytes, at: offset)
    let end = bytes.firstIndex(of: 0) ?? bytes.count
    let pattern = UnsafeRawBufferPointer(rebasing: bytes[..<end])
    // The specification wants the options in alphabetical order; each is said once.
    let options = Set(bytes[end...].filter { $0 != 0 }).sorted()
    mode == .plain ? output.append("\"/") : output.append("{\"$regularExpression\":{\"pattern\":\"")
    JSONText.appendEscaped(pattern, to: output)
    mode == .plain ? output.append("/") : output.append("\",\"options\":\"")
    options.withUnsafeBytes { JSONText.appendEscaped($0, to: output) }
    mode == .plain ? output.append("\"") : output.append("\"}}")
  }

  private func dbPointer(_ element: BSONElement, at offset: Int, _ output: OutputBuffer) throws(BSONProblem) {
    mode == .plain ? output.append("{\"ref\":") : output.append("{\"$ref\":")
    try text(element.text, at: offset + 4, output)
    mode == .plain ? output.append(",\"id\":") : output.append(",\"$id\":")
    objectID(UnsafeRawBufferPointer(rebasing: element.valueBytes.suffix(12)), output)
    output.append(UInt8(ascii: "}"))
  }

  private func code(_ bytes: UnsafeRawBufferPointer, at offset: Int, _ output: OutputBuffer) throws(BSONProblem) {
    if mode != .plain { output.append("{\"$code\":") }
    try text(bytes, at: offset, output)
    if mode != .plain { output.append("}") }
  }

  private func codeWithScope(
    _ element: BSONElement, at offset: Int, depth: Int, _ output: OutputBuffer
  ) throws(BSONProblem) {
    let (code, scope) = element.codeAndScope
    mode == .plain ? output.append("{\"code\":") : output.append("{\"$code\":")
    try text(code, at: offset + 8, output)
    mode == .plain ? output.append(",\"scope\":") : output.append(",\"$scope\":")
    try write(scope, at: offset + element.value.count - scope.count, isArray: false, depth: depth + 1, output)
    output.append(UInt8(ascii: "}"))
  }
}
