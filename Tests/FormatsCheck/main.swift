// The door through which the referees (Tests/RefereeTests/test_formats.py, test_bson_json.py) drive NebulaFormats.
//
//     nebula-formats-check MODE [ARGUMENT…]
//
// Reads frames (32-bit little-endian length, bytes) from standard input, answers each with a frame whose first byte
// is 0 (fine) or 1 (an error, whose description follows).
import Glibc
import NebulaCore
import NebulaFormats

func readExactly(_ count: Int) -> [UInt8]? {
  var bytes = [UInt8](repeating: 0, count: count)
  var got = 0
  while got < count {
    let more = bytes.withUnsafeMutableBytes { read(0, $0.baseAddress?.advanced(by: got), count - got) }
    guard more > 0 else { return nil }
    got += more
  }
  return bytes
}

func readFrame() -> [UInt8]? {
  guard let head = readExactly(4) else { return nil }
  let length = head.enumerated().reduce(0) { $0 | Int($1.element) << ($1.offset * 8) }
  return readExactly(length)
}

func flush(_ answers: OutputBuffer) {
  answers.withBytes { bytes in
    var at = 0
    while at < bytes.count {
      let written = write(1, bytes.baseAddress?.advanced(by: at), bytes.count - at)
      if written <= 0 { exit(3) }
      at += written
    }
  }
  answers.removeAll()
}

func answer(_ status: UInt8, _ output: OutputBuffer, _ answers: OutputBuffer) {
  let length = UInt32(output.count + 1)
  answers.append((0..<4).map { UInt8(truncatingIfNeeded: length >> ($0 * 8)) } + [status])
  answers.append(output)
  if answers.count > 1 << 20 { flush(answers) }
}

func number(_ index: Int) -> Int {
  guard CommandLine.arguments.count > index, let number = Int(CommandLine.arguments[index]) else {
    fatalError("argument \(index) must be a number")
  }
  return number
}

/// What a mode does with one frame.
typealias Work = (UnsafeRawBufferPointer, OutputBuffer) throws -> Void

func appendRow(_ row: UnsafeRawBufferPointer, _ dialect: CSVDialect, _ output: OutputBuffer) {
  var fields = CSVFields(row, dialect: dialect)
  var first = true
  let content = OutputBuffer()
  output.append("[")
  while let field = fields.next() {
    if !first { output.append(",") }
    first = false
    content.removeAll()
    CSVText.unquote(UnsafeRawBufferPointer(rebasing: row[field.range]), dialect: dialect, into: content)
    if !field.needsUnquoting {
      content.removeAll()
      content.append(UnsafeRawBufferPointer(rebasing: row[field.range]))
    }
    content.withBytes { JSONText.appendString($0, to: output) }
  }
  if let problem = fields.problem { output.append(utf8: "\(first ? "" : ","){\"problem\":\(problem.offset)}") }
  output.append("]\n")
}

/// Rows of a CSV that comes in pieces of `piece` bytes, through a buffer that is compacted as it is used up.
func readCSV(_ bytes: UnsafeRawBufferPointer, _ dialect: CSVDialect, piece: Int, _ output: OutputBuffer) {
  var scanner = CSVRowScanner(dialect)
  let buffer = OutputBuffer()
  for start in stride(from: 0, to: bytes.count, by: piece) {
    buffer.append(UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + piece, bytes.count)]))
    buffer.withBytes { window in
      while let row = scanner.next(in: window) {
        appendRow(UnsafeRawBufferPointer(rebasing: window[row]), dialect, output)
      }
    }
    let consumed = scanner.consumed
    buffer.removeFirst(consumed)
    scanner.discard(consumed)
  }
  buffer.withBytes { window in
    guard let row = scanner.finish(in: window) else { return }
    appendRow(UnsafeRawBufferPointer(rebasing: window[row]), dialect, output)
  }
}

/// A frame of fields (each 32-bit length, bytes) as one CSV row.
func writeCSV(_ bytes: UnsafeRawBufferPointer, _ dialect: CSVDialect, _ output: OutputBuffer) {
  var at = 0
  while at < bytes.count {
    let length = Int(bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self))
    if at > 0 { output.append(dialect.delimiter) }
    let field = UnsafeRawBufferPointer(rebasing: bytes[at + 4..<at + 4 + length])
    CSVText.appendField(field, dialect: dialect, to: output)
    at += 4 + length
  }
  CSVText.endRow(from: 0, dialect: dialect, in: output, with: "\r\n")
}

