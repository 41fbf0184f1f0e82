internal import NebulaCore

/// A column's part of a row group: its pages, compressed, until the row group is complete.
final class ParquetChunk {
  let column: ParquetColumn
  /// The data pages. The dictionary's page comes before them, and can only be written last.
  private var pages = OutputBuffer(capacity: 64)
  private var dictionary: ParquetDictionary?
  private var takesDictionary: Bool
  private var statistics: ParquetStatistics
  private var plainPages: Int32 = 0
  private var dictionaryPages: Int32 = 0
  private var entries = 0
  private var nulls = 0
  /// With headers, without compression.
  private var size = 0

  init(_ column: ParquetColumn) {
    self.column = column
    takesDictionary = column.physical != .boolean
    statistics = ParquetStatistics(column.type)
  }

  /// What it will have in the file, roughly, without the open page.
  var fileBytes: Int { pages.count + (dictionary?.bytes.count ?? 0) }
  /// Memory that is held for it, without the open page.
  var held: Int { pages.count + (dictionary?.held ?? 0) }

  /// Writes the open page, if there is anything in it.
  func closePage(_ work: ParquetWorkshop) throws(NebulaError) {
    let page = column.page.pointee
    guard page.entries > 0 else { return }
    let present = page.entries - page.nulls
    work.startPage()
    if column.leaf.repetition > 0 {
      column.repetitions.withBytes { work.append(levels: $0, most: column.leaf.repetition) }
    }
    if page.hasLevels {
      column.definitions.withBytes { work.append(levels: $0, most: column.leaf.definition) }
    } else {
      work.append(ones: page.entries)
    }
    let isDictionary = encode(page.bytes, present, work)
    size += try work.page.withBytes { (bytes) throws(NebulaError) in
      try work.write(bytes, kind: 0, to: pages) { thrift in
        thrift.begin(5)
        thrift.i32(1, Int32(page.entries))
        thrift.i32(2, isDictionary ? Encoding.dictionary : Encoding.plain)
        thrift.i32(3, Encoding.hybrid)
        thrift.i32(4, Encoding.hybrid)
        thrift.end()
      }
    }
    if isDictionary { dictionaryPages += 1 } else { plainPages += 1 }
    entries += page.entries
    nulls += page.nulls
    column.startPage()
  }

  /// Appends the values to the page; true when by their indices.
  private func encode(_ values: UnsafeRawBufferPointer, _ count: Int, _ work: ParquetWorkshop) -> Bool {
    if count > 0, takesDictionary, encodeByIndex(values, count, work) { return true }
    statistics.add(values, count: count)
    if column.physical == .boolean { work.append(booleans: values) } else { work.page.append(values) }
    return false
  }

  private func encodeByIndex(_ values: UnsafeRawBufferPointer, _ count: Int, _ work: ParquetWorkshop) -> Bool {
    guard let indices = work.room(forIndices: count).baseAddress else { return false }
    let dictionary =
      self.dictionary ?? ParquetDictionary(width: column.type.width, limit: work.limits.dictionary)
    let known = dictionary.bytes.count
    let knownCount = dictionary.count
    var isWorthwhile = dictionary.add(values, count: count, indices: indices)
    // The first page decides: a dictionary that saves nothing there is none.
    if isWorthwhile, dictionaryPages == 0 {
      isWorthwhile = dictionary.bytes.count + count * dictionary.indexWidth / 8 < values.count
    }
    guard isWorthwhile else {
      takesDictionary = false
      return false
    }
    self.dictionary = dictionary
    statistics.add(
      UnsafeRawBufferPointer(rebasing: dictionary.bytes[known...]), count: dictionary.count - knownCount)
    work.append(indices: count, width: dictionary.indexWidth)
    return true
  }

  /// Ends the part: gives its bytes away in their order, describes it, and is empty again.
  func end(
    _ work: ParquetWorkshop, _ codec: ParquetCodec, at position: Int, _ thrift: inout ThriftWriter
  ) throws(NebulaError) -> (parts: [OutputBuffer], uncompressed: Int) {
    try closePage(work)
    let head = OutputBuffer(capacity: 64)
    if let dictionary {
      size += try work.write(dictionary.bytes, kind: 2, to: head) { thrift in
        thrift.begin(7)
        thrift.i32(1, Int32(dictionary.count))
        thrift.i32(2, Encoding.plain)
        thrift.end()
      }
    }
    describe(codec, at: position, head: head.count, &thrift)
    let result = (head.isEmpty ? [pages] : [head, pages], size)
    pages = OutputBuffer(capacity: 64)
    dictionary = nil
    takesDictionary = column.physical != .boolean
    statistics = ParquetStatistics(column.type)
    (plainPages, dictionaryPages, entries, nulls, size) = (0, 0, 0, 0, 0)
    return result
  }

  private enum Encoding {
    static let plain: Int32 = 0
    static let hybrid: Int32 = 3
    static let dictionary: Int32 = 8
  }

  private func describe(_ codec: ParquetCodec, at position: Int, head: Int, _ thrift: inout ThriftWriter) {
    thrift.begin()
    thrift.i64(2, Int64(position))
    thrift.begin(3)
    thrift.i32(1, column.physical.rawValue)
    let encodings = [Encoding.plain, Encoding.hybrid] + (dictionaryPages > 0 ? [Encoding.dictionary] : [])
    thrift.list(2, of: .i32, count: encodings.count)
    for encoding in encodings { thrift.element(encoding) }
    thrift.list(3, of: .binary, count: column.leaf.path.count)
    for name in column.leaf.path { thrift.element(name) }
    thrift.i32(4, codec.number)
    thrift.i64(5, Int64(entries))
    thrift.i64(6, Int64(size))
    thrift.i64(7, Int64(head + pages.count))
    thrift.i64(9, Int64(position + head))
    if head > 0 { thrift.i64(11, Int64(position)) }
    statistics.write(12, nulls: nulls, to: &thrift)
    let counts = [
      (Int32(2), Encoding.plain, Int32(head > 0 ? 1 : 0)), (0, Encoding.dictionary, dictionaryPages),
      (0, Encoding.plain, plainPages),
    ].filter { $0.2 > 0 }
    thrift.list(13, of: .structure, count: counts.count)
    for (kind, encoding, count) in counts {
      thrift.begin()
      thrift.i32(1, kind)
      thrift.i32(2, encoding)
      thrift.i32(3, count)
      thrift.end()
    }
    thrift.end()
    thrift.end()
  }
}
