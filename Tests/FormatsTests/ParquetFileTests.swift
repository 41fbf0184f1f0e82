import NebulaCore
import Testing

@testable import NebulaFormats

@Suite("Parquet files")
struct ParquetFileTests {
  static let fields = [
    ParquetField("n", .int64), ParquetField("s", .string), ParquetField("b", .boolean),
    ParquetField("m", .decimal(precision: 30, scale: 2)), ParquetField("d", .double),
  ]

  static func append(_ row: Int, to file: ParquetFileWriter, columns: Int = 5) throws {
    let steps: [(ParquetColumn) throws -> Void] = [
      { try $0.append(int64: Int64(row)) },
      { column in
        if row % 3 == 0 { column.appendNull() } else { try "text \(row)".utf8Bytes { try column.append(bytes: $0) } }
      },
      { try $0.append(boolean: row % 2 == 0) },
      { column in try "\(row).25".utf8Bytes { try column.append(decimalText: $0) } },
      { $0.appendNull() },
    ]
    for (index, step) in steps.prefix(columns).enumerated() { try step(file.column(index)) }
  }

  static func file(
    _ codec: ParquetCodec = .none, rowGroupBytes: Int = 20_000, pageBytes: Int = 1000,
    limits: ParquetLimits = ParquetLimits()
  ) throws -> ParquetFileWriter {
    try ParquetFileWriter(
      fields, codec, level: nil, rowGroupBytes: rowGroupBytes, pageBytes: pageBytes, metadata: [], limits: limits)
  }

  @Test func undoneRowsLeaveNoTrace() throws {
    var random = Seeded(1)
    let (clean, undone) = (try Self.file(), try Self.file())
    let (cleanBytes, undoneBytes) = (OutputBuffer(), OutputBuffer())
    for row in 0..<3000 {
      try Self.append(row, to: clean)
      try clean.endRow()
      while Int.random(in: 0..<3, using: &random) == 0 {
        try Self.append(row * 7, to: undone, columns: Int.random(in: 0...5, using: &random))
        undone.undoRow()
      }
      try Self.append(row, to: undone)
      try undone.endRow()
      #expect(clean.estimatedBytes == undone.estimatedBytes && clean.rows == undone.rows)
      if row % 100 == 0 { undone.drain(into: undoneBytes) }
    }
    try clean.finish(into: cleanBytes)
    try undone.finish(into: undoneBytes)
    #expect(cleanBytes.array == undoneBytes.array)
  }

