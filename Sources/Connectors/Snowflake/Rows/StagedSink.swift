internal import NebulaCore
internal import NebulaFormats

/// What a staged file's rows go into: a codec, or a Parquet file. One owner at a time.
protocol StagedSink: AnyObject {
  /// Takes whole rows; appends what is ready to `output`.
  func write(rows: UnsafeRawBufferPointer, into output: OutputBuffer) throws(NebulaError)
  /// Ends the file.
  func finish(into output: OutputBuffer) throws(NebulaError)
}

/// Rows that are compressed as they are.
final class CompressedSink: StagedSink {
  private let compressor: Compressor
  private let shelf: CompressorShelf

  init(_ shelf: CompressorShelf) throws(NebulaError) {
    self.shelf = shelf
    compressor = try shelf.take()
  }

  func write(rows: UnsafeRawBufferPointer, into output: OutputBuffer) throws(NebulaError) {
    try compressor.write(rows, into: output)
  }

  func finish(into output: OutputBuffer) throws(NebulaError) {
    try compressor.finish(into: output)
    shelf.giveBack(compressor)
  }
}

/// Rows as lines of JSON that become a Parquet file: numbers, booleans and texts as themselves, everything else (times,
/// JSON for VARIANT) as the text that COPY reads, so that nothing depends on how many ways a time can be written.
final class ParquetSink: StagedSink {
  private let file: ParquetFileWriter
  /// The table's columns that the file has, in their order, and how each is filled.
  private let columns: [LoadColumn]
  private let isJSON: [Bool]
  private let isNumber: [Bool]
  private let members: NameTable
  private let fields: NameTable
  private let fieldsMember = Array("fields".utf8)
  private let isNested: Bool
  private var isFilled: [Bool]
  private let scratch = OutputBuffer(capacity: 1024)

  /// A row group is complete long before a file is: readers split files by them.
  static let rowGroupBytes = 16 << 20

  init(_ layout: TableLayout, _ compression: Compression, level: Int?) throws(NebulaError) {
    columns = layout.columns.filter { $0.origin != .file && $0.origin != .fileRow }
    isJSON = columns.map(\.isSemiStructured)
    isNumber = columns.map { ["NUMBER", "FLOAT"].contains(DeclaredType.canonical($0.type).prefix { $0 != "(" }) }
    isFilled = columns.map { _ in false }
    isNested = layout.rows != .records
    file = try ParquetFileWriter(
      schema: columns.map { ParquetField($0.name.name, Self.type($0)) }, codec: compression.parquetCodec, level: level,
      rowGroupBytes: Self.rowGroupBytes)
    if isNested {
      members = NameTable(columns.map { $0.origin == .field ? nil : $0.origin.rawValue })
      fields = NameTable(columns.map { $0.origin == .field ? $0.name.name : nil })
    } else {
      members = NameTable(columns.map(\.name.name))
      fields = members
    }
  }

  /// How a column's values lie in the file.
  static func type(_ column: LoadColumn) -> ParquetPrimitive {
    if column.isSemiStructured { return .json(isAnnotated: false) }
    let type = DeclaredType.canonical(column.type)
    switch type.prefix(while: { $0 != "(" }) {
    case "NUMBER":
      let sizes = type.dropFirst(7).dropLast().split(separator: ",").compactMap { Int($0) }
      guard sizes.count == 2, (1...38).contains(sizes[0]), (0...sizes[0]).contains(sizes[1]) else { return .string }
      // The widest of its scale: whether a value fits is for the column to say.
      return .decimal(precision: 38, scale: sizes[1])
    case "BOOLEAN": return .boolean
    case "FLOAT": return .double
    default: return .string
    }
  }

  func write(rows: UnsafeRawBufferPointer, into output: OutputBuffer) throws(NebulaError) {
    var start = 0
    while start < rows.count {
      let rest = UnsafeRawBufferPointer(rebasing: rows[start...])
      let end = rest.firstIndex(of: 10) ?? rest.count
      try add(UnsafeRawBufferPointer(rebasing: rest[..<end]))
      start += end + 1
    }
    file.drain(into: output)
  }

