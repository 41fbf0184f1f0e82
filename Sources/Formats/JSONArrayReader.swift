/// Walks the elements of one *validated* JSON array, without allocating; as careful as `JSONObjectReader`.
public struct JSONArrayReader {
  /// One element: where it stands in the bytes, with quotes or brackets, and its kind.
  public struct Element {
    /// All of its value.
    public let value: Range<Int>
    /// The value's kind.
    public let kind: JSONKind
  }
  private var walk: JSONWalk

  /// Starts at the first element. Nil when the value is not an array.
  public init?(_ bytes: UnsafeRawBufferPointer) {
    walk = JSONWalk(bytes)
    walk.skipSpace()
    guard walk.take(UInt8(ascii: "[")) else { return nil }
  }

  /// The next element, nil behind the last.
  public mutating func next() -> Element? {
    walk.skipSpace()
    if walk.take(UInt8(ascii: ",")) { walk.skipSpace() }
    guard walk.at < walk.bytes.count, walk.bytes[walk.at] != UInt8(ascii: "]") else { return nil }
    let start = walk.at
    let kind = walk.skipValue()
    return walk.at > start ? Element(value: start..<walk.at, kind: kind) : nil
  }
}
