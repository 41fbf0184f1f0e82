import NebulaCore
import Testing

@testable import SnowflakeConnector

@Suite struct StatementTests {
  private func name(_ text: String) -> TableName {
    TableName(
      database: Identifier(exactly: "RAW"), schema: Identifier(exactly: "SHOP"), name: Identifier(exactly: text))
  }

  @Test func identifiersFoldAsSnowflakeDoes() throws {
    #expect(try Identifier("orders", property: "table").quoted == "\"ORDERS\"")
    #expect(try Identifier("\"orders\"", property: "table").quoted == "\"orders\"")
    #expect(try Identifier("\"a\"\"b\"", property: "table").name == "a\"b")
    #expect(try Identifier("order-items", property: "table").quoted == "\"order-items\"")
    #expect(Identifier(exactly: "a\"; DROP TABLE x; --").quoted == "\"a\"\"; DROP TABLE x; --\"")
    #expect(Identifier(folding: "\"x").name == "\"x")
    for bad in ["", "\"\"", "a\u{1}", String(repeating: "x", count: 256)] {
      #expect(throws: NebulaError.self) { try Identifier(bad, property: "table") }
    }
    #expect(literal("it's \\ \n") == "'it''s \\\\ \\n'")
  }

  @Test func templatesRouteAndRefuseCollisions() throws {
    var one = TableRoutes(try TableTemplate("ORDERS"))
    #expect(try one.table(for: Namespace(database: "a", collection: "x")).name == "ORDERS")
    #expect(try one.table(for: Namespace(database: "b", collection: "y")).name == "ORDERS")
    var two = TableRoutes(try TableTemplate("{database}_{collection}"))
    #expect(try two.table(for: Namespace(database: "shop", collection: "orders")).name == "SHOP_ORDERS")
    #expect(try two.table(for: Namespace(database: "shop", collection: "order-items")).name == "shop_order-items")
    let error = #expect(throws: NebulaError.self) {
      try two.table(for: Namespace(database: "Shop", collection: "Orders"))
    }
    #expect(error?.code == .tablesCollide && error?.message.contains("shop.orders") == true)
    _ = try two.table(for: Namespace(database: "a_b", collection: "c"))
    #expect(throws: NebulaError.self) { try two.table(for: Namespace(database: "a", collection: "b_c")) }
    var quoted = TableRoutes(try TableTemplate("\"{collection}\""))
    #expect(try quoted.table(for: Namespace(collection: "orders")).name == "orders")
    #expect(try quoted.table(for: Namespace(collection: "Orders")).name == "Orders")
  }

  @Test func columnsThatCollideWhenFoldedAreRefused() throws {
    let schema = RecordSchema(columns: [.init("id", .integer), .init("First Name"), .init("ID")])
    let error = #expect(throws: NebulaError.self) { try RecordColumns.make(schema) }
    #expect(error?.code == .columnsCollide)
    let many = try RecordColumns.make(RecordSchema(columns: (0..<10_000).map { .init("column_\($0)") }))
    #expect(many.count == 10_000 && many[9999].name.name == "COLUMN_9999")
    let typed = try RecordColumns.make(
      RecordSchema(columns: RecordSchema.ColumnType.allCases.map { .init($0.rawValue, $0) }))
    #expect(typed.map(\.type) == ["VARCHAR", "NUMBER(38,0)", "VARIANT", "BOOLEAN", "DATE", "TIMESTAMP_NTZ", "VARIANT"])
  }

  @Test func copyNamesEachFile() throws {
    let files = (1...3).map { StagedFile(name: "f\($0)", rows: 1, bytes: 2, sha256: "") }
    var table = StagedTable(
      table: name("T"), layout: .documents, compression: .zstd, folder: "nebula/p/T", files: files)
    let statements = CopyStatement.all(for: table, stage: name("S"), options: try CopyOptions([:]), limit: 2)
    #expect(statements.map(\.files.count) == [2, 1])
    #expect(
      statements[1].text == """
        COPY INTO "RAW"."SHOP"."T" ("DOCUMENT", "DOCUMENT_BEFORE", "UPDATE_DESCRIPTION", "DOCUMENT_KEY", "OPERATION", \
        "NAMESPACE", "EVENT_TIME", "SEQUENCE", "EVENT_ID", "FILE", "FILE_ROW") FROM (SELECT $1:document, $1:before, \
        $1:update, $1:key, $1:op::VARCHAR, $1:ns::VARCHAR, $1:time::TIMESTAMP_NTZ, $1:seq::VARCHAR, $1:id::VARCHAR, \
        METADATA$FILENAME, METADATA$FILE_ROW_NUMBER FROM @"RAW"."SHOP"."S"/nebula/p/T/) FILES = ('f3') \
        FILE_FORMAT = (TYPE = JSON COMPRESSION = ZSTD ALLOW_DUPLICATE = TRUE) ON_ERROR = ABORT_STATEMENT
        """)
    table.layout = .json(
      ["VARCHAR(10)", "NUMBER(10,2)", "DATE", "VARIANT"].map {
        LoadColumn(name: Identifier(exactly: String($0.prefix(1))), type: $0, field: "")
      })
    let json = CopyStatement.all(for: table, stage: name("S"), options: try CopyOptions([:]), limit: 100)[0].text
    #expect(json.contains(#"(SELECT $1:"V"::VARCHAR, $1:"N"::NUMBER(38,2), $1:"D"::DATE, $1:"V" FROM @"#))
    table.layout = .csv([
      LoadColumn(name: Identifier(exactly: "A"), type: "VARCHAR", field: "a"),
      LoadColumn(name: Identifier(exactly: "B"), type: "VARIANT", field: "b"),
    ])
    table.compression = .gzip
    let csv = CopyStatement.all(for: table, stage: name("S"), options: try CopyOptions([:]), limit: 100)[0].text
    #expect(csv.hasPrefix("COPY INTO \"RAW\".\"SHOP\".\"T\" (\"A\", \"B\") FROM (SELECT $1, PARSE_JSON($2) FROM @"))
    #expect(csv.contains("NULL_IF = ()") && csv.contains("EMPTY_FIELD_AS_NULL = TRUE") && !csv.contains("PURGE"))
  }

  @Test func onlyLoadedWithEveryRowIsSuccess() {
    let files = [
      StagedFile(name: "a", rows: 2, bytes: 1, sha256: ""), StagedFile(name: "b", rows: 3, bytes: 1, sha256: ""),
    ]
    let columns = ["file", "status", "rows_parsed", "rows_loaded"]
    func check(_ rows: [[String?]]) -> NebulaError? {
      do throws(NebulaError) {
        _ = try CopyResult.check(QueryResult(columns: columns, rows: rows), against: files, table: name("T"))
        return nil
      } catch { return error }
    }
    #expect(check([["st/p/a", "LOADED", "2", "2"], ["st/p/b", "LOADED", "3", "3"]]) == nil)
    #expect(check([["st/p/a", "LOADED", "2", "2"]])?.message.contains("left out") == true)
    #expect(check([["a", "LOADED", "2", "2"], ["b", "LOAD_SKIPPED", "0", "0"]])?.message.contains("skipped") == true)
    #expect(check([["a", "LOADED", "2", "1"], ["b", "LOADED", "3", "3"]])?.code == .copyIncomplete)
    #expect(check([["a", "LOADED", "2", "2"], ["a", "LOADED", "2", "2"], ["b", "LOADED", "3", "3"]]) != nil)
    #expect(check([["a", "LOADED", "2", "2"], ["b", "PARTIALLY_LOADED", "3", "3"]]) != nil)
    #expect(check([["Copy executed with 0 files processed."]]) != nil)
  }

  @Test func aBadRowIsNamedWithFileLineAndColumn() throws {
    let server = ServerError(
      number: "100038", sqlState: "22018", queryID: "01b",
      message: """
        Numeric value 'abc' is not recognized
          File 'nebula/p/T/f1.csv.gz', line 3, character 10
          Row 2, column "T"["A":1]
        """)
    let table = StagedTable(
      table: name("T"), layout: .documents, compression: .zstd, folder: "nebula/p/T",
      files: [StagedFile(name: "0000000001-0000000002-000003.json.zst", rows: 1, bytes: 1, sha256: "")])
    let statement = CopyStatement.all(for: table, stage: name("S"), options: try CopyOptions([:]), limit: 9)[0]
    let error = try #require(CopyResult.rejection(server, of: statement, table: name("T")))
    #expect(error.remedy.contains("REMOVE @\"RAW\".\"SHOP\".\"S\"/nebula/p/T/0000000001-0000000002- and"))
    #expect(error.code == .copyRejected && error.place?.path == "nebula/p/T/f1.csv.gz")
    #expect(error.place?.line == 3 && error.place?.column == 10 && error.message.contains("Numeric value 'abc'"))
    #expect(error.native == "code 100038, SQLSTATE 22018, query 01b")
    #expect(
      CopyResult.rejection(
        ServerError(number: "000604", sqlState: "57014", message: "canceled"), of: statement, table: name("T")) == nil)
  }

  private func fence(_ schema: String, _ pipeline: String = "it's") -> Fence {
    Fence(pipeline: pipeline, writer: "w", database: Identifier(exactly: "D"), schema: Identifier(exactly: schema))
  }

  @Test func fenceAndLedger() throws {
    let fence = fence("S")
    let hash = "24CEEF1CB6B0CBC0"
    #expect(fence.table.sql == "\"D\".\"S\".\"NEBULA_FENCE_\(hash)\"")
    #expect(
      fence.advance(to: .at(3, 9), 4)
        == "UPDATE \"D\".\"S\".\"NEBULA_FENCE_\(hash)\" SET \"LAST_EPOCH\" = '0000000003-0000000009' WHERE "
        + "\"PIPELINE\" = 'it''s' AND \"GENERATION\" = 4 AND \"WRITER\" = 'w'")
    // A transaction is of this pipeline with this fence: the same name elsewhere is somebody else's.
    let name = fence.transaction(4, .at(3, 9))
    #expect(name.wholeMatch(of: /NEBULA_[0-9A-F]{16}_4_3_9/) != nil && !name.contains(hash))
    #expect(fence.mayEnd(transaction: name.lowercased(), as: 4))
    #expect(fence.mayEnd(transaction: fence.transaction(3, "OPEN"), as: 4))
    #expect(!fence.mayEnd(transaction: fence.transaction(5, .at(3, 9)), as: 4))
    #expect(!fence.mayEnd(transaction: self.fence("DEV").transaction(1, .at(1, 1)), as: 4))
    #expect(!fence.mayEnd(transaction: self.fence("S", "another").transaction(1, .at(1, 1)), as: 4))
    #expect(self.fence("S").transaction(4, .at(3, 9)) == name)
    let ledger = Ledger(database: Identifier(exactly: "D"), schema: Identifier(exactly: "S"))
    let columns = ["EPOCH", "RECEIPT"]
    #expect(try ledger.answer(QueryResult(columns: columns, rows: []), about: .at(1, 1)) == nil)
    let found = QueryResult(columns: columns, rows: [["0000000001-0000000002", "{}"]])
    #expect(try ledger.answer(found, about: .at(1, 2)) == "{}")
    let error = #expect(throws: NebulaError.self) { try ledger.answer(found, about: .at(1, 1)) }
    #expect(error?.code == .chainBroken)
  }
}
