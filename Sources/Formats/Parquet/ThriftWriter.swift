/// Writes Thrift's compact protocol, as far as Parquet uses it. Field ids go up within a struct.
struct ThriftWriter {
  enum Kind: UInt8 {
    case yes = 1
    case no = 2
    case byte = 3
    case i16 = 4
    case i32 = 5
    case i64 = 6
    case binary = 8
    case list = 9
    case structure = 12
  }

  let output: OutputBuffer
  private var last = 0
  private var outer = [Int]()

  /// Starts within a struct of its own.
  init(_ output: OutputBuffer) { self.output = output }

  static func zigzag(_ number: Int64) -> UInt64 { UInt64(bitPattern: number << 1 ^ number >> 63) }

  func varint(_ number: UInt64) {
    var rest = number
    while rest >= 0x80 {
      output.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    output.append(UInt8(truncatingIfNeeded: rest))
  }

  private mutating func field(_ id: Int, _ kind: Kind) {
    if (1...15).contains(id - last) {
      output.append(UInt8(id - last) << 4 | kind.rawValue)
    } else {
      output.append(kind.rawValue)
      varint(Self.zigzag(Int64(id)))
    }
    last = id
  }

  mutating func bool(_ id: Int, _ value: Bool) { field(id, value ? .yes : .no) }
  mutating func byte(_ id: Int, _ value: UInt8) {
    field(id, .byte)
    output.append(value)
  }
  mutating func i16(_ id: Int, _ value: Int16) {
    field(id, .i16)
    varint(Self.zigzag(Int64(value)))
  }
  mutating func i32(_ id: Int, _ value: Int32) {
    field(id, .i32)
    varint(Self.zigzag(Int64(value)))
  }
  mutating func i64(_ id: Int, _ value: Int64) {
    field(id, .i64)
    varint(Self.zigzag(value))
  }
  mutating func bytes(_ id: Int, _ value: [UInt8]) {
    field(id, .binary)
    element(value)
  }
  mutating func text(_ id: Int, _ value: String) { bytes(id, Array(value.utf8)) }

  /// A list of `count` elements, which the caller writes next.
  mutating func list(_ id: Int, of kind: Kind, count: Int) {
    field(id, .list)
    if count < 15 {
      output.append(UInt8(count) << 4 | kind.rawValue)
    } else {
      output.append(0xF0 | kind.rawValue)
      varint(UInt64(count))
    }
  }
  func element(_ value: [UInt8]) {
    varint(UInt64(value.count))
    output.append(value)
  }
  func element(_ value: String) { element(Array(value.utf8)) }
  func element(_ value: Int32) { varint(Self.zigzag(Int64(value))) }

  /// A struct as a field, whose fields the caller writes next, up to `end`.
  mutating func begin(_ id: Int) {
    field(id, .structure)
    begin()
  }
  /// A struct as an element of a list.
  mutating func begin() {
    outer.append(last)
    last = 0
  }
  /// Ends the innermost struct.
  mutating func end() {
    output.append(0)
    last = outer.popLast() ?? 0
  }
}
