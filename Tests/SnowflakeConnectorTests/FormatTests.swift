import Foundation
import NebulaCore
import NebulaHTTP
import Testing

@testable import SnowflakeConnector

/// Every format in every compression brings the same rows.
@Suite(.enabled(if: StandIn.isAvailable), .serialized) struct FormatTests {
  private static let choices: [(String, String, String)] = [
    ("CSV", "GZIP", "1"), ("CSV", "ZSTD", "3"), ("CSV", "NONE", ""), ("JSON", "GZIP", "9"), ("JSON", "ZSTD", "1"),
    ("JSON", "NONE", ""), ("PARQUET", "SNAPPY", ""), ("PARQUET", "ZSTD", "3"), ("PARQUET", "GZIP", "6"),
    ("PARQUET", "NONE", ""),
  ]
  private func options(_ choice: (String, String, String)) -> [String: String] {
    var options = ["file_format": choice.0, "compression_type": choice.1]
    if !choice.2.isEmpty { options["compression_level"] = choice.2 }
    return options
  }

  @Test func plainRecords() async throws {
    let standIn = try StandIn()
    let schema = RecordSchema(columns: [
      .init("id", .integer), .init("text"), .init("price", .number), .init("on", .date), .init("at", .timestamp),
      .init("ok", .boolean), .init("doc", .json),
    ])
    let rows = [
      "1,\"a,\"\"b\"\"\nc\",19.99,2026-01-02,2026-01-02T03:04:05.678901,true,\"{\"\"k\"\":[1,null]}\"",
      "2,,,,,,", "3,\"\",12345678901234567890.123456789,1969-12-31,1600-01-01 00:00:00,false,null",
      "99999999999999999999999999999999999999, \u{1F600}\\N ,-0.5,,2026-11-21,,\"\"\"text\"\"\"",
    ]
    var all: [[String]] = []
    for (number, choice) in Self.choices.enumerated() {
      let rig = try Rig(standIn, properties: options(choice).merging(["table": "T\(number)"]) { $1 })
      try await rig.open(UInt64(number) + 1)
      let prepared = try await rig.prepare(
        .at(UInt64(number) + 1, 1), [Plain.csv(rows.map { Array($0.utf8) }, schema)])
      #expect(rig.letters.all.isEmpty)
      #expect(try await rig.commit(prepared).rows == 4, "\(choice)")
      all.append(try await standIn.rows("RAW.SHOP.T\(number)", order: "ID").map(\.text))
      await rig.close()
    }
    for (choice, found) in zip(Self.choices, all) { #expect(found == all[0], "\(choice)") }
    #expect(all[0].count == 4 && all[0][3].contains("99999999999999999999999999999999999999"))
  }

  @Test func documents() async throws {
    let standIn = try StandIn()
    for mode in ["append", "merge"] {
      var all: [[String]] = []
      for (number, choice) in Self.choices.enumerated() where choice.0 != "CSV" {
        let rig = try Rig(
          standIn, properties: options(choice).merging(["table": "\(mode)\(number)", "write_mode": mode]) { $1 })
        try await rig.open(UInt64(number) + 1 + (mode == "merge" ? 100 : 0))
        let generation = UInt64(number) + 1 + (mode == "merge" ? 100 : 0)
        let prepared = try await rig.prepare(.at(generation, 1), [ChangeBatch.orders(50)])
        #expect(try await rig.commit(prepared).rows == 50, "\(choice)")
        var found = try await standIn.rows("RAW.SHOP.\(mode.uppercased())\(number)")
        for index in found.indices {
          guard case .object(let members) = found[index] else { continue }
          found[index] = .object(members.filter { $0.name != "FILE" && $0.name != "FILE_ROW" })
        }
        all.append(found.map(\.text).sorted())
        await rig.close()
      }
      for found in all { #expect(found == all[0]) }
      #expect(all[0].count == 50 && all[0][0].contains("9007199254740993"))
    }
  }

  @Test func snappyBelongsToParquet() {
    for format in ["CSV", "JSON", nil] {
      var properties: Properties = [
        "account": "a", "user": "u", "password": "p", "database": "D", "schema": "S", "table": "T",
        "compression_type": "SNAPPY",
      ]
      if let format { properties["file_format"] = .scalar(format, at: .init(path: "file_format")) }
      let error = #expect(throws: NebulaError.self) { try SnowflakeOptions(decoding: properties) }
      #expect(error?.place?.path == "compression_type" && error?.message.contains("Parquet") == true)
    }
  }
}
