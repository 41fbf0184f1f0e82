/// Bytes that never change after they are made, however they were made; freed by whoever made them.
public final class SharedBytes: @unchecked Sendable {  // immutable after init: no lock needed
  /// The bytes; valid as long as this object lives.
  public let base: UnsafeRawBufferPointer
  private let release: @Sendable () -> Void

  /// Takes over `base`; `release` is called once, when nobody needs the bytes any more.
  public init(adopting base: UnsafeRawBufferPointer, release: @escaping @Sendable () -> Void) {
    self.base = base
    self.release = release
  }

  /// Copies `bytes`; `reservation` (of the memory budget) is given back when the copy is freed.
  public convenience init(copying bytes: UnsafeRawBufferPointer, reservation: MemoryBudget.Reservation? = nil) {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, bytes.count), alignment: 64)
    copy.copyMemory(from: bytes)
    nonisolated(unsafe) let raw = UnsafeRawBufferPointer(rebasing: copy[0..<bytes.count])
    nonisolated(unsafe) let block = copy
    self.init(adopting: raw) {
      block.deallocate()
      reservation?.release()
    }
  }

  /// Copies an array.
  public convenience init(copying bytes: [UInt8]) {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, bytes.count), alignment: 64)
    bytes.withUnsafeBytes { copy.copyMemory(from: $0) }
    nonisolated(unsafe) let block = copy
    nonisolated(unsafe) let raw = UnsafeRawBufferPointer(rebasing: copy[0..<bytes.count])
    self.init(adopting: raw) { block.deallocate() }
  }

  deinit { release() }

  /// How many bytes there are.
  @inlinable public var count: Int { base.count }
}

/// A slice of a batch's buffer: 8 bytes a field instead of an object.
public struct ByteRange: Sendable, Hashable {
  /// Offset of the first byte in the buffer.
  public let start: UInt32
  /// Offset after the last byte.
  public let end: UInt32
  /// Makes a range; `start == end` means that the field is absent.
  @inlinable public init(_ start: UInt32, _ end: UInt32) {
    self.start = start
    self.end = end
  }
  /// An absent field.
  public static let absent = ByteRange(0, 0)
  /// True when the field is absent.
  @inlinable public var isEmpty: Bool { start == end }
  /// Length in bytes.
  @inlinable public var count: Int { Int(end) - Int(start) }
  /// Its bytes in the batch's buffer.
  @inlinable public func slice(of bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: bytes[Int(start)..<Int(end)])
  }
}
