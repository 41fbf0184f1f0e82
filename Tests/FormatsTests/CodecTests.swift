import NebulaCore
import NebulaFormats
import Testing

@Suite("Codecs")
struct CodecTests {
  static func compress(_ bytes: [UInt8], _ codec: Codec, level: Int? = nil, piece: Int = 10_000) throws -> [UInt8] {
    let compressor = try Compressor(codec, level: level)
    return try output { buffer in try write(bytes, compressor, buffer, piece: piece) }
  }
  static func write(_ bytes: [UInt8], _ compressor: Compressor, _ buffer: OutputBuffer, piece: Int) throws {
    for start in stride(from: 0, to: bytes.count, by: piece) {
      try Array(bytes[start..<min(start + piece, bytes.count)]).withUnsafeBytes {
        try compressor.write($0, into: buffer)
      }
    }
    try compressor.finish(into: buffer)
  }
  static func decompress(_ bytes: [UInt8], _ codec: Codec) throws -> [UInt8] {
    let decompressor = Decompressor(codec)
    return try output { buffer in
      try bytes.withUnsafeBytes { try decompressor.write($0, into: buffer) }
      try decompressor.finish()
    }
  }

  @Test(arguments: Codec.allCases) func roundTrip(_ codec: Codec) throws {
    var random = Seeded(1)
    let contents = [
      [], [7], random.bytes(100_000), [UInt8](repeating: 0, count: 1_000_000),
      random.bytes(300_000, from: Array("abc")),
    ]
    for level in codec.levels where level != 0 || codec != .zstd {
      for content in contents {
        #expect(try Self.decompress(Self.compress(content, codec, level: level), codec) == content)
      }
    }
  }

  @Test(arguments: [Codec.gzip, .zstd]) func aCompressorIsUsedAgain(_ codec: Codec) throws {
    let compressor = try Compressor(codec)
    let first = try output { try Self.write(Array("one"), compressor, $0, piece: 2) }
    let second = try output { try Self.write(Array("two"), compressor, $0, piece: 2) }
    #expect(try Self.decompress(first, codec).text == "one")
    #expect(try Self.decompress(second, codec).text == "two")
    #expect(try Self.decompress(first + second, codec).text == "onetwo")
  }

  @Test(arguments: [(Codec.gzip, 10), (.gzip, -1), (.zstd, 20), (.zstd, -8)]) func levelsOutsideTheRange(
    _ codec: Codec, _ level: Int
  ) {
    let error = #expect(throws: NebulaError.self) { try Compressor(codec, level: level) }
    #expect(error?.code == .badCompressionLevel && error?.exit == .configuration)
  }

  /// 64 MiB of zeros come out in steps that the caller bounds.
  @Test(arguments: [Codec.gzip, .zstd]) func outputIsBoundedByTheLimit(_ codec: Codec) throws {
    let packed = try Self.compress([UInt8](repeating: 0, count: 64 << 20), codec, piece: 1 << 20)
    let decompressor = Decompressor(codec)
    let buffer = OutputBuffer()
    var total = 0
    var most = 0
    try packed.withUnsafeBytes { bytes in
      var rest = bytes
      while !rest.isEmpty || decompressor.hasMore {
        let taken = try decompressor.write(rest, into: buffer, limit: 100_000)
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(taken))
        total += buffer.count
        most = max(most, buffer.count)
        buffer.removeAll()
      }
    }
    try decompressor.finish()
    #expect(total == 64 << 20 && most <= 100_000 + (128 << 10))
  }

  @Test func detection() {
    func detect(_ bytes: [UInt8]) -> Codec { bytes.withUnsafeBytes { Codec.detect(magic: $0) } }
    #expect(detect([0x1F, 0x8B, 8, 0]) == .gzip)
    #expect(detect([0x28, 0xB5, 0x2F, 0xFD]) == .zstd)
    #expect(detect([0x5A, 0x2A, 0x4D, 0x18]) == .zstd)
    #expect(detect(Array("{\"a\"")) == .none)
    #expect(detect([0x1F]) == .none && detect([]) == .none)
    #expect(Codec.detect(path: "a/b.jsonl.GZ") == .gzip && Codec.detect(path: "x.zst") == .zstd)
    #expect(Codec.detect(path: "gz") == .none && Codec.detect(path: "a.csv") == .none)
  }

  @Test func bufferKeepsWhatItIsGiven() {
    let buffer = OutputBuffer(capacity: 1)
    var expected = [UInt8]()
    var random = Seeded(2)
    for count in 0..<300 {
      let bytes = random.bytes(count)
      buffer.append(bytes)
      expected += bytes
    }
    #expect(buffer.array == expected && buffer.count == expected.count)
    buffer.removeFirst(1000)
    #expect(buffer.array == Array(expected.dropFirst(1000)))
    buffer.truncate(to: 10)
    #expect(buffer.array == Array(expected[1000..<1010]))
    buffer.removeAll(keepingCapacity: false)
    #expect(buffer.isEmpty)
    buffer.append(decimal: .min)
    buffer.append(decimal: 0)
    #expect(buffer.array.text == "-92233720368547758080")
  }
}