func readLines(_ bytes: UnsafeRawBufferPointer, piece: Int, _ output: OutputBuffer) {
  var splitter = LineSplitter()
  let buffer = OutputBuffer()
  func put(_ window: UnsafeRawBufferPointer, _ line: Range<Int>) {
    JSONText.appendString(UnsafeRawBufferPointer(rebasing: window[line]), to: output)
    output.append("\n")
  }
  for start in stride(from: 0, to: bytes.count, by: piece) {
    buffer.append(UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + piece, bytes.count)]))
    buffer.withBytes { window in
      while let line = splitter.next(in: window) { put(window, line) }
    }
    let consumed = splitter.consumed
    buffer.removeFirst(consumed)
    splitter.discard(consumed)
  }
  buffer.withBytes { window in
    if let line = splitter.finish(in: window) { put(window, line) }
  }
}

func decompress(_ codec: Codec, piece: Int, limit: Int) -> Work {
  { bytes, output in
    let decompressor = Decompressor(codec)
    for start in stride(from: 0, to: bytes.count, by: piece) {
      var rest = UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + piece, bytes.count)])
      repeat {
        let taken = try decompressor.write(rest, into: output, limit: limit)
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(taken))
      } while !rest.isEmpty || decompressor.hasMore
    }
    try decompressor.finish()
  }
}

/// The top-level members of an object, one a line: key, a tab, the value's text.
func members(_ bytes: UnsafeRawBufferPointer, _ output: OutputBuffer) throws {
  if let problem = JSONText.validate(bytes) { throw problem.error() }
  guard var reader = JSONObjectReader(bytes) else { throw JSONProblem(offset: 0, reason: "no object").error() }
  while let member = reader.next() {
    JSONText.appendString(JSONObjectReader.unescape(UnsafeRawBufferPointer(rebasing: bytes[member.key])), to: output)
    output.append("\t")
    output.append(UnsafeRawBufferPointer(rebasing: bytes[member.value]))
    output.append("\n")
  }
}

func work() throws -> Work {
  let arguments = CommandLine.arguments
  guard arguments.count > 1 else { fatalError("usage: nebula-formats-check MODE [ARGUMENT…]") }
  switch arguments[1] {
  case "bson":
    let writer = BSONToJSON(BSONJSONMode(rawValue: arguments[2]) ?? .plain)
    return { try writer.append(document: $0, to: $1) }
  case "bson-validate": return { bytes, _ in if let problem = BSON.validate(bytes) { throw problem.error() } }
  case "json-validate": return { bytes, _ in if let problem = JSONText.validate(bytes) { throw problem.error() } }
  case "json-members": return members
  case "json-string": return { JSONText.appendString($0, to: $1) }
  case "lines":
    let piece = number(2)
    return { readLines($0, piece: piece, $1) }
  case "csv-read":
    let dialect = CSVDialect(delimiter: UInt8(number(2)), quote: UInt8(number(3)))
    let piece = number(4)
    return { readCSV($0, dialect, piece: piece, $1) }
  case "csv-write":
    let dialect = CSVDialect(delimiter: UInt8(number(2)), quote: UInt8(number(3)))
    return { writeCSV($0, dialect, $1) }
  case "flat-csv":
    var encoder = FlatJSONToCSV(columns: arguments[2].split(separator: ",").map(String.init), nullMarker: "\\N")
    return { try encoder.append($0, to: $1) }
  case "compress":
    let compressor = try Compressor(Codec(rawValue: arguments[2]) ?? .none, level: number(3))
    return { bytes, output in
      try compressor.write(bytes, into: output)
      try compressor.finish(into: output)
    }
  case "decompress": return decompress(Codec(rawValue: arguments[2]) ?? .none, piece: number(3), limit: number(4))
  case "parquet-cells": return writeParquetCells
  case "parquet-objects": return { try shredParquet($0, $1, isBSON: false) }
  case "parquet-bson": return { try shredParquet($0, $1, isBSON: true) }
  case "parquet-walk": return walkParquet
  case "parquet-infer": return inferParquet
  default: fatalError("no mode \(arguments[1])")
  }
}

do {
  if CommandLine.arguments.count == 4, CommandLine.arguments[1] == "parquet-speed" {
    let codec = ParquetCodec(rawValue: CommandLine.arguments[3]) ?? .snappy
    try parquetSpeed(rows: number(2), codec: codec)
    try parquetObjectSpeed(rows: number(2) / 10, codec: codec)
    exit(0)
  }
  let work = try work()
  let output = OutputBuffer()
  let answers = OutputBuffer(capacity: 1 << 20)
  while let frame = readFrame() {
    output.removeAll()
    do {
      try frame.withUnsafeBytes { try work($0, output) }
      answer(0, output, answers)
    } catch {
      output.removeAll()
      output.append(utf8: "\(error)")
      answer(1, output, answers)
    }
  }
  flush(answers)
} catch {
  print(error)
  exit(2)
}