  func finish(into output: OutputBuffer) throws(NebulaError) { try file.finish(into: output) }

  private func add(_ line: UnsafeRawBufferPointer) throws(NebulaError) {
    for index in isFilled.indices { isFilled[index] = false }
    do {
      try fill(line, members)
      for index in isFilled.indices where !isFilled[index] { file.column(index).appendNull() }
      try file.endRow()
    } catch {
      file.undoRow()
      throw error
    }
  }

  private func fill(_ object: UnsafeRawBufferPointer, _ names: NameTable) throws(NebulaError) {
    guard var reader = JSONObjectReader(object) else { throw RowEncoding.unreadable("A staged row is no JSON object") }
    while let member = reader.next() {
      let value = UnsafeRawBufferPointer(rebasing: object[member.value])
      let name = UnsafeRawBufferPointer(rebasing: object[member.key])
      if isNested, names === members, member.kind == .object, name.elementsEqual(fieldsMember) {
        try fill(value, fields)
        continue
      }
      var index = -1
      if member.keyIsEscaped {
        scratch.removeAll(keepingCapacity: true)
        JSONObjectReader.unescape(name, into: scratch)
        index = scratch.withBytes { names.column(of: $0) }
      } else {
        index = names.column(of: name)
      }
      guard index >= 0, member.kind != .null else { continue }
      guard !isFilled[index] else { throw Self.doubled(columns[index]) }
      isFilled[index] = true
      try put(value, member.kind, index)
    }
  }

  private func put(_ value: UnsafeRawBufferPointer, _ kind: JSONKind, _ index: Int) throws(NebulaError) {
    let column = file.column(index)
    guard !isJSON[index], kind == .string else {
      if case .primitive(.boolean) = file.fields[index].type { return try put(boolean: value, column) }
      return isJSON[index] ? try column.append(validated: value) : try column.append(text: value)
    }
    scratch.removeAll(keepingCapacity: true)
    JSONObjectReader.unescape(UnsafeRawBufferPointer(rebasing: value.dropFirst().dropLast()), into: scratch)
    try scratch.withBytes { (text) throws(NebulaError) in
      if case .primitive(.boolean) = file.fields[index].type { return try put(boolean: text, column) }
      try column.append(text: isNumber[index] ? Self.bare(text) : text)
    }
  }

  /// A number as COPY would read it from a text, in the form that Parquet's columns take.
  static func bare(_ number: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    func isBlank(_ byte: UInt8) -> Bool { byte == 32 || byte == 9 }
    var rest = number[...]
    while let first = rest.first, isBlank(first) { rest = rest.dropFirst() }
    while let last = rest.last, isBlank(last) { rest = rest.dropLast() }
    if rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
    return UnsafeRawBufferPointer(rebasing: rest)
  }

  /// All the words that Snowflake knows for true and false.
  private func put(boolean text: UnsafeRawBufferPointer, _ column: ParquetColumn) throws(NebulaError) {
    let word = String(decoding: text.prefix(5), as: UTF8.self).lowercased()
    switch word {
    case "true", "t", "yes", "y", "on", "1": try column.append(boolean: true)
    case "false", "f", "no", "n", "off", "0": try column.append(boolean: false)
    default: throw RowEncoding.unreadable("A boolean column has \(shortened(word))")
    }
  }

  private static func doubled(_ column: LoadColumn) -> NebulaError {
    NebulaError(
      .unreadableRecord, "A row has the column \(column.name.quoted) twice.", remedy: "Report the defect.")
  }
}

extension Compression {
  /// Inside Parquet.
  var parquetCodec: ParquetCodec {
    switch self {
    case .gzip: .gzip
    case .zstd: .zstd
    case .snappy: .snappy
    case .none: .none
    }
  }
}
