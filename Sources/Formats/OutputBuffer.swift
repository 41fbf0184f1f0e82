internal import Glibc
public import NebulaCore

/// A growable run of bytes with one owner: what encoders append to and codecs write into. Not Sendable, no locks.
public final class OutputBuffer {
  /// Behind a pointer, so that the many small appends pay no exclusivity check of a stored property.
  @usableFromInline struct State {
    @usableFromInline var base: UnsafeMutablePointer<UInt8>
    @usableFromInline var used: Int
    @usableFromInline var capacity: Int
    @inlinable init(base: UnsafeMutablePointer<UInt8>, used: Int, capacity: Int) {
      self.base = base
      self.used = used
      self.capacity = capacity
    }
  }
  @usableFromInline let state: UnsafeMutablePointer<State>

  /// Makes an empty buffer with room for `capacity` bytes.
  public init(capacity: Int = 4096) {
    let capacity = max(capacity, 64)
    state = .allocate(capacity: 1)
    state.initialize(to: State(base: Self.resized(nil, to: capacity), used: 0, capacity: capacity))
  }
  deinit {
    free(base)
    state.deallocate()
  }

  /// realloc moves the pages of large runs instead of copying them, and leaves alone those that nobody has written.
  private static func resized(_ base: UnsafeMutablePointer<UInt8>?, to capacity: Int) -> UnsafeMutablePointer<UInt8> {
    guard let found = realloc(base, capacity) else { fatalError("no memory for \(capacity) bytes") }
    return found.assumingMemoryBound(to: UInt8.self)
  }

  @usableFromInline var base: UnsafeMutablePointer<UInt8> {
    @inlinable get { state.pointee.base }
    @inlinable set { state.pointee.base = newValue }
  }
  @usableFromInline var used: Int {
    @inlinable get { state.pointee.used }
    @inlinable set { state.pointee.used = newValue }
  }
  @usableFromInline var capacity: Int {
    @inlinable get { state.pointee.capacity }
    @inlinable set { state.pointee.capacity = newValue }
  }

  /// How many bytes there are.
  @inlinable public var count: Int { used }
  /// True when there are none.
  @inlinable public var isEmpty: Bool { used == 0 }

  /// Makes room for `additional` more bytes.
  @inlinable public func reserve(_ additional: Int) {
    if capacity &- used < additional { grow(by: additional) }
  }
  @usableFromInline @inline(never) func grow(by additional: Int) {
    precondition(additional >= 0)
    let larger = max(used + additional, capacity * 2)
    base = Self.resized(base, to: larger)
    capacity = larger
  }

  /// Appends one byte.
  @inlinable public func append(_ byte: UInt8) {
    reserve(1)
    base[used] = byte
    used &+= 1
  }
  /// Appends bytes.
  @inlinable public func append(_ bytes: UnsafeRawBufferPointer) {
    guard let source = bytes.baseAddress, bytes.count > 0 else { return }
    reserve(bytes.count)
    UnsafeMutableRawPointer(base + used).copyMemory(from: source, byteCount: bytes.count)
    used &+= bytes.count
  }
  /// Appends a literal.
  @inlinable public func append(_ text: StaticString) {
    append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }
  /// Appends a text's UTF-8.
  @inlinable public func append(utf8 text: String) {
    var text = text
    text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
  }
  /// Appends an array's bytes.
  @inlinable public func append(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { append($0) }
  }
  /// Appends another buffer's bytes.
  @inlinable public func append(_ other: OutputBuffer) {
    append(UnsafeRawBufferPointer(start: other.base, count: other.used))
  }

  /// Lends the bytes for the call.
  @inlinable public func withBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
    try body(UnsafeRawBufferPointer(start: base, count: used))
  }
  /// Lends room for at least `minimum` bytes behind the end; `body` returns how many of them it wrote.
  @inlinable public func withSpare<E: Error>(
    minimum: Int, _ body: (UnsafeMutableRawBufferPointer) throws(E) -> Int
  ) throws(E) {
    reserve(minimum)
    let room = capacity - used
    let written = try body(UnsafeMutableRawBufferPointer(start: base + used, count: room))
    precondition(written >= 0 && written <= room, "more written than there was room")
    used += written
  }

  /// Drops everything behind the first `count` bytes: takes back a record that could not be written whole.
  @inlinable public func truncate(to count: Int) {
    precondition(count >= 0 && count <= used)
    used = count
  }
  /// Drops the first `count` bytes and moves the rest to the front.
  public func removeFirst(_ count: Int) {
    precondition(count >= 0 && count <= used)
    if count > 0, count < used { base.update(from: base + count, count: used - count) }
    used -= count
  }
  /// Empties the buffer.
  public func removeAll(keepingCapacity: Bool = true) {
    used = 0
    guard !keepingCapacity else { return }
    capacity = 64
    base = Self.resized(base, to: capacity)
  }
  /// Gives out what was written, without a copy, and is empty.
  public func take() -> SharedBytes {
    nonisolated(unsafe) let taken = base
    let bytes = SharedBytes(adopting: UnsafeRawBufferPointer(start: taken, count: used)) { free(taken) }
    (used, capacity) = (0, 64)
    base = Self.resized(nil, to: capacity)
    return bytes
  }
  /// A copy of the bytes, for tests and small things.
  public var array: [UInt8] { [UInt8](UnsafeRawBufferPointer(start: base, count: used)) }
}

extension SharedBytes {
  /// Takes over what was written, without a copy; the buffer is this object's from now on.
  public convenience init(taking output: sending OutputBuffer) {
    nonisolated(unsafe) let kept = output
    self.init(adopting: output.withBytes { $0 }) { withExtendedLifetime(kept) {} }
  }
}
