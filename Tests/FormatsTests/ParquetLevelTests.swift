import NebulaCore
import Testing

@testable import NebulaFormats

@Suite("Parquet levels")
struct ParquetLevelTests {
  static func type(_ fields: (String, ParquetType)...) -> ParquetType {
    .structure(fields.map { ParquetField($0.0, $0.1) })
  }
  static let integer = ParquetType.primitive(.int64)

  /// The levels of each column before its page is written: `repetition definition`, an entry each.
  static func levels(_ type: ParquetType, _ rows: [String]) throws -> [[String]] {
    let file = try ParquetFileWriter(schema: [ParquetField("v", type)])
    let shredder = ParquetShredder(file)
    for row in rows { try shred("{\"v\":\(row)}", shredder) }
    return file.columns.map { column in
      let repetitions = column.leaf.repetition > 0 ? column.repetitions.array : [UInt8](repeating: 0, count: 99)
      return zip(repetitions, column.definitions.array).map { "\($0) \($1)" }
    }
  }
  static func shred(_ text: String, _ shredder: ParquetShredder) throws {
    try Array(text.utf8).withUnsafeBytes { try shredder.appendRow($0) }
  }

  @Test func ofAList() throws {
    let rows = ["null", "[]", "[null]", "[1]", "[1,null,2]"]
    #expect(
      try Self.levels(.list(Self.integer), rows) == [["0 0", "0 1", "0 2", "0 3", "0 3", "1 2", "1 3"]])
  }

  @Test func ofListsInLists() throws {
    let rows = ["null", "[]", "[null]", "[[]]", "[[null]]", "[[1,2],[3],[],null,[4]]"]
    #expect(
      try Self.levels(.list(.list(Self.integer)), rows) == [
        ["0 0", "0 1", "0 2", "0 3", "0 4", "0 5", "2 5", "1 5", "1 3", "1 2", "1 5"]
      ])
  }

  @Test func ofStructs() throws {
    let type = Self.type(("a", Self.integer), ("b", Self.type(("c", Self.integer))))
    let rows = ["null", "{}", "{\"a\":1}", "{\"b\":{}}", "{\"b\":{\"c\":1}}"]
    #expect(
      try Self.levels(type, rows) == [
        ["0 0", "0 1", "0 2", "0 1", "0 1"], ["0 0", "0 1", "0 1", "0 2", "0 3"],
      ])
  }

  /// The example of the paper "Dremel: Interactive Analysis of Web-Scale Datasets" (2010), all of it optional.
  @Test func ofTheDremelPaper() throws {
    let type = Self.type(
      ("DocId", Self.integer),
      ("Links", Self.type(("Backward", .list(Self.integer)), ("Forward", .list(Self.integer)))),
      (
        "Name",
        .list(
          Self.type(
            (
              "Language",
              .list(Self.type(("Code", .primitive(.string)), ("Country", .primitive(.string))))
            ), ("Url", .primitive(.string))))
      ))
    let rows = [
      """
      {"DocId":10,"Links":{"Forward":[20,40,60]},"Name":[
       {"Language":[{"Code":"en-us","Country":"us"},{"Code":"en"}],"Url":"http://A"},{"Url":"http://B"},
       {"Language":[{"Code":"en-gb","Country":"gb"}]}]}
      """,
      """
      {"DocId":20,"Links":{"Backward":[10,30],"Forward":[80]},"Name":[{"Url":"http://C"}]}
      """,
    ]
    let levels = try Self.levels(type, rows)
    #expect(levels[0] == ["0 2", "0 2"])
    #expect(levels[1] == ["0 2", "0 5", "1 5"])
    #expect(levels[2] == ["0 5", "1 5", "1 5", "0 5"])
    #expect(levels[3] == ["0 8", "2 8", "1 4", "1 8", "0 4"])
    #expect(levels[4] == ["0 8", "2 7", "1 4", "1 8", "0 4"])
    #expect(levels[5] == ["0 5", "1 5", "1 4", "0 5"])
  }

  @Test func aRefusedDocumentLeavesNothing() throws {
    let type = Self.type(
      ("a", .list(Self.integer)), ("b", .list(Self.type(("c", Self.integer), ("d", .primitive(.string))))))
    let fields = [ParquetField("v", type), ParquetField("n", .int64)]
    let good = ["{\"v\":{\"a\":[1,null],\"b\":[{\"c\":1,\"d\":\"x\"},null]},\"n\":7}", "{}", "{\"v\":{\"a\":[]}}"]
    let bad = [
      "{\"n\":7,\"v\":{\"a\":[1,2,\"x\"]}}", "{\"v\":{\"a\":[1],\"b\":[{\"c\":1,\"d\":\"x\"},{\"d\":1}]}}",
      "{\"v\":{\"a\":[1,2],\"b\":null},\"n\":\"x\"}", "{\"v\":{\"a\":[1,2],\"b\":[{\"e\":1}]}}", "[]", "{",
    ]
    let (clean, tried) = (try ParquetFileWriter(schema: fields), try ParquetFileWriter(schema: fields))
    let (cleanly, trying) = (ParquetShredder(clean), ParquetShredder(tried))
    for turn in 0..<200 {
      try Self.shred(good[turn % 3], cleanly)
      for text in bad {
        let error = #expect(throws: NebulaError.self) { try Self.shred(text, trying) }
        #expect(error?.disposition == .reject)
      }
      try Self.shred(good[turn % 3], trying)
    }
    let (a, b) = (OutputBuffer(), OutputBuffer())
    try clean.finish(into: a)
    try tried.finish(into: b)
    #expect(a.array == b.array && tried.rows == 200)
  }

  @Test func someFieldsAreShreddedAndOthersAppended() throws {
    let fields = [ParquetField("seq", .int64), ParquetField("a", .int64), ParquetField("b", .list(Self.integer))]
    let file = try ParquetFileWriter(schema: fields)
    let shredder = ParquetShredder(file, fields: 1..<3)
    try file.column(0).append(int64: 1)
    try Array("{\"b\":[1],\"a\":2}".utf8).withUnsafeBytes { try shredder.append(validated: $0) }
    try file.endRow()
    try file.column(0).append(int64: 2)
    try Array(" 5 ".utf8).withUnsafeBytes { try shredder.append(validated: $0, toField: 0) }
    try Array("[]".utf8).withUnsafeBytes { try shredder.append(validated: $0, toField: 1) }
    try file.endRow()
    #expect(file.rows == 2 && file.columns[2].definitions.array == [3, 1])
    #expect(throws: NebulaError.self) {
      try Array("{\"seq\":1}".utf8).withUnsafeBytes { try shredder.append(validated: $0) }
    }
  }

  @Test func theWalkerRefusesWhatDoesNotComeThere() throws {
    let file = try ParquetFileWriter(schema: [ParquetField("v", .list(Self.type(("a", Self.integer))))])
    let wrong: [(inout ParquetWalker) throws -> Void] = [
      { try $0.beginStruct() }, { _ = try $0.column() }, { try $0.endList() }, { try $0.endStruct() },
      { walker in
        try walker.null()
        try walker.null()
      },
      { walker in
        try walker.beginList()
        try walker.beginList()
      },
      { walker in
        try walker.beginList()
        try walker.beginStruct()
        try walker.null()
        try walker.null()
      },
      { walker in
        try walker.beginList()
        try walker.endStruct()
      },
    ]
    for step in wrong {
      var walker = file.walker(0)
      let error = #expect(throws: NebulaError.self) { try step(&walker) }
      #expect(error?.code == .parquetRow)
      file.undoRow()
    }
    var walker = file.walker(0)
    try walker.beginList()
    try walker.beginStruct()
    try walker.column().append(int64: 1)
    try walker.endStruct()
    try walker.null()
    try walker.beginStruct()
    try walker.endStruct()
    try walker.endList()
    try file.endRow()
    #expect(file.columns[0].definitions.array == [4, 2, 3] && file.columns[0].repetitions.array == [0, 1, 1])
  }
}
