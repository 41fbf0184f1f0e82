internal import NebulaCore
internal import NebulaFormats

extension CompressorShelf {
  /// All of `bytes` as one member.
  func compress(_ bytes: [UInt8]) throws(NebulaError) -> [UInt8] {
    guard codec != .none else { return bytes }
    let compressor = try take()
    defer { giveBack(compressor) }
    let output = OutputBuffer(capacity: bytes.count)
    let raw = SharedBytes(copying: bytes)
    try compressor.write(raw.base, into: output)
    withExtendedLifetime(raw) {}
    try compressor.finish(into: output)
    return output.array
  }
}
