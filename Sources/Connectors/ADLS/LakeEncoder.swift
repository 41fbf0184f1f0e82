internal import NebulaCore
internal import NebulaFormats

/// Records of one partition as they will stand in a file, with where each ends.
struct EncodedRun: Sendable {
  let partition: Partition
  /// What a new file starts with: a CSV header.
  let header: [UInt8]
  let bytes: SharedBytes
  let ends: [UInt32]
}

/// What an encoder made of a run of records.
struct EncodedSlice: Sendable {
  var runs: [EncodedRun] = []
  var rejected: [RejectedRecord] = []
  var bytes: Int { runs.reduce(0) { $0 + $1.bytes.count } }
}

/// Encodes runs of records; a value, used by parallel tasks.
struct LakeEncoder: Sendable {
  let options: ADLSOptions
  let names: PartitionNames
  /// For records without an event time.
  let fallbackTime: Int64
  /// CSV from JSON or BSON.
  let columns: [String]

  private var style: LineStyle { LineStyle(format: options.format, json: options.json) }

  func encode(_ batch: RecordBatch, _ range: Range<Int>) -> EncodedSlice {
    var slice = EncodedSlice()
    var pieces = Pieces(batch: batch, encoder: self)
    var form = LakeForm(self, style, batch)
    batch.withBytes { bytes in
      for index in range {
        let piece = pieces.piece(of: index, bytes)
        let output = piece.bytes
        let start = output.count
        do throws(NebulaError) {
          try form.append(bytes, index, to: output)
          piece.ends.append(UInt32(output.count))
        } catch {
          output.truncate(to: start)
          slice.rejected.append(Self.rejection(error, batch, bytes, index))
        }
      }
    }
    let header = header(of: batch)
    slice.runs = pieces.all.filter { !$0.ends.isEmpty }.map { $0.run(header) }
    return slice
  }

  static func rejection(
    _ error: NebulaError, _ batch: RecordBatch, _ bytes: UnsafeRawBufferPointer, _ index: Int
  ) -> RejectedRecord {
    var error = error
    error.place = error.place ?? .init(path: batch.namespace(of: index).description)
    error.disposition = .reject
    let range = batch.records[index]
    return RejectedRecord(
      error, payload: Array(bytes[Int(range.start)..<Int(range.end)].prefix(1 << 20)), format: batch.format)
  }

  private func header(of batch: RecordBatch) -> [UInt8] {
    guard options.format == .csv else { return [] }
    let output = OutputBuffer(capacity: 256)
    let names = batch.format == .csv ? batch.schema?.columns.map(\.name) ?? [] : columns
    for (index, name) in names.enumerated() {
      if index > 0 { output.append(style.dialect.delimiter) }
      var name = name
      name.withUTF8 { CSVText.appendField(UnsafeRawBufferPointer($0), dialect: style.dialect, to: output) }
    }
    output.append(UInt8(ascii: "\n"))
    return output.array
  }

  /// The records from `first` on that one task encodes, about 1 MiB, and about how large they become.
  func slice(of batch: RecordBatch, from first: Int) -> (end: Int, bytes: Int) {
    var (end, bytes) = (first, 0)
    repeat {
      bytes += estimate(batch, end)
      end += 1
    } while end < batch.count && bytes < 1 << 20
    return (end, bytes)
  }

  /// About how large a record becomes, for the budget.
  func estimate(_ batch: RecordBatch, _ index: Int) -> Int {
    let framing = options.layout == .perEvent ? 500 : 0
    if let changes = batch.changes {
      let slices = changes.documents[index].count + changes.befores[index].count + changes.updates[index].count
      return 2 * (slices + changes.keys[index].count) + 500 + framing
    }
    let payload = batch.records[index].count
    guard options.format == .jsonl, batch.format == .csv, let schema = batch.schema else {
      return batch.format == .bson ? 2 * payload + 64 : payload + 16
    }
    return payload + schema.columns.reduce(16) { $0 + $1.name.utf8.count + 6 }
  }
}

/// How a record becomes a line: a change as an event, another record as it is.
enum LakeForm {
  case plain(RecordForm)
  case event(EventForm)
  case framed(FramedEvents)

  init(_ encoder: LakeEncoder, _ style: LineStyle, _ batch: RecordBatch) {
    guard let changes = batch.changes else {
      self = .plain(RecordForm(style, batch, encoder.columns))
      return
    }
    let form = EventForm(encoder.options, batch, changes)
    self = encoder.options.layout == .perEvent ? .framed(FramedEvents(encoder, form, batch, changes)) : .event(form)
  }

  mutating func append(_ bytes: UnsafeRawBufferPointer, _ index: Int, to output: OutputBuffer) throws(NebulaError) {
    switch self {
    case .event(let form): try form.append(bytes, index, to: output)
    case .framed(let frames): try frames.append(bytes, index, to: output)
    case .plain(var form):
      defer { self = .plain(form) }
      try form.append(bytes, index, to: output)
    }
  }
}

/// Records of one partition in the making.
private final class Piece {
  let partition: Partition
  let bytes: OutputBuffer
  var ends: [UInt32] = []
  init(_ partition: Partition, capacity: Int) {
    self.partition = partition
    bytes = OutputBuffer(capacity: capacity)
  }
  /// In a buffer of its very size: many small runs wait together.
  func run(_ header: [UInt8]) -> EncodedRun {
    EncodedRun(
      partition: partition, header: header, bytes: bytes.withBytes { SharedBytes(copying: $0) }, ends: ends)
  }
}

/// The pieces of one slice, in the order in which they were first met.
private struct Pieces {
  private(set) var all: [Piece] = []
  private var byKey: [Key: Piece] = [:]
  private var byBase: [String: Piece] = [:]
  private var last: (key: Key, piece: Piece)?
  private let batch: RecordBatch
  private let names: PartitionNames
  private let time: EventTime
  private let indices: [UInt32]?
  /// Events that are staged together.
  private let isOne: Bool

  private struct Key: Hashable {
    let namespace: UInt32
    let hour: Int64
  }

  init(batch: RecordBatch, encoder: LakeEncoder) {
    self.batch = batch
    names = encoder.names
    time = EventTime(batch, fallback: encoder.fallbackTime)
    indices = batch.changes?.namespaces
    isOne = encoder.options.layout == .perEvent
  }

  mutating func piece(of index: Int, _ bytes: UnsafeRawBufferPointer) -> Piece {
    if isOne { return all.first ?? make(Key(namespace: 0, hour: 0), Partition("events", until: nil)) }
    let time = time(index, bytes)
    let key = Key(namespace: indices?[index] ?? 0, hour: names.hour(time))
    if let last, last.key == key { return last.piece }
    let piece = byKey[key] ?? make(key, names.partition(batch.namespace(of: index), time: time))
    last = (key, piece)
    return piece
  }

  private mutating func make(_ key: Key, _ partition: Partition) -> Piece {
    let piece = byBase[partition.base] ?? Piece(partition, capacity: all.isEmpty ? 1 << 20 : 4096)
    if byBase.updateValue(piece, forKey: partition.base) == nil { all.append(piece) }
    byKey[key] = piece
    return piece
  }
}