  @Test func aValueThatDoesNotFitLeavesNothing() throws {
    let (clean, tried) = (try Self.file(), try Self.file())
    for row in 0..<100 {
      try Self.append(row, to: clean)
      try clean.endRow()
      try Self.append(row, to: tried, columns: 3)
      let error = #expect(throws: NebulaError.self) {
        try "1.234".utf8Bytes { try tried.column(3).append(decimalText: $0) }
      }
      #expect(error?.disposition == .reject && error?.code == .parquetMisfit)
      #expect(throws: NebulaError.self) { try tried.column(1).append(int64: 1) }
      #expect(throws: NebulaError.self) { try tried.column(0).append(double: 1) }
      #expect(throws: NebulaError.self) { try [UInt8(0xFF)].withUnsafeBytes { try tried.column(1).append(bytes: $0) } }
      try "\(row).25".utf8Bytes { try tried.column(3).append(decimalText: $0) }
      tried.column(4).appendNull()
      try tried.endRow()
    }
    let (a, b) = (OutputBuffer(), OutputBuffer())
    try clean.finish(into: a)
    try tried.finish(into: b)
    #expect(a.array == b.array)
  }

  @Test func aRowNeedsOneValueForEachColumn() throws {
    let file = try Self.file()
    try Self.append(1, to: file)
    try file.endRow()
    for columns in 0..<5 {
      try Self.append(2, to: file, columns: columns)
      let error = #expect(throws: NebulaError.self) { try file.endRow() }
      #expect(error?.code == .parquetRow && error?.message.contains("0 values") == true)
    }
    try Self.append(2, to: file)
    try file.column(2).append(boolean: true)
    #expect(throws: NebulaError.self) { try file.endRow() }
    try Self.append(2, to: file, columns: 2)
    #expect(throws: NebulaError.self) { try file.finish(into: OutputBuffer()) }
    file.undoRow()
    try file.finish(into: OutputBuffer())
    #expect(file.rows == 1)
    #expect(throws: NebulaError.self) { try file.finish(into: OutputBuffer()) }
    #expect(throws: NebulaError.self) { try file.endRow() }
  }

  @Test func aRowThatIsTooLargeIsRejectedAlone() throws {
    var limits = ParquetLimits()
    limits.page = 10_000
    let (clean, tried) = (try Self.file(limits: limits), try Self.file(limits: limits))
    let large = [UInt8](repeating: 0x61, count: 10_001)
    for row in 0..<50 {
      try Self.append(row, to: clean)
      try clean.endRow()
      try Self.append(row, to: tried, columns: 1)
      try large.withUnsafeBytes { try tried.column(1).append(bytes: $0) }
      try tried.column(2).append(boolean: true)
      tried.column(3).appendNull()
      tried.column(4).appendNull()
      let error = #expect(throws: NebulaError.self) { try tried.endRow() }
      #expect(error?.code == .parquetTooLarge && error?.disposition == .reject)
      try Self.append(row, to: tried)
      try tried.endRow()
    }
    let (a, b) = (OutputBuffer(), OutputBuffer())
    try clean.finish(into: a)
    try tried.finish(into: b)
    #expect(a.array == b.array)
  }

  /// A value that claims more than a page may have is refused before it is copied (nothing is read of these bytes).
  @Test func aValueOfMoreThanAPageIsRefused() throws {
    let file = try Self.file()
    let page = UnsafeMutableRawPointer.allocate(byteCount: 1, alignment: 1)
    defer { page.deallocate() }
    let claimed = UnsafeRawBufferPointer(start: page, count: ParquetLimits.largestValue + 1)
    let error = #expect(throws: NebulaError.self) { try file.column(1).append(validated: claimed) }
    #expect(error?.code == .parquetTooLarge && error?.disposition == .reject)
  }

  @Test func aPieceThatIsNotTakenIsLentAgain() throws {
    let (whole, pieces) = (try Self.file(), try Self.file())
    for row in 0..<3000 {
      for file in [whole, pieces] {
        try Self.append(row, to: file)
        try file.endRow()
      }
    }
    let (expected, taken) = (OutputBuffer(), OutputBuffer())
    try whole.finish(into: expected)
    var turn = 0
    for _ in 0..<200 {
      try? pieces.drain { bytes in
        turn += 1
        if turn % 3 == 0 { throw NebulaError(.codecFailed, "", remedy: "") }
        taken.append(bytes)
      }
    }
    try pieces.finish(into: taken)
    #expect(turn > 20 && taken.array == expected.array)
  }

  @Test(arguments: ParquetCodec.allCases) func whatIsHeldIsBounded(_ codec: ParquetCodec) throws {
    let file = try Self.file(codec, rowGroupBytes: 100_000, pageBytes: 5000)
    let output = OutputBuffer()
    var most = 0
    for row in 0..<30_000 {
      try Self.append(row, to: file)
      try file.endRow()
      file.drain(into: output)
      most = max(most, file.heldBytes)
      #expect(file.estimatedBytes >= output.count)
    }
    #expect(most <= 100_000 + 200 && output.count > 100_000)
    let before = file.estimatedBytes
    try file.finish(into: output)
    // The end of the file, and what compression took off the open pages.
    #expect(output.count > before / 2 && output.array.suffix(4) == [UInt8]("PAR1"))
  }
}

extension String {
  fileprivate func utf8Bytes(_ body: (UnsafeRawBufferPointer) throws -> Void) rethrows {
    try Array(utf8).withUnsafeBytes(body)
  }
}
