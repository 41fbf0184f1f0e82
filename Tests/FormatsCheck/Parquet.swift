// Parquet files from a description and rows, for Tests/RefereeTests/test_parquet.py.
//
// A frame is lines of JSON. The first describes the file:
//     {"fields":[{"name":"a","type":"int64"}, …],"codec":"snappy","level":1,"row_group_bytes":…,"page_bytes":…}
// Then a row a line. "cells": an array with a value for each field, as `cell` reads them; `{"undo":[…]}` is one that is
// taken back. "objects" and "walk": an object. "infer" has objects alone.
import Glibc
import NebulaCore
import NebulaFormats

/// JSON as far as the descriptions need it.
indirect enum JSON {
  case null
  case boolean(Bool)
  case number(String)
  case string(String)
  case array([JSON])
  case object([(String, JSON)])

  init(_ bytes: UnsafeRawBufferPointer) {
    let text = String(decoding: bytes, as: UTF8.self)
    if var reader = JSONObjectReader(bytes) {
      var members = [(String, JSON)]()
      while let member = reader.next() {
        members.append(
          (
            JSONObjectReader.unescape(UnsafeRawBufferPointer(rebasing: bytes[member.key])),
            JSON(UnsafeRawBufferPointer(rebasing: bytes[member.value]))
          ))
      }
      self = .object(members)
    } else if var reader = JSONArrayReader(bytes) {
      var elements = [JSON]()
      while let element = reader.next() {
        elements.append(JSON(UnsafeRawBufferPointer(rebasing: bytes[element.value])))
      }
      self = .array(elements)
    } else if text.hasPrefix("\"") {
      self = .string(JSONObjectReader.unescape(UnsafeRawBufferPointer(rebasing: bytes[1..<bytes.count - 1])))
    } else {
      self = text == "null" ? .null : text == "true" || text == "false" ? .boolean(text == "true") : .number(text)
    }
  }
  subscript(_ name: String) -> JSON? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.0 == name }?.1
  }
  var text: String? {
    switch self {
    case .number(let text), .string(let text): text
    default: nil
    }
  }
  var number: Int? { text.flatMap(Int.init) }
  var elements: [JSON] {
    guard case .array(let elements) = self else { return [] }
    return elements
  }
}

func parquetType(_ type: JSON) -> ParquetType {
  if let element = type["element"] { return .list(parquetType(element)) }
  if let fields = type["fields"] { return .structure(parquetFields(fields)) }
  let words = (type["type"]?.text ?? "").split { "(,) ".contains($0) }.map(String.init)
  switch words.first {
  case "boolean": return .primitive(.boolean)
  case "int32": return .primitive(.int32)
  case "int64": return .primitive(.int64)
  case "double": return .primitive(.double)
  case "string": return .primitive(.string)
  case "json": return .primitive(.json(isAnnotated: true))
  case "json_text": return .primitive(.json(isAnnotated: false))
  case "binary": return .primitive(.binary)
  case "date": return .primitive(.date)
  case "timestamp":
    return .primitive(
      .timestamp(words.contains("nanos") ? .nanoseconds : .microseconds, isUTC: words.contains("utc")))
  case "decimal": return .primitive(.decimal(precision: Int(words[1]) ?? 0, scale: Int(words[2]) ?? 0))
  default: fatalError("no type \(type)")
  }
}
func parquetFields(_ fields: JSON) -> [ParquetField] {
  fields.elements.map { ParquetField($0["name"]?.text ?? "", parquetType($0)) }
}

/// A number for integers, dates and timestamps; the bits of a double; texts; binary as a list of numbers.
/// `{"text":…}` is read by the column itself.
func append(_ cell: JSON, to column: ParquetColumn) throws {
  switch (cell, column.type) {
  case (.null, _): column.appendNull()
  case (.boolean(let value), _): try column.append(boolean: value)
  case (.number(let text), .double): try column.append(double: Double(bitPattern: UInt64(text) ?? 0))
  case (.number(let text), _): try column.append(int64: Int64(text) ?? 0)
  case (.array(let bytes), _):
    try bytes.map { UInt8($0.number ?? 0) }.withUnsafeBytes { try column.append(bytes: $0) }
  case (.string(let text), .decimal): try Array(text.utf8).withUnsafeBytes { try column.append(decimalText: $0) }
  case (.string(let text), _): try Array(text.utf8).withUnsafeBytes { try column.append(bytes: $0) }
  case (.object, _):
    try Array((cell["text"]?.text ?? "").utf8).withUnsafeBytes { try column.append(text: $0) }
  }
}

