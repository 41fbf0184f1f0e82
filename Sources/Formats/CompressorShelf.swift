public import NebulaCore
internal import Synchronization

/// Compressors of one kind that are not in use: each has some megabytes of its own, so a few at most are kept.
public final class CompressorShelf: Sendable {
  private struct Box: @unchecked Sendable {  // handed from owner to owner under the lock
    let compressor: Compressor
  }
  /// What they make.
  public let codec: Codec
  private let level: Int?
  private let idle = Mutex<[Box]>([])
  private static let most = 8

  /// Makes an empty shelf.
  public init(_ codec: Codec, level: Int?) {
    self.codec = codec
    self.level = level
  }

  /// One that is idle, or a new one.
  public func take() throws(NebulaError) -> Compressor {
    if let box = idle.withLock({ list -> Box? in list.popLast() }) { return box.compressor }
    return try Compressor(codec, level: level)
  }
  /// Puts back one that has finished.
  public func giveBack(_ compressor: Compressor) {
    let box = Box(compressor: compressor)
    idle.withLock { if $0.count < Self.most { $0.append(box) } }
  }
}
