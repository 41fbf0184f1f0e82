import NebulaCore
import NebulaFormats
import NebulaHTTP
import Testing

@testable import SnowflakeConnector

/// Values that a column would cut, change or refuse: they are found before they are staged, since a row that COPY refuses
/// stops the epoch at each new try.
@Suite struct ColumnCheckTests {
  private func takes(_ type: String, _ text: String) -> Bool {
    Array(text.utf8).withUnsafeBytes { ColumnCheck(type: type, isStrict: true).takes($0) }
  }

  @Test(arguments: [
    ("TIMESTAMP_NTZ(9)", "Thu, 21 Dec 2000 16:01:07 +0000"), ("TIMESTAMP_TZ(9)", "Thu, 1 feb 2024 16:01:07.5 -0730"),
    ("TIMESTAMP_TZ(9)", "Thu Dec 21 16:01:07 +0200 2000"), ("TIMESTAMP_NTZ(9)", "2024-05-06T07:08:09Z"),
    ("TIMESTAMP_NTZ(9)", "2024-05-06 07:08:09+00:00"), ("TIMESTAMP_LTZ(9)", "2024-05-06T07:08:09+05:00"),
    ("TIMESTAMP_NTZ(3)", "2024-05-06T07:08:09.123000"), ("DATE", "2024-02-29"), ("DATE", "29-feb-2024"),
    ("DATE", "2024-05-06T00:00:00.000Z"), ("TIME(9)", "23:59"), ("TIME(9)", "7:08:09.123456789"),
    ("TIME(0)", "07:08:09.000"), ("BINARY(2)", "00fF"), ("BINARY(2)", ""), ("FLOAT", "1e308"), ("FLOAT", "-2.5e-308"),
    ("FLOAT", "+inf"),
  ]) func taken(_ type: String, _ text: String) { #expect(takes(type, text)) }

  @Test(arguments: [
    ("TIMESTAMP_NTZ(9)", "not set"), ("TIMESTAMP_NTZ(9)", "TBD."), ("TIMESTAMP_NTZ(9)", "12-XYZ-2026"),
    ("TIMESTAMP_NTZ(9)", "31-FEB-2026"), ("TIMESTAMP_NTZ(9)", "Thu, 31 Feb 2000 16:01:07 +0000"),
    ("TIMESTAMP_NTZ(9)", "Thu, 21 Dec 2000"), ("TIMESTAMP_NTZ(9)", "Thu Dec 21 16:01:07 2000"),
    ("TIMESTAMP_NTZ(9)", "2024-05-06T07:08:09+05:00"), ("TIMESTAMP_NTZ(9)", "2024-05-06T07:08:09-0030"),
    ("TIMESTAMP_NTZ(3)", "2024-05-06T07:08:09.1234"), ("TIMESTAMP_NTZ(0)", "2024-05-06T07:08:09.5"),
    ("DATE", "2024-05-06T07:08:09"), ("DATE", "2024-05-06 00:00:01"), ("DATE", "2024-05-06T00:00:00.1"),
    ("DATE", "1714979289"), ("DATE", "2023-02-29"), ("TIME(9)", "abcd"), ("TIME(9)", "24:00"), ("TIME(9)", "7"),
    ("TIME(9)", "07:08:09+01:00"), ("TIME(0)", "07:08:09.5"), ("BINARY(8)", "xyz"), ("BINARY(8)", "abc"),
    ("BINARY(2)", "001122"), ("FLOAT", "1e400"), ("FLOAT", "-1e309"),
  ]) func refused(_ type: String, _ text: String) { #expect(!takes(type, text)) }

  /// A FLOAT keeps what is a Double's own text, and no number that has more to say.
  @Test(arguments: [
    ("0.1", true), ("0.30000000000000004", true), ("-1.7976931348623157e308", true), ("5e-324", true),
    ("100000000000000000000000", true), ("0.000", true), ("9007199254740992", true), ("4611686018427387904", true),
    ("9007199254740993", false), ("9007199254740993.5", false), ("1000000.000000000000000001", false),
    ("20000000000000000.01", false), ("1e400", false), ("1e-400", false), ("123456789012345678901234567890", false),
  ]) func doubles(_ text: String, _ isKept: Bool) {
    #expect(Array(text.utf8).withUnsafeBytes { ValueKind.keepsLiteral($0, .float) } == isKept)
  }

  /// The columns of Parquet have a parser of their own: what the check lets through must not fail there, behind it.
  @Test func whatIsTakenFitsParquet() throws {
    let types = [
      "NUMBER(38,0)", "NUMBER(12,2)", "NUMBER(38,37)", "FLOAT", "BOOLEAN", "DATE", "TIME(9)", "TIMESTAMP_NTZ(9)",
      "TIMESTAMP_TZ(3)", "BINARY(8)", "VARCHAR(3)",
    ]
    let layout = TableLayout(
      .records, .parquet, types.map { LoadColumn(name: Identifier(exactly: $0), type: $0, field: $0) })
    let sink = try ParquetSink(layout, .zstd, level: nil)
    let output = OutputBuffer(capacity: 1024)
    var texts = [
      " 2 ", "\t2.5", "+2", "2.", ".5", "1e2", "1E+2", "12E-1", "-0", "-0.00", "007", "+inf", "inf", "-INF", "NaN",
      "nan",
      "1e308", "5e-324", "99999999999999999999999999999999999999", "T", "oFF", "1", "2024-02-29",
    ]
    var random = SystemRandomNumberGenerator()
    for _ in 0..<4_000 {
      texts.append(
        String(
          (0..<Int.random(in: 1...8, using: &random)).compactMap { _ in "0123456789.+-eE \tinfa:T".randomElement() }))
    }
    var taken = 0
    for text in texts {
      for type in types where takes(type, text) {
        taken += 1
        let row = OutputBuffer(capacity: 64)
        row.append(Array("{\(JSONValue.string(type).text):\(JSONValue.string(text).text)}\n".utf8))
        do {
          try row.withBytes { (bytes) throws(NebulaError) in try sink.write(rows: bytes, into: output) }
        } catch {
          Issue.record("\(type) \(text): \(error)")
        }
      }
    }
    #expect(taken > 1_000)
  }
}
