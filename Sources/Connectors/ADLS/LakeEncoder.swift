internal import NebulaCore
internal import NebulaFormats

/// What an encoder made of a run of records: all of them one behind the other, and who they belong to.
struct EncodedSlice: Sendable {
  let bytes: SharedBytes
  /// Where each record ends.
  let ends: [UInt32]
  let runs: [EncodedRun]
  /// What a new file starts with: a CSV header.
  let header: [UInt8]
  let rejected: [RejectedRecord]

  func bytes(of records: Range<Int>) -> UnsafeRawBufferPointer {
    let start = records.lowerBound == 0 ? 0 : Int(ends[records.lowerBound - 1])
    return UnsafeRawBufferPointer(
      rebasing: bytes.base[start..<(records.isEmpty ? start : Int(ends[records.upperBound - 1]))])
  }

  /// Where the records of `run` end that fit into `room`, from `first` on.
  func end(of run: EncodedRun, from first: Int, room: Int) -> Int {
    let start = first == 0 ? 0 : Int(ends[first - 1])
    var (low, high) = (first, run.records.upperBound)
    while low < high {
      let middle = (low + high) / 2
      if Int(ends[middle]) - start <= room { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

/// Records of a slice that follow each other and belong to one partition.
struct EncodedRun: Sendable {
  let partition: Partition
  var records: Range<Int>
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
    let output = OutputBuffer(capacity: slice(of: batch, from: range.lowerBound).bytes / 2)
    var (ends, runs, rejected): ([UInt32], [EncodedRun], [RejectedRecord]) = ([], [], [])
    ends.reserveCapacity(range.count)
    var partitions = Partitions(batch: batch, encoder: self)
    var form = LakeForm(self, style, batch)
    batch.withBytes { bytes in
      for index in range {
        let start = output.count
        do throws(NebulaError) {
          try form.append(bytes, index, to: output)
          ends.append(UInt32(output.count))
        } catch {
          output.truncate(to: start)
          rejected.append(RejectedRecord(error, index, of: batch))
          continue
        }
        let partition = partitions.partition(of: index, bytes)
        if let last = runs.last, last.partition === partition {
          runs[runs.count - 1].records = last.records.lowerBound..<ends.count
        } else {
          runs.append(EncodedRun(partition: partition, records: ends.count - 1..<ends.count))
        }
      }
    }
    return EncodedSlice(
      bytes: SharedBytes(taking: output), ends: ends, runs: runs, header: header(of: batch), rejected: rejected)
  }

  private func header(of batch: RecordBatch) -> [UInt8] {
    guard options.format == .csv else { return [] }
    return style.header(batch.format == .csv ? batch.schema?.columns.map(\.name) ?? [] : columns)
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
    return framing + RecordForm.estimate(style, batch, index)
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

/// Which partition each record of a slice belongs to; those that were met are known.
private struct Partitions {
  private var known: [Key: Partition] = [:]
  private var last: (key: Key, partition: Partition)?
  private let batch: RecordBatch
  private let names: PartitionNames
  private let time: EventTime
  private let indices: [UInt32]?
  /// Events that are staged together.
  private let one: Partition?

  private struct Key: Hashable {
    let namespace: UInt32
    let hour: Int64
  }

  init(batch: RecordBatch, encoder: LakeEncoder) {
    self.batch = batch
    names = encoder.names
    time = EventTime(batch, fallback: encoder.fallbackTime)
    indices = batch.changes?.namespaces
    one = encoder.options.layout == .perEvent ? Partition("events", until: nil) : nil
  }

  mutating func partition(of index: Int, _ bytes: UnsafeRawBufferPointer) -> Partition {
    if let one { return one }
    let time = time(index, bytes)
    let key = Key(namespace: indices?[index] ?? 0, hour: names.hour(time))
    if let last, last.key == key { return last.partition }
    let partition = known[key] ?? names.partition(batch.namespace(of: index), time: time)
    known[key] = partition
    last = (key, partition)
    return partition
  }
}
