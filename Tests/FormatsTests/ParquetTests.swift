import CNebulaKernels
import NebulaCore
import Testing

@testable import NebulaFormats

@Suite("Parquet")
struct ParquetTests {
  // MARK: - Thrift

  @Test func zigzagVarints() {
    let cases: [(Int64, [UInt8])] = [
      (0, [0]), (-1, [1]), (1, [2]), (-64, [0x7F]), (64, [0x80, 0x01]), (300, [0xD8, 0x04]),
      (Int64.max, [0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01]),
      (Int64.min, [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01]),
    ]
    for (number, bytes) in cases {
      #expect(output { ThriftWriter($0).varint(ThriftWriter.zigzag(number)) } == bytes)
    }
  }

  @Test func thriftFieldsAndLists() {
    let bytes = output { output in
      var thrift = ThriftWriter(output)
      thrift.i32(1, 7)
      thrift.bool(2, true)
      thrift.bool(20, false)  // more than 15 further: its id in full
      thrift.begin(21)
      thrift.text(1, "é")
      thrift.end()
      thrift.list(22, of: .i32, count: 2)
      thrift.element(Int32(1))
      thrift.element(Int32(-1))
      thrift.list(23, of: .structure, count: 15)
      thrift.end()
    }
    #expect(
      bytes == [
        0x15, 14, 0x11, 0x02, 40, 0x1C, 0x18, 2, 0xC3, 0xA9, 0, 0x19, 0x25, 2, 1, 0x19, 0xFC, 15, 0,
      ])
  }

  // MARK: - Levels

  /// Reads the hybrid back, by the format's own words.
  static func decode(_ bytes: [UInt8], _ count: Int, width: Int) -> [UInt32] {
    var (at, values) = (0, [UInt32]())
    while values.count < count {
      var (header, shift) = (0, 0)
      repeat {
        header |= Int(bytes[at] & 0x7F) << shift
        shift += 7
        at += 1
      } while bytes[at - 1] & 0x80 != 0
      if header & 1 == 0 {
        let size = (width + 7) / 8
        let value = bytes[at..<at + size].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        at += size
        values += Array(repeating: value, count: header >> 1)
      } else {
        for index in 0..<(header >> 1) * 8 {
          var value: UInt32 = 0
          for bit in 0..<width where bytes[at + (index * width + bit) / 8] >> ((index * width + bit) % 8) & 1 == 1 {
            value |= 1 << bit
          }
          values.append(value)
        }
        at += (header >> 1) * width
      }
    }
    // Only the last run may hold more than there is, and nothing comes behind it.
    #expect(at == bytes.count && values.count < count + 8)
    return Array(values[..<count])
  }

  @Test func hybridRunsReadBack() {
    var random = Seeded(11)
    for turn in 0..<1500 {
      let width = turn % 32 + 1
      let most = UInt32.max >> UInt32(32 - width)
      var values = [UInt32]()
      let wanted = Int.random(in: 1...400, using: &random)
      while values.count < wanted {
        let run = [1, 1, 2, 7, 8, 9, 16, 31, 33, 100][Int.random(in: 0..<10, using: &random)]
        values += Array(repeating: UInt32.random(in: 0...most, using: &random), count: run)
      }
      let room = nebula_hybrid_room(values.count, UInt32(width))
      var out = [UInt8](repeating: 0xEE, count: room)
      let size = nebula_hybrid_indices(&out, values, values.count, UInt32(width))
      #expect(size <= room && Self.decode(Array(out[..<size]), values.count, width: width) == values)
      guard width <= 8 else { continue }
      let levels = values.map { UInt8($0) }
      #expect(nebula_hybrid_levels(&out, levels, levels.count, UInt32(width)) == size)
      #expect(Self.decode(Array(out[..<size]), values.count, width: width) == values)
    }
  }

  @Test func longRunsAreShort() {
    var out = [UInt8](repeating: 0, count: 1 << 16)
    let zeros = [UInt8](repeating: 0, count: 100_000)
    #expect(nebula_hybrid_levels(&out, zeros, zeros.count, 1) == 4)
    let alternating = (0..<8000).map { UInt8($0 % 2) }
    #expect(nebula_hybrid_levels(&out, alternating, alternating.count, 1) == 1002)
  }

  @Test func booleansArePackedAsTheReferenceDoes() {
    var random = Seeded(12)
    for count in 0..<200 {
      let values = random.bytes(count, from: [0, 1])
      var (fast, slow) = ([UInt8](repeating: 9, count: 40), [UInt8](repeating: 9, count: 40))
      nebula_pack_booleans(&fast, values, count)
      nebula_pack_booleans_scalar(&slow, values, count)
      #expect(fast == slow)
    }
  }

  // MARK: - Dictionary and ranges

  /// Values as PLAIN writes them.
  static func plain(_ texts: [[UInt8]], prefixed: Bool) -> [UInt8] {
    texts.flatMap { text in
      prefixed ? (0..<4).map { UInt8(truncatingIfNeeded: text.count >> ($0 * 8)) } + text : text
    }
  }

  @Test(arguments: [0, 4, 8, 9, 16]) func aDictionaryFindsEachValueAgain(_ width: Int) {
    var random = Seeded(UInt64(13 + width))
    let pool = (0..<3000).map { _ in
      random.bytes(width > 0 ? width : Int.random(in: 0...40, using: &random), from: [0, 1, 0x61, 0xFF])
    }
    let dictionary = ParquetDictionary(width: width, limit: 1 << 20)
    var known = [[UInt8]: UInt32]()
    for count in [1, 100, 5000, 3000] {
      let texts = (0..<count).map { _ in pool[Int.random(in: 0..<pool.count, using: &random)] }
      var indices = [UInt32](repeating: .max, count: count)
      let isDone = Self.plain(texts, prefixed: width == 0).withUnsafeBytes {
        dictionary.add($0, count: count, indices: &indices)
      }
      #expect(isDone)
      for (text, index) in zip(texts, indices) {
        #expect(index == known[text, default: UInt32(known.count)])
        known[text] = index
      }
    }
    let entries = known.sorted { $0.value < $1.value }.map(\.key)
    #expect(dictionary.count == known.count && Array(dictionary.bytes) == Self.plain(entries, prefixed: width == 0))
  }

  @Test func aDictionaryThatRefusesIsAsBefore() {
    let dictionary = ParquetDictionary(width: 8, limit: 80)
    var indices = [UInt32](repeating: 0, count: 5000)
    func add(_ numbers: [Int64]) -> Bool {
      numbers.withUnsafeBytes { dictionary.add($0, count: numbers.count, indices: &indices) }
    }
    #expect(add(Array(0..<10)) && dictionary.count == 10)
    #expect(!add(Array(5..<11)) && dictionary.count == 10 && dictionary.bytes.count == 80)
    // Nearly all different: not worth it.
    let other = ParquetDictionary(width: 8, limit: 1 << 20)
    let numbers = (0..<5000).map { Int64($0) }
    #expect(!numbers.withUnsafeBytes { other.add($0, count: 5000, indices: &indices) } && other.count == 0)
  }

  /// Texts made to collide must not make a page take for ever: the dictionary gives up.
  @Test func collidingValuesEndTheDictionary() {
    var table = nebula_dictionary()
    // All slots but one are taken by somebody else.
    var slots = [UInt64](repeating: 0xFFFF_FFFF_0000_0001, count: 1024)
    slots[5] = 0
    var (entries, offsets, indices) = (
      [UInt8](repeating: 0, count: 64), [UInt32](repeating: 0, count: 8), [UInt32](repeating: 0, count: 8)
    )
    let values: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]
    var (read, added) = (1, 9)
    slots.withUnsafeMutableBufferPointer { slots in
      entries.withUnsafeMutableBufferPointer { entries in
        offsets.withUnsafeMutableBufferPointer { offsets in
          table.slots = slots.baseAddress
          table.mask = 1023
          table.entries = entries.baseAddress
          table.offsets = offsets.baseAddress
          added = nebula_dictionary_add(&table, values, 1, 8, 64, &indices, &read)
        }
      }
    }
    #expect(added == 0 && read == 0)
  }

  @Test func rangesEqualTheReference() {
    var random = Seeded(14)
    for count in 1...80 {
      let numbers = (0..<count).map { _ in Int64(bitPattern: random.next()) >> Int64(random.next() % 60) }
      var (least, most) = (Int64(0), Int64(0))
      numbers.withUnsafeBytes { nebula_range_i64($0.baseAddress, count, &least, &most) }
      #expect(least == numbers.min() && most == numbers.max())
      let narrow = numbers.map { Int32(truncatingIfNeeded: $0) }
      var (low, high) = (Int32(0), Int32(0))
      narrow.withUnsafeBytes { nebula_range_i32($0.baseAddress, count, &low, &high) }
      #expect(low == narrow.min() && high == narrow.max())
      let texts = (0..<count).map { _ in random.bytes(Int.random(in: 0...12, using: &random), from: [0, 0x61, 0xFF]) }
      let plain = Self.plain(texts, prefixed: true)
      var (first, last) = (0, 0)
      nebula_range_bytes(plain, count, 0, false, &first, &last)
      func text(_ at: Int) -> [UInt8] { Array(plain[(at + 4)..<(at + 4 + Int(plain[at]))]) }
      #expect(text(first) == texts.min { $0.lexicographicallyPrecedes($1) })
      #expect(text(last) == texts.max { $0.lexicographicallyPrecedes($1) })
      let fixed = numbers.flatMap { number in withUnsafeBytes(of: Int128(number).bigEndian) { Array($0.suffix(9)) } }
      nebula_range_bytes(fixed, count, 9, true, &first, &last)
      #expect(numbers[first / 9] == numbers.min() && numbers[last / 9] == numbers.max())
    }
  }

  @Test func boundsHoldWhatTheyBound() {
    var random = Seeded(15)
    for turn in 0..<4000 {
      var text = ""
      let letters: [Character] = ["a", "é", "☆", "😀", "\u{10FFFF}", "\u{D7FF}", "\u{7F}"]
      for _ in 0..<Int.random(in: 0...90, using: &random) {
        text.append(letters[Int.random(in: 0..<7, using: &random)])
      }
      let bytes = turn % 2 == 0 ? Array(text.utf8) : random.bytes(text.utf8.count, from: [0, 0xFF, 0xFE])
      let bound = bytes.withUnsafeBytes { ParquetBound($0) }
      let (low, high) = (bound.lower(isText: turn % 2 == 0), bound.upper(isText: turn % 2 == 0))
      #expect(!bytes.lexicographicallyPrecedes(low) && low.count <= 64)
      if let high { #expect(!high.lexicographicallyPrecedes(bytes)) }
      if turn % 2 == 0 { #expect(String(validating: low, as: UTF8.self) != nil) }
      if turn % 2 == 0, let high { #expect(String(validating: high, as: UTF8.self) != nil) }
      #expect(bound.isCut == (bytes.count > 64) && (bound.isCut || (low == bytes && high == bytes)))
    }
  }

  /// The bounds after pages of these values.
  static func bounds<T: BitwiseCopyable>(_ type: ParquetPrimitive, _ pages: [[T]]) -> [[UInt8]?] {
    var statistics = ParquetStatistics(type)
    for page in pages { page.withUnsafeBytes { statistics.add($0, count: page.count) } }
    return [statistics.bounds.least?.bytes, statistics.bounds.most?.bytes]
  }
  static func bytes(_ value: some BitwiseCopyable) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }

  @Test func boundsOfNumbers() {
    let nan = Double.nan
    #expect(Self.bounds(.double, [[1.5, -2], [0.5]]) == [Self.bytes(-2.0), Self.bytes(1.5)])
    #expect(Self.bounds(.double, [[1.5], [nan]]) == [nil, nil])
    #expect(Self.bounds(.double, [[nan, 1.5], [2.0]]) == [nil, nil])
    #expect(Self.bounds(.double, [[0.0]]) == [Self.bytes(-0.0), Self.bytes(0.0)])
    #expect(Self.bounds(.double, [[-0.0, 3]]) == [Self.bytes(-0.0), Self.bytes(3.0)])
    #expect(Self.bounds(.double, [[Double]()]) == [nil, nil])
    #expect(Self.bounds(.int64, [[Int64(3)], [-1, 2]]) == [Self.bytes(Int64(-1)), Self.bytes(Int64(3))])
    #expect(Self.bounds(.date, [[Int32(-5)], [7]]) == [Self.bytes(Int32(-5)), Self.bytes(Int32(7))])
    #expect(Self.bounds(.boolean, [[UInt8(1)], [0]]) == [[0], [1]])
    let decimals = [Int128(-7), 5].map { $0.bigEndian }
    #expect(
      Self.bounds(.decimal(precision: 38, scale: 0), [[decimals[1]], [decimals[0]]]) == [
        Self.bytes(decimals[0]), Self.bytes(decimals[1]),
      ])
  }

  // MARK: - Texts

  static func unscaled(_ text: String, _ precision: Int, _ scale: Int) -> String {
    Array(text.utf8).withUnsafeBytes { bytes in
      do { return "\(try DecimalText.unscaled(bytes, precision: precision, scale: scale))" } catch { return "\(error)" }
    }
  }

  @Test(arguments: [
    ("12.340", 5, 3, "12340"), ("-0.5", 1, 1, "-5"), ("1e2", 3, 0, "100"), ("1e2", 2, 0, "tooLarge"),
    ("1.25", 3, 1, "tooFine"), ("1.250", 3, 2, "125"), ("", 3, 0, "noNumber"), ("1-", 3, 0, "noNumber"),
    ("99999999999999999999999999999999999999", 38, 0, "99999999999999999999999999999999999999"),
    ("999999999999999999999999999999999999991", 38, 0, "tooLarge"), ("0.000e-99999999999999", 1, 0, "0"),
    ("1000000000000000000000000000000000000000e-39", 1, 0, "1"), ("1e-40", 38, 38, "tooFine"),
    (".e1", 3, 0, "noNumber"),
  ]) func decimals(_ text: String, _ precision: Int, _ scale: Int, _ expected: String) {
    #expect(Self.unscaled(text, precision, scale) == expected)
  }

  @Test(arguments: [
    ("0.1", true), ("1e22", true), ("0.10000000000000001", false), ("0.1000000000000000055511151231257827", false),
    ("9007199254740993", false), ("9007199254740992", true), ("123456789012345.6", true), ("-0", true),
    ("0e5", true), ("1e-400", false), ("1e400", false), ("5e-324", true), ("4.9e-324", false), ("1.10", true),
    ("1.7976931348623157e308", true), ("2.2250738585072014e-308", true), ("3e-324", false), ("1e15", true),
    ("12345678901234567", false), ("12345678901234568", true),
  ]) func exactDoubles(_ text: String, _ isExact: Bool) {
    Array(text.utf8).withUnsafeBytes { #expect((DoubleText.exact($0) != nil) == isExact) }
  }

  @Test func shortestDoublesAreExact() {
    var random = Seeded(16)
    for _ in 0..<20_000 {
      let number = Double(bitPattern: random.next())
      guard number.isFinite else { continue }
      let text = output { $0.append(shortest: number) }
      text.withUnsafeBytes { #expect(DoubleText.exact($0)?.bitPattern == number.bitPattern) }
    }
  }

  @Test func base64ReadsWhatIsWritten() {
    var random = Seeded(17)
    for count in 0..<100 {
      let bytes = random.bytes(count)
      let text = output { output in bytes.withUnsafeBytes { output.append(base64: $0) } }
      text.withUnsafeBytes { #expect(Base64Text.decode($0)?.array == bytes) }
    }
  }

  @Test func timesReadWhatIsWritten() {
    var random = Seeded(18)
    for _ in 0..<5000 {
      let milliseconds = Int64(bitPattern: random.next()) >> 14
      let text = output { $0.append(iso8601: milliseconds) }
      text.withUnsafeBytes {
        #expect((try? TimeText.timestamp($0, .microseconds, isUTC: true)) == milliseconds * 1000)
      }
    }
  }
}
