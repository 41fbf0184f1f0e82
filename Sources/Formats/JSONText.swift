internal import CNebulaKernels
public import NebulaCore

/// Why a text is not JSON, and where.
public struct JSONProblem: Sendable, Hashable {
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
      .malformedJSON, "Not JSON: \(reason), at byte \(offset).", remedy: "Correct the record at its origin.", at: place,
      disposition: .reject)
  }
}

/// JSON as text: checked and escaped, never parsed into values.
public enum JSONText {
  /// How deep arrays and objects may nest.
  public static let maximumDepth = 500

  /// Nil when `bytes` is one JSON value (RFC 8259) in well-formed UTF-8, else the first problem.
  public static func validate(_ bytes: UnsafeRawBufferPointer) -> JSONProblem? {
    guard let base = bytes.baseAddress, bytes.count > 0 else { return JSONProblem(offset: 0, reason: sentence(1)) }
    var offset = 0
    let fault = nebula_json_validate(
      base.assumingMemoryBound(to: UInt8.self), bytes.count, UInt32(maximumDepth), &offset)
    return fault == 0 ? nil : JSONProblem(offset: offset, reason: sentence(UInt32(fault)))
  }

  private static func sentence(_ fault: UInt32) -> String {
    switch nebula_json_fault(fault) {
    case NEBULA_JSON_EMPTY: "no value"
    case NEBULA_JSON_TRUNCATED: "the text ends in the middle of a value"
    case NEBULA_JSON_TRAILING: "more text behind the value"
    case NEBULA_JSON_DEPTH: "nested deeper than \(maximumDepth)"
    case NEBULA_JSON_NUMBER: "a number that JSON does not have"
    case NEBULA_JSON_LITERAL: "neither true, false nor null"
    case NEBULA_JSON_CONTROL: "a control character in a string"
    case NEBULA_JSON_ESCAPE: "an escape that JSON does not have"
    case NEBULA_JSON_UTF8: "not UTF-8"
    default: "an unexpected character"
    }
  }

  /// Appends a text (well-formed UTF-8) as a JSON string: quoted, and escaped where JSON asks for it.
  public static func appendString(_ utf8: UnsafeRawBufferPointer, to output: OutputBuffer) {
    output.append(UInt8(ascii: "\""))
    appendEscaped(utf8, to: output)
    output.append(UInt8(ascii: "\""))
  }
  /// Appends a text as a JSON string.
  public static func appendString(_ text: String, to output: OutputBuffer) {
    var text = text
    text.withUTF8 { appendString(UnsafeRawBufferPointer($0), to: output) }
  }

  /// Appends the inside of a JSON string, without the quotes.
  public static func appendEscaped(_ utf8: UnsafeRawBufferPointer, to output: OutputBuffer) {
    guard let base = utf8.baseAddress else { return }
    let bytes = base.assumingMemoryBound(to: UInt8.self)
    var from = 0
    while from < utf8.count {
      let plain = nebula_json_plain_prefix(bytes + from, utf8.count - from)
      output.append(UnsafeRawBufferPointer(start: base + from, count: plain))
      from += plain
      if from < utf8.count {
        appendEscape(utf8[from], to: output)
        from += 1
      }
    }
  }
  private static func appendEscape(_ byte: UInt8, to output: OutputBuffer) {
    switch byte {
    case UInt8(ascii: "\""): output.append("\\\"")
    case UInt8(ascii: "\\"): output.append("\\\\")
    case 0x08: output.append("\\b")
    case 0x09: output.append("\\t")
    case 0x0A: output.append("\\n")
    case 0x0C: output.append("\\f")
    case 0x0D: output.append("\\r")
    default:
      output.append("\\u00")
      output.append(hexDigit(byte >> 4))
      output.append(hexDigit(byte & 15))
    }
  }
}

/// The lower-case digit of a number below 16.
@inline(__always) func hexDigit(_ number: UInt8) -> UInt8 {
  number < 10 ? UInt8(ascii: "0") &+ number : UInt8(ascii: "a") &+ number &- 10
}
