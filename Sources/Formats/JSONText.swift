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
    return fault == 0 ? nil : problem(fault, offset)
  }
  static func problem(_ fault: Int32, _ offset: Int) -> JSONProblem {
    JSONProblem(offset: offset, reason: sentence(UInt32(fault)))
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

  /// Appends a text (well-formed UTF-8; what follows a malformed byte is left out) as a JSON string: quoted, and
  /// escaped where JSON asks for it.
  public static func appendString(_ utf8: UnsafeRawBufferPointer, to output: OutputBuffer) {
    _ = appendCheckedString(utf8, to: output)
  }
  /// Appends a text as a JSON string.
  public static func appendString(_ text: String, to output: OutputBuffer) {
    var text = text
    text.withUTF8 { appendString(UnsafeRawBufferPointer($0), to: output) }
  }

  /// Appends the inside of a JSON string, without the quotes; what follows a malformed byte is left out.
  public static func appendEscaped(_ utf8: UnsafeRawBufferPointer, to output: OutputBuffer) {
    _ = appendChecked(utf8, to: output)
  }

  /// Appends a text as a JSON string up to the first byte that is not UTF-8; returns that byte's offset, or the count when
  /// there is none.
  static func appendCheckedString(_ utf8: UnsafeRawBufferPointer, to output: OutputBuffer) -> Int {
    guard utf8.count <= 4 << 10, let base = utf8.baseAddress?.assumingMemoryBound(to: UInt8.self) else {
      output.append(UInt8(ascii: "\""))
      defer { output.append(UInt8(ascii: "\"")) }
      return appendChecked(utf8, to: output)
    }
    // Most texts are short: room is made once for all of it.
    var good = 0
    output.withSpare(minimum: utf8.count * 6 + 34) { room in
      guard let out = room.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return 0 }
      out[0] = UInt8(ascii: "\"")
      let count = nebula_json_escape(out + 1, base, utf8.count, &good)
      out[count + 1] = UInt8(ascii: "\"")
      return count + 2
    }
    return good
  }

  /// Appends the inside of a JSON string up to the first byte that is not UTF-8; returns that byte's offset, or the
  /// count when there is none.
  static func appendChecked(_ utf8: UnsafeRawBufferPointer, to output: OutputBuffer) -> Int {
    var done = 0
    // Long texts go in pieces, so that the room for the worst case stays small.
    while done < utf8.count {
      let piece = min(utf8.count - done, 64 << 10)
      let good = appendPiece(UnsafeRawBufferPointer(rebasing: utf8[done..<done + piece]), to: output)
      done += good
      // A piece may end in the middle of a sequence of up to four bytes; then the next piece starts with it.
      let mayBeCut = done + (piece - good) < utf8.count && piece - good < 4
      if good < piece, !mayBeCut { return done }
    }
    return done
  }
  private static func appendPiece(_ piece: UnsafeRawBufferPointer, to output: OutputBuffer) -> Int {
    guard let base = piece.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return 0 }
    var good = 0
    output.withSpare(minimum: piece.count * 6 + 32) { room in
      guard let out = room.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return 0 }
      return nebula_json_escape(out, base, piece.count, &good)
    }
    return good
  }
}

/// The lower-case digit of a number below 16.
@inline(__always) func hexDigit(_ number: UInt8) -> UInt8 {
  number < 10 ? UInt8(ascii: "0") &+ number : UInt8(ascii: "a") &+ number &- 10
}
