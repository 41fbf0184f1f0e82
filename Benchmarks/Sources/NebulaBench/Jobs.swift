import NebulaCore
import NebulaFormats

/// One kind of work: how its input is written, encoded and checked.
protocol Job: Sendable {
  var name: String { get }
  var fileName: String { get }
  var codec: Codec { get }
  /// True when a JSON parser's first stage belongs to the limit.
  var readsJSON: Bool { get }
  func input(_ order: Order) -> [UInt8]
  /// The output for an order, with its line end.
  func expected(_ order: Order) -> String
  /// How many bytes of the input are whole records.
  var wholeRecords: @Sendable (UnsafeRawBufferPointer) -> Int { get }
  /// Validates whole records and does nothing else.
  func validate(_ records: UnsafeRawBufferPointer)
  /// A worker's own encoder: takes whole records, appends rows, returns how many.
  func makeEncoder() -> any Encoder
  /// Splits decompressed output into rows (with their ends) and finds each row's id.
  func rows(_ output: UnsafeRawBufferPointer, _ body: (Int, UnsafeRawBufferPointer) -> Void)
}

protocol Encoder: AnyObject {
  func encode(_ records: UnsafeRawBufferPointer, to output: OutputBuffer) throws(NebulaError) -> Int
}

/// Flat JSON objects, validated and projected to the columns of a CSV.
struct JSONLinesToCSV: Job {
  let name = "JSON Lines → staged CSV.gz"
  let fileName = "records.jsonl"
  let codec = Codec.gzip
  let readsJSON = true
  var wholeRecords: @Sendable (UnsafeRawBufferPointer) -> Int { wholeLines }
  func input(_ order: Order) -> [UInt8] { Array(order.jsonLine.utf8) + [10] }
  func expected(_ order: Order) -> String { order.csvRow + "\n" }
  func makeEncoder() -> any Encoder { CSVEncoder() }
  func validate(_ records: UnsafeRawBufferPointer) {
    var splitter = LineSplitter()
    while let line = splitter.next(in: records) {
      if let problem = JSONText.validate(UnsafeRawBufferPointer(rebasing: records[line])) { fail("\(problem)") }
    }
  }

  func rows(_ output: UnsafeRawBufferPointer, _ body: (Int, UnsafeRawBufferPointer) -> Void) {
    var scanner = CSVRowScanner(CSVDialect())
    while let row = scanner.next(in: output) {
      let bytes = UnsafeRawBufferPointer(rebasing: output[row.lowerBound..<row.upperBound + 1])
      body(leadingNumber(bytes), bytes)
    }
  }
}

final class CSVEncoder: Encoder {
  private var csv = FlatJSONToCSV(columns: Order.columns)
  func encode(_ records: UnsafeRawBufferPointer, to output: OutputBuffer) throws(NebulaError) -> Int {
    var splitter = LineSplitter()
    var count = 0
    while let line = splitter.next(in: records) {
      try csv.append(UnsafeRawBufferPointer(rebasing: records[line]), to: output)
      count += 1
    }
    return count
  }
}

/// Change events in BSON, taken apart into slices and written as rows of the landing table.
struct EventsToJSON: Job {
  let name = "BSON events → staged JSON.zst"
  let fileName = "events.bson"
  let codec = Codec.zstd
  let readsJSON = false
  var wholeRecords: @Sendable (UnsafeRawBufferPointer) -> Int { wholeDocuments }
  func input(_ order: Order) -> [UInt8] { Event(order).bson }
  func expected(_ order: Order) -> String { Event(order).landingLine + "\n" }
  func makeEncoder() -> any Encoder { EventEncoder() }
  func validate(_ records: UnsafeRawBufferPointer) {
    var at = 0
    while at < records.count {
      let length = Int(records.loadUnaligned(fromByteOffset: at, as: Int32.self))
      if let problem = BSON.validate(UnsafeRawBufferPointer(rebasing: records[at..<at + length])) { fail("\(problem)") }
      at += length
    }
  }

  func rows(_ output: UnsafeRawBufferPointer, _ body: (Int, UnsafeRawBufferPointer) -> Void) {
    var splitter = LineSplitter()
    let mark = Array("\"EVENT_ID\":\"82".utf8)
    while let line = splitter.next(in: output) {
      let bytes = UnsafeRawBufferPointer(rebasing: output[line.lowerBound..<line.upperBound + 1])
      // The token ends the row; the id stands in it behind 24 hex digits. Its own length is fixed.
      let token = bytes.count - 3 - 88
      let id =
        token > mark.count ? leadingNumber(UnsafeRawBufferPointer(rebasing: bytes[(token + 26)..<(token + 42)])) : -1
      body(id, bytes)
    }
  }
}

