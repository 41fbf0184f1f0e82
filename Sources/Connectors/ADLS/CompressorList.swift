internal import NebulaCore
internal import NebulaFormats
internal import Synchronization

/// Idle compressors, a few at most.
final class CompressorList: Sendable {
  private struct Box: @unchecked Sendable {  // handed from owner to owner under the lock
    let compressor: Compressor
  }
  let codec: Codec
  private let level: Int?
  private let idle = Mutex<[Box]>([])

  init(_ codec: Codec, level: Int?) {
    self.codec = codec
    self.level = level
  }

  func take() throws(NebulaError) -> Compressor {
    if let box = idle.withLock({ list -> Box? in list.popLast() }) { return box.compressor }
    return try Compressor(codec, level: level)
  }
  func giveBack(_ compressor: Compressor) {
    let box = Box(compressor: compressor)
    idle.withLock { if $0.count < 4 { $0.append(box) } }
  }

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
