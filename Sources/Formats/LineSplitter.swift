internal import CNebulaKernels

/// Finds lines in a buffer that grows at its end: a line ends with `\n`, and one `\r` before that is dropped.
///
/// Call `next` until it gives nil, drop or move the first `consumed` bytes, tell `discard` so, append more, go on.
public struct LineSplitter: Sendable {
  /// How many bytes of the buffer belong to lines that were given out.
  public private(set) var consumed = 0
  /// Up to here there is no newline behind `consumed`.
  private var searched = 0

  /// Starts at offset 0.
  public init() {}

  /// The next whole line, without its end; nil when there is none yet.
  public mutating func next(in bytes: UnsafeRawBufferPointer) -> Range<Int>? {
    guard searched < bytes.count, let base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return nil }
    let end = searched + nebula_find_byte(base + searched, bytes.count - searched, UInt8(ascii: "\n"))
    searched = end
    guard end < bytes.count else { return nil }
    let line = consumed..<(end > consumed && base[end - 1] == UInt8(ascii: "\r") ? end - 1 : end)
    consumed = end + 1
    searched = consumed
    return line
  }

  /// At the end of the input: the last line if it has no newline, else nil.
  public mutating func finish(in bytes: UnsafeRawBufferPointer) -> Range<Int>? {
    guard consumed < bytes.count else { return nil }
    let end = bytes[bytes.count - 1] == UInt8(ascii: "\r") ? bytes.count - 1 : bytes.count
    let line = consumed..<end
    consumed = bytes.count
    searched = consumed
    return line
  }

  /// Says that the first `count` bytes (at most `consumed`) were dropped from the front of the buffer.
  public mutating func discard(_ count: Int) {
    precondition(count <= consumed)
    consumed -= count
    searched -= count
  }
}
