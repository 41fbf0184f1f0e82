import CLimits
import Glibc
import NebulaCore
import NebulaFormats
import NebulaHTTP

@testable import SnowflakeConnector

/// The parts of a job that are not ours, each timed alone on the same chunks, in CPU seconds of one thread.
struct Limit {
  var read = 0.0
  var stage1 = 0.0
  var copy = 0.0
  var codec = 0.0
  /// Ours, for comparison: validation alone, and encoding (which validates) without the codec.
  var validate = 0.0
  var encode = 0.0
  var records = 0
  var inputBytes = 0
  var outputBytes = 0

  /// Records a second and core if nothing but these parts had to be done.
  var recordsPerSecond: Double { Double(records) / (read + stage1 + copy + codec) }

  static func measure(_ job: any Job, path: String) -> Limit {
    var limit = Limit()
    let reader = job.makeReader()
    var encoder: (any RowEncoder)?
    let codec = limit_codec_create(job.compression == .zstd ? 1 : 0)
    defer { limit_codec_free(codec) }
    let chunks = Chunks(path, wholeFrames: job.wholeFrames)
    let chunk = OutputBuffer(capacity: 4 << 20)
    let copy = UnsafeMutableRawPointer.allocate(byteCount: 8 << 20, alignment: 64)
    defer { copy.deallocate() }
    limit.read = readAlone(path)
    while chunks.next(chunk) {
      chunk.reserve(64)
      chunk.withBytes { bytes in
        let start = threadSeconds()
        if job.readsJSON, limit_stage1(bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count) < 0 {
          fail("simdjson refuses the input")
        }
        let parsed = threadSeconds()
        limit.stage1 += parsed - start
        job.validate(bytes)
        let validated = threadSeconds()
        limit.validate += validated - parsed
        limit.inputBytes += bytes.count
        do {
          for batch in try reader.batches(bytes) {
            if encoder == nil { encoder = RowEncoding.make(try job.layout(batch), options: Stage.options, epoch: Stage.epoch) }
            try encoder?.start(batch, order: 0)
            try batch.withBytes { (bytes) throws(NebulaError) in
              var index = 0
              while index < batch.count, let encoder {
                let run = try encoder.appendRun(index..<batch.count, of: batch, bytes, room: .max)
                if run == 0 { _ = try encoder.append(index, of: batch, bytes) }
                index += max(run, 1)
              }
            }
            limit.records += batch.count
          }
        } catch { fail("\(error)") }
        limit.encode += threadSeconds() - validated
      }
      guard let output = encoder?.rows else { continue }
      defer { output.removeAll() }
      output.withBytes { bytes in
        guard let base = bytes.baseAddress else { return }
        let start = threadSeconds()
        memcpy(copy, base, bytes.count)
        let middle = threadSeconds()
        _ = limit_codec_write(codec, base.assumingMemoryBound(to: UInt8.self), bytes.count, 0)
        limit.codec += threadSeconds() - middle
        limit.copy += middle - start
        limit.outputBytes += bytes.count
      }
    }
    return limit
  }

  private static func readAlone(_ path: String) -> Double {
    let file = open(path, O_RDONLY)
    defer { close(file) }
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    defer { buffer.deallocate() }
    let start = threadSeconds()
    while Glibc.read(file, buffer, 1 << 20) > 0 {}
    return threadSeconds() - start
  }
}

/// What all workers' files share: as the program has it, but for the upload itself.
struct Stage: Sendable {
  static let options = SnowflakeOptions()
  static let epoch = EpochID(generation: 1, sequence: 1)
  let spool: Spool
  let budget = MemoryBudget(bytes: 128 << 20)
  let shelf: CompressorShelf
  let folder: String

  init(_ job: any Job, folder: String) {
    self.folder = folder
    spool = Spool(folder: folder, limit: 4 << 30)
    shelf = CompressorShelf(job.compression.codec, level: nil)
  }

  func open(_ name: String, _ layout: TableLayout) throws -> FileWriter {
    let key = try StageMasterKey(
      ["queryStageMasterKey": .string(Crypto.base64([UInt8](repeating: 7, count: 16))), "queryId": "q", "smkId": "1"])
    let encryption = try key.map { (key) throws(NebulaError) in try FileEncryption(key) }
    let table = TableName(
      database: Identifier(exactly: "RAW"), schema: Identifier(exactly: "SHOP"), name: Identifier(exactly: "ORDERS"))
    return FileWriter(
      lane: LaneKey(table: table, version: 0, layout: layout), name: name, encryption: encryption,
      encoder: RowEncoding.make(layout, options: Self.options, epoch: Self.epoch),
      staged: try StagedBytes(
        name: name, preparation: FilePreparation(encryption: encryption, needsMD5: false), budget: budget, spool: spool),
      rule: RollRule(Self.options), opened: .zero
    ) { [shelf] () throws(NebulaError) in try CompressedSink(shelf) }
  }

  /// Ends a file; its bytes stay where an upload would find them. Those in memory give their budget back, as if the
  /// upload were done at once.
  func close(_ file: FileWriter) async throws -> Closed {
    let body = try await file.finish().body
    if case .shared = body.body { await file.release() }
    return Closed(file: file, body: body)
  }
}

/// A file that is ready for its upload.
struct Closed: Sendable {
  let file: FileWriter
  let body: StagedBody

