import NebulaCore
import NebulaFormats

/// Records of one partition as they will stand in a file. Made by an encoder and handed on once.
final class EncodedPiece {
  let partition: String
  /// What a new file starts with: a CSV header.
  let header: [UInt8]
  let bytes: OutputBuffer
  /// Where each record ends.
  var ends: [Int] = []
  init(_ partition: String, header: [UInt8], capacity: Int) {
    self.partition = partition
    self.header = header
    bytes = OutputBuffer(capacity: capacity)
  }
}

/// What an encoder made of a run of records. Handed from the encoder to the writer and used by one at a time: the task
/// that makes it has ended when the other gets it, so there is no lock.
final class EncodedRecords: @unchecked Sendable {
  fileprivate(set) var pieces: [EncodedPiece] = []
  fileprivate(set) var rejected: [RejectedRecord] = []
}

/// Encodes runs of records; a value, used by parallel tasks.
struct RecordEncoder: Sendable {
  let options: FileDestinationOptions
  let template: PathTemplate
  let pipeline: String
  /// For records without an event time.
  let fallbackTime: Int64
  /// CSV from JSON or BSON.
  let columns: [String]

  func encode(_ batch: RecordBatch, _ range: Range<Int>) -> EncodedRecords {
    let result = EncodedRecords()
    var pieces = PieceMap(encoder: self, batch: batch, header: header(of: batch))
    var form = LineForm(options, batch, columns)
    var next = range.lowerBound
    while next < range.upperBound {
      let end = pieces.run(from: next, to: range.upperBound)
      append(batch, next..<end, &form, to: pieces.piece(of: next), result)
      next = end
    }
    result.pieces = pieces.all
    return result
  }

  /// Records of one piece: what is counted by reference or checked for exclusive access is touched once a run.
  private func append(
    _ batch: RecordBatch, _ run: Range<Int>, _ form: inout LineForm, to piece: EncodedPiece, _ result: EncodedRecords
  ) {
    let output = piece.bytes
    var ends = piece.ends
    piece.ends = []
    defer { piece.ends = ends }
    batch.withBytes { bytes in
      for index in run {
        let start = output.count
        do throws(NebulaError) {
          try form.append(bytes, index, to: output)
          ends.append(output.count)
        } catch {
          output.truncate(to: start)
          result.rejected.append(RejectedRecord(error, index, of: batch))
        }
      }
    }
  }

  private func header(of batch: RecordBatch) -> [UInt8] {
    guard options.format == .csv else { return [] }
    let names =
      batch.changes != nil ? ChangeForm.names : batch.format == .csv ? batch.schema?.columns.map(\.name) ?? [] : columns
    return options.style.header(names)
  }

  /// About how large the records become, for the budget.
  func estimate(_ batch: RecordBatch, _ index: Int) -> Int {
    if let changes = batch.changes {
      let slices = changes.documents[index].count + changes.befores[index].count + changes.updates[index].count
      return 2 * (slices + changes.keys[index].count) + 400
    }
    return RecordForm.estimate(options.style, batch, index)
  }
}

/// How a record of a batch becomes a line: a change as an envelope, another record as it is.
enum LineForm {
  case plain(RecordForm)
  case change(ChangeForm)

  init(_ options: FileDestinationOptions, _ batch: RecordBatch, _ columns: [String]) {
    self =
      batch.changes.map { .change(ChangeForm(options, batch, $0)) } ?? .plain(RecordForm(options.style, batch, columns))
  }

  mutating func append(_ bytes: UnsafeRawBufferPointer, _ index: Int, to output: OutputBuffer) throws(NebulaError) {
    switch self {
    case .change(let form): try form.append(bytes, index, to: output)
    case .plain(var form):
      defer { self = .plain(form) }
      try form.append(bytes, index, to: output)
    }
  }
}

/// The pieces of one run, by partition, in the order in which they were first met.
private struct PieceMap {
  let encoder: RecordEncoder
  let batch: RecordBatch
  let header: [UInt8]
  private(set) var all: [EncodedPiece] = []
  private var byKey: [Key: EncodedPiece] = [:]
  private var last: (key: Key, piece: EncodedPiece)?
  private let usesTime: Bool

  private struct Key: Hashable {
    let namespace: UInt32
    let hour: Int64
  }

  init(encoder: RecordEncoder, batch: RecordBatch, header: [UInt8]) {
    self.encoder = encoder
    self.batch = batch
    self.header = header
    usesTime = encoder.template.usesTime
  }

  /// Where the records end that stand in one piece with `first`.
  func run(from first: Int, to end: Int) -> Int {
    guard let changes = batch.changes else { return end }
    let namespace = changes.namespaces[first]
    let hour = usesTime ? time(of: first) / 3_600_000 : 0
    var next = first + 1
    while next < end, changes.namespaces[next] == namespace, !usesTime || time(of: next) / 3_600_000 == hour {
      next += 1
    }
    return next
  }

  private func time(of index: Int) -> Int64 {
    let known = batch.changes?.eventTimes[index] ?? .min
    return known == .min ? encoder.fallbackTime : known
  }

  mutating func piece(of index: Int) -> EncodedPiece {
    let time = time(of: index)
    let key = Key(namespace: batch.changes?.namespaces[index] ?? 0, hour: usesTime ? time / 3_600_000 : 0)
    if let last, last.key == key { return last.piece }
    let piece = byKey[key] ?? make(key, time, batch.namespace(of: index))
    last = (key, piece)
    return piece
  }

  private mutating func make(_ key: Key, _ time: Int64, _ namespace: Namespace) -> EncodedPiece {
    let folder = encoder.template.folder(namespace, time: time, pipeline: encoder.pipeline)
    let piece =
      all.first { $0.partition == folder }
      ?? EncodedPiece(folder, header: header, capacity: all.isEmpty ? 1 << 20 : 4096)
    if !all.contains(where: { $0 === piece }) { all.append(piece) }
    byKey[key] = piece
    return piece
  }
}