final class EventEncoder: Encoder {
  private let names = (
    document: JSONLineWriter.Name("DOCUMENT"), before: JSONLineWriter.Name("DOCUMENT_BEFORE"),
    update: JSONLineWriter.Name("UPDATE_DESCRIPTION"),
    key: JSONLineWriter.Name("DOCUMENT_KEY"), operation: JSONLineWriter.Name("OPERATION"),
    namespace: JSONLineWriter.Name("NAMESPACE"), time: JSONLineWriter.Name("EVENT_TIME"),
    sequence: JSONLineWriter.Name("SEQUENCE"), id: JSONLineWriter.Name("EVENT_ID")
  )

  func encode(_ records: UnsafeRawBufferPointer, to output: OutputBuffer) throws(NebulaError) -> Int {
    var writer = JSONLineWriter(output, bson: .plain)
    var at = 0
    var count = 0
    while at < records.count {
      let length = Int(records.loadUnaligned(fromByteOffset: at, as: Int32.self))
      try encode(event: UnsafeRawBufferPointer(rebasing: records[at..<at + length]), &writer)
      at += length
      count += 1
    }
    return count
  }

  /// The source's part (the event taken apart) and the destination's (the row written).
  private func encode(event: UnsafeRawBufferPointer, _ writer: inout JSONLineWriter) throws(NebulaError) {
    var reader = try BSONReader(event)
    var (id, operation, namespace, key): (BSONElement?, BSONElement?, BSONElement?, BSONElement?) = (nil, nil, nil, nil)
    var (document, before, update): (BSONElement?, BSONElement?, BSONElement?) = (nil, nil, nil)
    var (time, cluster): (Int64, UInt64) = (0, 0)
    while let element = try reader.next() {
      if element.isNamed("_id") {
        id = element
      } else if element.isNamed("operationType") {
        operation = element
      } else if element.isNamed("clusterTime") {
        cluster = element.timestamp ?? 0
      } else if element.isNamed("wallTime") {
        time = element.date ?? 0
      } else if element.isNamed("fullDocument") {
        document = element
      } else if element.isNamed("fullDocumentBeforeChange") {
        before = element
      } else if element.isNamed("ns") {
        namespace = element
      } else if element.isNamed("documentKey") {
        key = element
      } else if element.isNamed("updateDescription") {
        update = element
      }
    }
    writer.begin()
    if let document { try writer.bson(names.document, valueOf: document) }
    if let before { try writer.bson(names.before, valueOf: before) }
    if let update { try writer.bson(names.update, valueOf: update) }
    if let key { try writer.bson(names.key, valueOf: key) }
    if let text = operation?.string { writer.text(names.operation, text) }
    if let namespace = namespace?.subdocument { appendNamespace(namespace, &writer) }
    writer.time(names.time, milliseconds: time)
    writer.name(names.sequence)
    appendSequence(cluster, writer.output)
    if let token = id?.subdocument.flatMap({ BSON.find("_data", in: $0)?.string }) { writer.text(names.id, token) }
    writer.end()
  }

  private func appendNamespace(_ namespace: UnsafeRawBufferPointer, _ writer: inout JSONLineWriter) {
    writer.name(names.namespace)
    let output = writer.output
    output.append(UInt8(ascii: "\""))
    if let database = BSON.find("db", in: namespace)?.string { JSONText.appendEscaped(database, to: output) }
    output.append(UInt8(ascii: "."))
    if let collection = BSON.find("coll", in: namespace)?.string { JSONText.appendEscaped(collection, to: output) }
    output.append(UInt8(ascii: "\""))
  }

  /// 24 hex digits that sort as themselves.
  private func appendSequence(_ cluster: UInt64, _ output: OutputBuffer) {
    output.append(UInt8(ascii: "\""))
    withUnsafeBytes(of: (cluster.bigEndian, UInt32(0))) {
      output.append(hex: UnsafeRawBufferPointer(rebasing: $0[..<12]))
    }
    output.append(UInt8(ascii: "\""))
  }
}

func leadingNumber(_ bytes: UnsafeRawBufferPointer) -> Int {
  var number = 0
  for byte in bytes {
    guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { break }
    number = number * 10 + Int(byte - UInt8(ascii: "0"))
  }
  return number
}
