internal import CNebulaKernels
public import NebulaCore

extension OutputBuffer {
  /// Appends bytes that are mostly few, as those of fields are.
  @inline(__always) func append(short bytes: UnsafeRawBufferPointer) {
    guard bytes.count <= 16, let base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else {
      return append(bytes)
    }
    withSpare(minimum: 16) { room in
      guard let out = room.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return 0 }
      nebula_copy_short(out, base, bytes.count)
      return bytes.count
    }
  }

  /// Appends a place in the order of changes as 24 hexadecimal digits, which sort as itself.
  public func append(_ sequence: ChangeSequence) {
    withUnsafeBytes(of: sequence.clusterTime.bigEndian) { append(hex: $0) }
    withUnsafeBytes(of: sequence.index.bigEndian) { append(hex: $0) }
  }

  /// Appends bytes as lower-case hexadecimal.
  public func append(hex bytes: UnsafeRawBufferPointer) {
    guard let base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
    withSpare(minimum: bytes.count * 2) { room in
      guard let out = room.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return 0 }
      nebula_hex(out, base, bytes.count)
      return bytes.count * 2
    }
  }

  /// Appends sixteen bytes as a UUID's text, lower-case.
  public func append(uuid bytes: UnsafeRawBufferPointer) {
    for (from, to) in [(0, 4), (4, 6), (6, 8), (8, 10), (10, 16)] {
      if from > 0 { append(UInt8(ascii: "-")) }
      append(hex: UnsafeRawBufferPointer(rebasing: bytes[from..<to]))
    }
  }

  /// Appends bytes as base64 (RFC 4648, with padding).
  public func append(base64 bytes: UnsafeRawBufferPointer) {
    let alphabet: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    let letters = alphabet.utf8Start
    let size = (bytes.count + 2) / 3 * 4
    withSpare(minimum: size) { room in
      var out = 0
      for from in stride(from: 0, to: bytes.count, by: 3) {
        let left = bytes.count - from
        let group =
          UInt32(bytes[from]) << 16 | (left > 1 ? UInt32(bytes[from + 1]) << 8 : 0)
          | (left > 2 ? UInt32(bytes[from + 2]) : 0)
        room[out] = letters[Int(group >> 18)]
        room[out + 1] = letters[Int(group >> 12 & 63)]
        room[out + 2] = left > 1 ? letters[Int(group >> 6 & 63)] : UInt8(ascii: "=")
        room[out + 3] = left > 2 ? letters[Int(group & 63)] : UInt8(ascii: "=")
        out += 4
      }
      return size
    }
  }

  /// Whether milliseconds are written when they are zero.
  public enum Fraction: Sendable {
    /// Always three digits.
    case always
    /// Three digits, or none when they are zero.
    case whenNotZero
  }

  /// Appends a time (milliseconds since 1970) in UTC by the proleptic Gregorian calendar: `2024-05-06T07:08:09.010Z`.
  /// Years outside 0001…9999 have a sign and at least six digits: `+012345-01-01T00:00:00.000Z`.
  public func append(iso8601 milliseconds: Int64, fraction: Fraction = .always) {
    let perDay: Int64 = 86_400_000
    var days = milliseconds / perDay
    var rest = milliseconds % perDay
    if rest < 0 {
      rest += perDay
      days -= 1
    }
    let (year, month, day) = civil(fromDays: days)
    appendYear(year)
    let time = Int(rest / 1000)
    withSpare(minimum: 20) { room in
      var at = 0
      func put(_ mark: Unicode.Scalar, _ number: Int) {
        room[at] = UInt8(ascii: mark)
        room[at + 1] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: number / 10)
        room[at + 2] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: number % 10)
        at += 3
      }
      put("-", month)
      put("-", day)
      put("T", time / 3600)
      put(":", time / 60 % 60)
      put(":", time % 60)
      let thousandths = Int(rest % 1000)
      if fraction == .always || thousandths > 0 {
        put(".", thousandths / 10)
        room[at] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: thousandths % 10)
        at += 1
      }
      room[at] = UInt8(ascii: "Z")
      return at + 1
    }
  }

  private func appendYear(_ year: Int64) {
    if (1...9999).contains(year) { return append(Int(year), width: 4) }
    append(UInt8(ascii: year < 0 ? "-" : "+"))
    let magnitude = year.magnitude
    if magnitude < 1_000_000 { append(Int(magnitude), width: 6) } else { append(decimal: Int64(magnitude)) }
  }
}

/// The date of a day counted from 1970-01-01 (Howard Hinnant's `civil_from_days`; years are counted from March).
func civil(fromDays days: Int64) -> (year: Int64, month: Int, day: Int) {
  let shifted = days + 719_468
  let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
  let dayOfEra = shifted - era * 146_097
  let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
  let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
  let marchMonth = (5 * dayOfYear + 2) / 153
  let month = Int(marchMonth < 10 ? marchMonth + 3 : marchMonth - 9)
  let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  return (year, month, Int(dayOfYear - (153 * marchMonth + 2) / 5 + 1))
}
