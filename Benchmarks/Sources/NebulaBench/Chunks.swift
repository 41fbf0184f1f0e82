import Glibc
import NebulaFormats
import Synchronization

/// Reads a file from its start with read(2), 1 MiB at a time, and gives out whole frames only; one reader, any number
/// of takers.
final class Chunks: @unchecked Sendable {  // `carry` is touched only under `lock`
  private let lock = Mutex(())
  private let file: Int32
  private let carry = OutputBuffer(capacity: 2 << 20)
  private let wholeFrames: @Sendable (UnsafeRawBufferPointer) -> Int

  /// `wholeFrames` says how many of the bytes are whole frames.
  init(_ path: String, wholeFrames: @escaping @Sendable (UnsafeRawBufferPointer) -> Int) {
    file = open(path, O_RDONLY)
    if file < 0 { fail("can't open \(path)") }
    self.wholeFrames = wholeFrames
  }
  deinit { close(file) }

  /// Fills `chunk` with the next records; false at the end.
  func next(_ chunk: OutputBuffer) -> Bool {
    lock.withLock { _ in
      chunk.removeAll()
      chunk.append(carry)
      carry.removeAll()
      chunk.withSpare(minimum: (1 << 20) + 64) { read(file, $0.baseAddress, 1 << 20) }
      let whole = chunk.withBytes(wholeFrames)
      chunk.withBytes { carry.append(UnsafeRawBufferPointer(rebasing: $0[whole...])) }
      chunk.truncate(to: whole)
      return whole > 0
    }
  }
}

@Sendable func wholeLines(_ bytes: UnsafeRawBufferPointer) -> Int {
  (bytes.lastIndex(of: UInt8(ascii: "\n")) ?? -1) + 1
}
@Sendable func wholeDocuments(_ bytes: UnsafeRawBufferPointer) -> Int {
  var at = 0
  while at + 4 <= bytes.count {
    let length = Int(bytes.loadUnaligned(fromByteOffset: at, as: Int32.self))
    if at + length > bytes.count { break }
    at += length
  }
  return at
}
