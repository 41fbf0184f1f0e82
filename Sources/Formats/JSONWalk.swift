internal import CNebulaKernels

/// A place in validated JSON, and how to get over what stands there.
struct JSONWalk {
  let bytes: UnsafeRawBufferPointer
  var at = 0

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  /// Goes over a byte if it stands here.
  mutating func take(_ byte: UInt8) -> Bool {
    guard at < bytes.count, bytes[at] == byte else { return false }
    at += 1
    return true
  }
  mutating func skipSpace() {
    while at < bytes.count, bytes[at] <= 0x20 { at += 1 }
  }
  /// From the opening quote to behind the closing one; true when there was a backslash.
  mutating func skipString() -> Bool {
    var escaped = false
    at += 1
    while at < bytes.count {
      at += find(UInt8(ascii: "\""), UInt8(ascii: "\\"))
      guard at < bytes.count else { break }
      if bytes[at] == UInt8(ascii: "\"") {
        at += 1
        return escaped
      }
      escaped = true
      at = min(at + 2, bytes.count)
    }
    return escaped
  }
  private func find(_ a: UInt8, _ b: UInt8) -> Int {
    guard let base = bytes.baseAddress, at < bytes.count else { return 0 }
    return nebula_find_either(base.assumingMemoryBound(to: UInt8.self) + at, bytes.count - at, a, b)
  }
  mutating func skipValue() -> JSONKind {
    switch bytes[at] {
    case UInt8(ascii: "\""):
      _ = skipString()
      return .string
    case UInt8(ascii: "{"):
      skipContainer()
      return .object
    case UInt8(ascii: "["):
      skipContainer()
      return .array
    default:
      let first = bytes[at]
      while at < bytes.count, !Self.endsScalar(bytes[at]) { at += 1 }
      return first == UInt8(ascii: "n")
        ? .null : first == UInt8(ascii: "t") || first == UInt8(ascii: "f") ? .boolean : .number
    }
  }
  private static func endsScalar(_ byte: UInt8) -> Bool {
    byte <= 0x20 || byte == UInt8(ascii: ",") || byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]")
  }
  private mutating func skipContainer() {
    var depth = 0
    while at < bytes.count {
      switch bytes[at] {
      case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
      case UInt8(ascii: "\""):
        _ = skipString()
        continue
      default: break
      }
      at += 1
      if depth == 0 { return }
    }
  }
}