func makeParquetWriter(_ description: JSON) throws -> ParquetFileWriter {
  var metadata = [(key: String, value: String)]()
  if case .object(let members)? = description["metadata"] { metadata = members.map { ($0.0, $0.1.text ?? "") } }
  return try ParquetFileWriter(
    schema: parquetFields(description["fields"] ?? .null),
    codec: ParquetCodec(rawValue: description["codec"]?.text ?? "snappy") ?? .snappy,
    level: description["level"]?.number, rowGroupBytes: description["row_group_bytes"]?.number ?? 64 << 20,
    pageBytes: description["page_bytes"]?.number ?? 1 << 20, metadata: metadata)
}

/// The lines of a frame, with the first as the description.
func parquetLines(_ bytes: UnsafeRawBufferPointer) -> (JSON, [UnsafeRawBufferPointer]) {
  let lines = bytes.split(separator: UInt8(ascii: "\n")).map { UnsafeRawBufferPointer(rebasing: $0) }
  return (JSON(lines[0]), Array(lines.dropFirst()))
}

func writeParquetCells(_ bytes: UnsafeRawBufferPointer, _ output: OutputBuffer) throws {
  let (description, lines) = parquetLines(bytes)
  let file = try makeParquetWriter(description)
  for (index, line) in lines.enumerated() {
    let row = JSON(line)
    let undone = row["undo"]
    for (column, cell) in (undone ?? row).elements.enumerated() { try append(cell, to: file.column(column)) }
    if undone == nil { try file.endRow() } else { file.undoRow() }
    if index % 1000 == 999 { file.drain(into: output) }
  }
  try file.finish(into: output)
}

/// Objects, or BSON documents one behind the other, are shredded. With `"skip_rejects":true` those that are refused are
/// left out, else the first ends it.
func shredParquet(_ bytes: UnsafeRawBufferPointer, _ output: OutputBuffer, isBSON: Bool) throws {
  let end = bytes.firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
  let description = JSON(UnsafeRawBufferPointer(rebasing: bytes[..<end]))
  let file = try makeParquetWriter(description)
  func isSet(_ name: String) -> Bool {
    guard case .boolean(true)? = description[name] else { return false }
    return true
  }
  let shredder = ParquetShredder(
    file, rules: .init(passesOverUnknown: isSet("passes_over_unknown"), roundsDoubles: isSet("rounds_doubles")))
  var rest = UnsafeRawBufferPointer(rebasing: bytes.dropFirst(end + 1))
  while !rest.isEmpty {
    let size =
      isBSON ? Int(rest.loadUnaligned(as: Int32.self)) : rest.firstIndex(of: UInt8(ascii: "\n")) ?? rest.count
    let document = UnsafeRawBufferPointer(rebasing: rest.prefix(size))
    rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(isBSON ? size : size + 1))
    do {
      if isBSON { try shredder.appendRow(bson: document) } else { try shredder.appendRow(document) }
    } catch {
      guard isSet("skip_rejects"), error.disposition == .reject else { throw error }
    }
    file.drain(into: output)
  }
  try file.finish(into: output)
}

/// The same objects through the walker.
func walkParquet(_ bytes: UnsafeRawBufferPointer, _ output: OutputBuffer) throws {
  let (description, lines) = parquetLines(bytes)
  let file = try makeParquetWriter(description)
  for line in lines {
    let object = JSON(line)
    for (index, field) in file.fields.enumerated() {
      var walker = file.walker(index)
      try walk(object[field.name] ?? .null, field.type, &walker)
    }
    try file.endRow()
  }
  try file.finish(into: output)
}
func walk(_ value: JSON, _ type: ParquetType, _ walker: inout ParquetWalker) throws {
  if case .null = value { return try walker.null() }
  switch type {
  case .primitive: try append(value, to: walker.column())
  case .structure(let fields):
    try walker.beginStruct()
    // The last fields are left out when they are null.
    let last = fields.lastIndex { if case .null = value[$0.name] ?? .null { false } else { true } } ?? -1
    for field in fields.prefix(last + 1) { try walk(value[field.name] ?? .null, field.type, &walker) }
    try walker.endStruct()
  case .list(let element):
    try walker.beginList()
    for next in value.elements { try walk(next, element, &walker) }
    try walker.endList()
  }
}

