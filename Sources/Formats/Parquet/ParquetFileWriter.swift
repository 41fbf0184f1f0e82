public import NebulaCore

/// Writes one Parquet file, whose bytes come out as its row groups are complete. It has one owner at a time.
///
///     let file = try ParquetFileWriter(schema: [ParquetField("id", .int64), ParquetField("name", .string)])
///     try file.column(0).append(int64: 7)
///     try file.column(1).append(bytes: text)
///     try file.endRow()                      // or file.undoRow(), when a value did not fit
///     file.drain(into: output)               // now and then
///     try file.finish(into: output)
///
/// What it holds is what a row group may have, at most: the open pages as they are, the others compressed.
public final class ParquetFileWriter {
  /// The fields.
  public let fields: [ParquetField]
  /// Rows that were ended.
  public private(set) var rows = 0
  let schema: ParquetSchema
  let columns: [ParquetColumn]
  @usableFromInline let flat: [ParquetColumn]
  private let pages: ParquetOpenPages
  private let chunks: [ParquetChunk]
  private let codec: ParquetCodec
  private let work: ParquetWorkshop
  private let rowGroupBytes: Int
  private let pageBytes: Int
  private let metadata: [(key: String, value: String)]
  private let footer = ParquetFooter()
  private var finished = [OutputBuffer]()
  /// How many bytes there are before what is still held.
  private var position = 0
  private var rowsInGroup = 0
  /// What the row group has in the pages that are closed: as they come into the file, and as memory.
  private var closedBytes = 0
  private var closedMemory = 0
  private var openBytes = 0
  private var isFinished = false

  /// Starts a file.
  ///
  /// - Parameters:
  ///   - level: The codec's; without one its default.
  ///   - rowGroupBytes: A row group ends when so much is held for it.
  ///   - pageBytes: A page ends when it has so much, before compression.
  ///   - metadata: Texts for who reads the file, by their names.
  public convenience init(
    schema: [ParquetField], codec: ParquetCodec = .snappy, level: Int? = nil, rowGroupBytes: Int = 64 << 20,
    pageBytes: Int = 1 << 20, metadata: [(key: String, value: String)] = []
  ) throws(NebulaError) {
    try self.init(
      schema, codec, level: level, rowGroupBytes: rowGroupBytes, pageBytes: pageBytes, metadata: metadata,
      limits: ParquetLimits())
  }

  init(
    _ fields: [ParquetField], _ codec: ParquetCodec, level: Int?, rowGroupBytes: Int, pageBytes: Int,
    metadata: [(key: String, value: String)], limits: ParquetLimits
  ) throws(NebulaError) {
    self.fields = fields
    self.codec = codec
    self.metadata = metadata
    self.rowGroupBytes = rowGroupBytes
    self.pageBytes = min(pageBytes, limits.page / 2)
    let schema = try ParquetSchema(fields)
    self.schema = schema
    let pages = ParquetOpenPages(schema.leaves)
    self.pages = pages
    let columns = schema.leaves.enumerated().map { ParquetColumn($1, $0, of: pages) }
    self.columns = columns
    flat = schema.nodes.map { columns[$0.leaves.lowerBound] }
    chunks = columns.map { ParquetChunk($0) }
    work = ParquetWorkshop(try ParquetCompression(codec, level: level), limits)
    emit([ParquetFooter.magic()])
  }

  /// The column of field `index`, which must be no struct or list: those are filled by a `ParquetShredder` or a
  /// `ParquetWalker`.
  @inlinable public func column(_ index: Int) -> ParquetColumn { flat[index] }

  /// How large the file would be if it ended now, roughly: what is not compressed yet counts as it is.
  public var estimatedBytes: Int { position + closedBytes + openBytes }
  /// How much memory its content takes, roughly.
  public var heldBytes: Int { finished.reduce(closedMemory + openBytes) { $0 + $1.count } }

  /// Ends a row, for which every column must have got one value. When one has not, or has got more than Parquet can
  /// say, the row is taken back.
  public func endRow() throws(NebulaError) {
    do { try checkRow() } catch {
      undoRow()
      throw error
    }
    var (open, isFull) = (0, false)
    for index in pages.all.indices {
      pages.all[index].setMark()
      let page = pages.all[index]
      open += page.held
      if page.used >= pageBytes || page.entries >= work.limits.entries { isFull = true }
    }
    rows += 1
    rowsInGroup += 1
    openBytes = open
    if isFull { try closeFullPages() }
    if closedMemory + openBytes >= rowGroupBytes { try endRowGroup() }
  }

  private func checkRow() throws(NebulaError) {
    guard !isFinished else { throw ParquetFooter.rowError("The file is finished.") }
    for index in pages.all.indices {
      let page = pages.all[index]
      if page.rows != page.mark.rows + 1 {
        throw ParquetFooter.rowError(
          "Column `\(columns[index].leaf.description)` got \(page.rows - page.mark.rows) values in a row.")
      }
      if page.held > work.limits.page { throw columns[index].tooLarge("a row of \(page.used - page.mark.used) bytes") }
    }
  }

  /// Takes back everything since the last end of a row.
  public func undoRow() { for column in columns { column.returnToMark() } }

  private func closeFullPages() throws(NebulaError) {
    for chunk in chunks {
      let page = chunk.column.page.pointee
      guard page.used >= pageBytes || page.entries >= work.limits.entries else { continue }
      openBytes -= page.held
      closedBytes -= chunk.fileBytes
      closedMemory -= chunk.held
      try chunk.closePage(work)
      closedBytes += chunk.fileBytes
      closedMemory += chunk.held
    }
  }

  private func endRowGroup() throws(NebulaError) {
    let start = position
    var size = 0
    var group = footer.beginGroup(columns: chunks.count)
    for chunk in chunks {
      try chunk.closePage(work)
      let (parts, uncompressed) = try chunk.end(work, codec, at: position, &group)
      size += uncompressed
      emit(parts)
    }
    footer.endGroup(&group, rows: rowsInGroup, size: size, packed: position - start, at: start)
    (rowsInGroup, closedBytes, closedMemory, openBytes) = (0, 0, 0, 0)
  }

  private func emit(_ parts: [OutputBuffer]) {
    for part in parts {
      position += part.count
      finished.append(part)
    }
  }

  /// Appends the bytes that are complete, and holds them no more.
  public func drain(into output: OutputBuffer) { drain { output.append($0) } }

  /// Lends the bytes that are complete piece by piece, and holds each no more when it was taken: who passes them on at
  /// once needs no room for a whole row group. The piece whose taking throws is lent again.
  public func drain<E: Error>(_ take: (UnsafeRawBufferPointer) throws(E) -> Void) throws(E) {
    finished.reverse()
    defer { finished.reverse() }
    while let part = finished.last {
      try part.withBytes { (bytes) throws(E) in try take(bytes) }
      finished.removeLast()
    }
  }

  /// Ends the file and appends what is left of it. A row that was begun must be ended or undone before.
  public func finish(into output: OutputBuffer) throws(NebulaError) {
    guard !isFinished else { throw ParquetFooter.rowError("The file is finished.") }
    if let index = pages.all.firstIndex(where: { $0.entries != $0.mark.entries }) {
      throw ParquetFooter.rowError(
        "The file ends in the middle of a row: `\(columns[index].leaf.description)` has a value.")
    }
    if rowsInGroup > 0 { try endRowGroup() }
    emit([try footer.end(schema, rows: rows, metadata: metadata)])
    isFinished = true
    drain(into: output)
  }
}
