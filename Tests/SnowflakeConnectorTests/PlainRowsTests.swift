import NebulaCore
import NebulaFormats
import Testing

@testable import SnowflakeConnector

/// Rows of CSV that are copied many at a time load as the same values as those that are walked through one by one.
@Suite struct PlainRowsTests {
  struct Random: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state ^ (state >> 29)
    }
  }
  private static let texts = [
    "", "plain", "two words", " blank", "blank\t", "\"\"", "\"a,b\"", "\"say \"\"so\"\"\"", "\"two\nlines\"", "é☆😀",
    "\"é\"",
    "a\"b", "\"open", "\"shut\"x", String(repeating: "long ", count: 60),
  ]
  private static let numbers = ["1", "-2.5", "", "\"3\"", "x", "1e3", " 4", "99999999999999999999999999999999999999"]

  /// Rows as a file's reader cuts them; some end in a carriage return too, a few hold a byte that is no UTF-8.
  private func batch(_ random: inout Random, _ schema: RecordSchema) -> RecordBatch {
    var bytes: [UInt8] = []
    let endings: [[UInt8]] = [[10], [10], [10], [13, 10]]
    for _ in 0..<Int.random(in: 1...60, using: &random) {
      let isPlain = Int.random(in: 0..<4, using: &random) > 0
      var row = Array(((isPlain ? "plain" : Self.texts.randomElement(using: &random)) ?? "").utf8)
      row += Array(",\((isPlain ? "7.25" : Self.numbers.randomElement(using: &random)) ?? "")".utf8)
      if Int.random(in: 0..<50, using: &random) == 0 { row[0] = 0xFF }
      if Int.random(in: 0..<50, using: &random) == 0 { row += Array(",more".utf8) }
      bytes += row + (endings.randomElement(using: &random) ?? [10])
    }
    var records: [ByteRange] = []
    bytes.withUnsafeBytes { raw in
      var scanner = CSVRowScanner(CSVDialect(schema))
      while let row = scanner.next(in: raw) {
        records.append(ByteRange(UInt32(row.lowerBound), UInt32(row.upperBound)))
      }
    }
    return RecordBatch(
      bytes: SharedBytes(copying: bytes), records: records, format: .csv, namespaces: [Namespace(collection: "orders")],
      schema: schema, position: Position([1]))
  }

  /// The values of each row (nil for NULL), and which records were rejected; how many were copied.
  private func encoded(_ batch: RecordBatch, _ encoder: RecordEncoder, byRuns: Bool) throws -> (
    rows: [[String?]], rejected: [Int], copied: Int
  ) {
    try encoder.start(batch, order: 0)
    var (rejected, copied, index) = ([Int](), 0, 0)
    try batch.withBytes { bytes in
      while index < batch.count {
        let run = byRuns ? try encoder.appendRun(index..<batch.count, of: batch, bytes, room: 300) : 0
        copied += run
        index += run
        guard run == 0 else { continue }
        do throws(NebulaError) { _ = try encoder.append(index, of: batch, bytes) } catch {
          #expect(error.disposition == .reject)
          rejected.append(index)
        }
        index += 1
      }
    }
    let rows = encoder.rows.withBytes { raw in
      var (scanner, rows) = (CSVRowScanner(CSVDialect()), [[String?]]())
      while let range = scanner.next(in: raw) {
        let row = UnsafeRawBufferPointer(rebasing: raw[range])
        var (fields, values) = (CSVFields(row, dialect: CSVDialect()), [String?]())
        while let field = fields.next() {
          let isNull = !field.isQuoted && field.range.isEmpty
          values.append(isNull ? nil : CSVText.text(of: field, in: row, dialect: CSVDialect()))
        }
        rows.append(values)
      }
      return rows
    }
    return (rows, rejected, copied)
  }

  @Test(arguments: [false, true]) func theyAreTheSameRows(_ hasOverflow: Bool) throws {
    var random = Random(state: 11)
    let schema = RecordSchema(columns: [.init("text"), .init("number")])
    func column(_ name: String, _ type: String) -> LoadColumn {
      LoadColumn(name: Identifier(folding: name), type: type, field: name)
    }
    var columns = [column("text", "VARCHAR"), column("number", "NUMBER(38,2)")]
    if hasOverflow { columns.append(LoadColumn("_OVERFLOW", "VARIANT", .overflow)) }
    var (copied, rejected) = (0, 0)
    for _ in 0..<400 {
      let batch = batch(&random, schema)
      let one = try encoded(batch, RecordEncoder(columns, as: .csv, limit: 200), byRuns: false)
      let many = try encoded(batch, RecordEncoder(columns, as: .csv, limit: 200), byRuns: true)
      #expect(one.rows == many.rows && one.rejected == many.rejected)
      copied += many.copied
      rejected += many.rejected.count
    }
    #expect(copied > 5000 && rejected > 300)
  }
}