/// The fields that are inferred from lines of objects, as the descriptions have them.
func inferParquet(_ bytes: UnsafeRawBufferPointer, _ output: OutputBuffer) throws {
  let inference = ParquetInference()
  for line in bytes.split(separator: UInt8(ascii: "\n")) {
    let object = UnsafeRawBufferPointer(rebasing: line)
    if let problem = JSONText.validate(object) { throw problem.error() }
    try inference.observe(validated: object)
  }
  describe(inference.fields, output)
}
func describe(_ fields: [ParquetField], _ output: OutputBuffer) {
  output.append("[")
  for (index, field) in fields.enumerated() {
    output.append(utf8: index > 0 ? ",{\"name\":" : "{\"name\":")
    JSONText.appendString(field.name, to: output)
    output.append(",")
    describe(field.type, output)
    output.append("}")
  }
  output.append("]")
}
func describe(_ type: ParquetType, _ output: OutputBuffer) {
  switch type {
  case .primitive(.json): output.append("\"type\":\"json_text\"")
  case .primitive(let primitive): output.append(utf8: "\"type\":\"\(primitive)\"")
  case .structure(let fields):
    output.append("\"fields\":")
    describe(fields, output)
  case .list(let element):
    output.append("\"element\":{")
    describe(element, output)
    output.append("}")
  }
}

/// How fast five narrow columns are written:  nebula-formats-check parquet-speed ROWS CODEC
///
/// An ascending id, a time, a text of 16 characters that is never the same, one of eight, and a double: made before the
/// clock starts, 65,536 rows of them, which are written again and again. Rounds are shown each.
func parquetSpeed(rows: Int, codec: ParquetCodec) throws {
  let pool = 1 << 16
  var state: UInt64 = 1
  func random() -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return state >> 16
  }
  let texts = (0..<pool).flatMap { _ in (0..<16).map { _ in UInt8(97 + random() % 26) } }
  let kinds = (0..<8).map { Array("status \($0)".utf8) }
  let kind = (0..<pool).map { _ in Int(random() % 8) }
  let doubles = (0..<pool).map { _ in Double(random() % 1_000_000) / 100 }
  let fields = [
    ParquetField("id", .int64), ParquetField("at", .timestamp(.microseconds, isUTC: true)),
    ParquetField("name", .string), ParquetField("status", .string), ParquetField("amount", .double),
  ]
  for _ in 0..<5 {
    let start = cpuSeconds()
    let output = OutputBuffer(capacity: 1 << 20)
    let file = try ParquetFileWriter(schema: fields, codec: codec)
    let columns = fields.indices.map { file.column($0) }
    var size = 0
    try texts.withUnsafeBytes { texts in
      for row in 0..<rows {
        let at = row & (pool - 1)
        try columns[0].append(int64: Int64(row))
        try columns[1].append(int64: 1_700_000_000_000_000 + Int64(row) * 1000)
        try columns[2].append(bytes: UnsafeRawBufferPointer(rebasing: texts[at * 16..<at * 16 + 16]))
        try kinds[kind[at]].withUnsafeBytes { try columns[3].append(bytes: $0) }
        try columns[4].append(double: doubles[at])
        try file.endRow()
        if row & 0xFFFF == 0 {
          file.drain(into: output)
          size += output.count
          output.removeAll()
        }
      }
    }
    try file.finish(into: output)
    size += output.count
    let seconds = cpuSeconds() - start
    print("\(codec.rawValue): \(Int(Double(rows) / seconds)) rows per CPU second, \(size / rows) bytes a row")
  }
}

/// The same of JSON objects of about 500 bytes with a struct and a list of structs, whose columns are inferred.
func parquetObjectSpeed(rows: Int, codec: ParquetCodec) throws {
  let inference = ParquetInference()
  let objects = try (0..<1000).map { index -> [UInt8] in
    let items = (0..<index % 5).map {
      "{\"sku\":\"sku-\(index * 7 + $0)\",\"quantity\":\($0 + 1),\"price\":\(index % 90).5}"
    }
    let object = Array(
      """
      {"_id":"\(65_000_000 + index)","customer":{"name":"customer \(index * 31)","email":"c\(index)@example.com","vip":\(index % 2 == 0)},
      "items":[\(items.joined(separator: ","))],"total":\(index).25,"status":"status \(index % 8)","created":"2024-05-06T07:08:09.\(100 + index % 900)Z",
      "note":"\(String(repeating: "some words of text, ", count: 10))\(index)","tags":["a","b","tag \(index % 20)"]}
      """.replacing("\n", with: "").utf8)
    try object.withUnsafeBytes { try inference.observe(validated: $0) }
    return object
  }
  let size = objects.reduce(0) { $0 + $1.count } / objects.count
  for _ in 0..<3 {
    let start = cpuSeconds()
    let output = OutputBuffer(capacity: 1 << 20)
    let file = try ParquetFileWriter(schema: inference.fields, codec: codec)
    let shredder = ParquetShredder(file)
    for row in 0..<rows {
      try objects[row % objects.count].withUnsafeBytes { try shredder.appendRow($0) }
      output.removeAll()
      file.drain(into: output)
    }
    try file.finish(into: output)
    let seconds = cpuSeconds() - start
    print("objects of \(size) bytes, \(codec.rawValue): \(Int(Double(rows) / seconds)) rows per CPU second")
  }
}

func cpuSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}
