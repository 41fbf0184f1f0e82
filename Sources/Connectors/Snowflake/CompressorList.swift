internal import NebulaFormats
internal import Synchronization

/// A stack of idle compressors behind a lock.
final class CompressorList: Sendable {
  private struct Box: @unchecked Sendable {  // handed from owner to owner under the lock
    let compressor: Compressor
  }
  private let items = Mutex<[Box]>([])

  func pop() -> Compressor? { items.withLock { $0.popLast() }?.compressor }
  func push(_ compressor: Compressor) {
    let box = Box(compressor: compressor)
    items.withLock { if $0.count < 8 { $0.append(box) } }
  }
}