  /// Takes the bytes away, as an upload does.
  func taken() async -> Staged {
    let bytes: [UInt8]
    switch body.body {
    case .shared(let content): bytes = Array(content.base)
    case .file(let path, _, let length): bytes = whole(path, length)
    default: fail("a body of another kind")
    }
    await file.release()
    return Staged(bytes: bytes, encryption: file.encryption)
  }
}

/// A file as it would lie in the stage.
struct Staged: Sendable {
  let bytes: [UInt8]
  let encryption: FileEncryption?
}

private func whole(_ path: String, _ length: Int) -> [UInt8] {
  let file = open(path, O_RDONLY)
  defer { close(file) }
  var bytes = [UInt8](repeating: 0, count: length)
  if read(file, &bytes, length) != length { fail("can't read \(path)") }
  return bytes
}

/// A job run by one or more workers over one reader, each staging files of its own.
struct Run {
  let workers: Int
  let records: Int
  let wall: Double
  let cpu: Double
  let stagedBytes: Int
  /// Compressed and encrypted files, each whole.
  let staged: [Staged]

  static func measure(_ job: any Job, path: String, workers: Int, folder: String) async -> Run {
    let chunks = Chunks(path, wholeFrames: job.wholeFrames)
    let stage = Stage(job, folder: folder)
    let (wall, cpu) = (wallSeconds(), processSeconds())
    var closed = [Closed]()
    var records = 0
    await withTaskGroup(of: (Int, [Closed]).self) { group in
      for worker in 0..<workers { group.addTask { await work(job, chunks, stage, worker) } }
      for await (count, files) in group {
        records += count
        closed += files
      }
    }
    let (wallUsed, cpuUsed) = (wallSeconds() - wall, processSeconds() - cpu)
    var staged = [Staged]()
    for file in closed { staged.append(await file.taken()) }
    return Run(
      workers: workers, records: records, wall: wallUsed, cpu: cpuUsed,
      stagedBytes: staged.reduce(0) { $0 + $1.bytes.count }, staged: staged)
  }

  private static func work(_ job: any Job, _ chunks: Chunks, _ stage: Stage, _ worker: Int) async -> (Int, [Closed]) {
    let reader = job.makeReader()
    let chunk = OutputBuffer(capacity: 4 << 20)
    var (total, files, rejected) = (0, [Closed](), [RejectedRecord]())
    var layout: TableLayout?
    var file: FileWriter?
    do {
      while chunks.next(chunk) {
        // `chunk` is not touched before the next turn, when these batches are gone.
        for batch in try reader.batches(chunk.withBytes { $0 }) {
          if layout == nil { layout = try job.layout(batch) }
          guard let layout else { continue }
          var next = 0
          while next < batch.count {
            let open = try file ?? stage.open("\(worker)-\(files.count)", layout)
            next = try open.encode(batch, .all(batch.count), from: next, order: 0, rejected: &rejected)
            let isSettled = try await open.settle()
            file = open
            if open.whyFull != nil || !isSettled {
              files.append(try await stage.close(open))
              file = nil
            }
          }
          total += batch.count
        }
      }
      if let file { files.append(try await stage.close(file)) }
    } catch { fail("\(error)") }
    if let first = rejected.first { fail("\(first.error)") }
    return (total, files)
  }
}

/// Compares rows with what their orders must have become, each once.
final class Comparison {
  private let job: any Job
  private var seen: [Bool]
  private(set) var total = 0

  init(_ job: any Job, count: Int) {
    self.job = job
    seen = [Bool](repeating: false, count: count)
  }

  func check(_ id: Int, _ row: UnsafeRawBufferPointer) {
    total += 1
    guard id >= 0, id < seen.count, !seen[id] else {
      fail("\(job.name): row \(total) has the id \(id), unknown or twice")
    }
    seen[id] = true
    let expected = Array(job.expected(Order(id)).utf8)
    if !expected.elementsEqual(row) {
      let texts = (String(decoding: row, as: UTF8.self), String(decoding: expected, as: UTF8.self))
      fail("\(job.name): differs\n  is     \(texts.0)  wanted \(texts.1)")
    }
  }

  func check(file: Staged) throws {
    let text = try decompressed(file)
    text.withBytes { compare($0) }
  }

  @inline(never) private func compare(_ output: UnsafeRawBufferPointer) {
    job.rows(output) { id, row in self.check(id, row) }
  }

  @inline(never) private func decompressed(_ file: Staged) throws -> OutputBuffer {
    let text = OutputBuffer(capacity: 64 << 20)
    let decompressor = Decompressor(job.compression.codec)
    let content = try file.encryption.map { try Crypto.aesCBCDecrypt(file.bytes, key: $0.fileKey, iv: $0.iv) }
    try (content ?? file.bytes).withUnsafeBytes { try decompressor.write($0, into: text) }
    try decompressor.finish()
    return text
  }
}

/// Reads the staged files back and compares every row.
func verify(_ job: any Job, _ run: Run, count: Int) {
  let comparison = Comparison(job, count: count)
  do {
    for file in run.staged { try comparison.check(file: file) }
  } catch { fail("\(error)") }
  if comparison.total != count { fail("\(job.name): \(comparison.total) rows of \(count)") }
}
