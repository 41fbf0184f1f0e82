import NebulaCore
import NebulaFormats
import Testing

/// Seeded, so that a failure repeats.
struct Seeded: RandomNumberGenerator {
  private var state: UInt64
  init(_ seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
  /// `count` bytes drawn from `alphabet`, or from all bytes.
  mutating func bytes(_ count: Int, from alphabet: [UInt8] = Array(0...255)) -> [UInt8] {
    (0..<count).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &self)] }
  }
}

extension Array where Element == UInt8 {
  init(_ text: String) { self = Array(text.utf8) }
  var text: String { String(decoding: self, as: UTF8.self) }
}

func output(_ body: (OutputBuffer) throws -> Void) rethrows -> [UInt8] {
  let output = OutputBuffer()
  try body(output)
  return output.array
}
