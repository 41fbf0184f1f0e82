import CLimits
import Glibc
import NebulaCore
import NebulaFormats
import Synchronization

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
    let encoder = job.makeEncoder()
    let codec = limit_codec_create(job.codec == .zstd ? 1 : 0)
    defer { limit_codec_free(codec) }
    let chunks = Chunks(path, wholeRecords: job.wholeRecords)
    let chunk = OutputBuffer(capacity: 4 << 20)
    let output = OutputBuffer(capacity: 4 << 20)
    let copy = UnsafeMutableRawPointer.allocate(byteCount: 8 << 20, alignment: 64)
    defer { copy.deallocate() }
    limit.read = readAlone(path)
    while chunks.next(chunk) {
      chunk.reserve(64)
      output.removeAll()
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
        do { limit.records += try encoder.encode(bytes, to: output) } catch { fail("\(error)") }
        limit.encode += threadSeconds() - validated
      }
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

/// A job run by one or more workers over one reader, each staging files of its own.
struct Run {
  let workers: Int
  let records: Int
  let wall: Double
  let cpu: Double
  let stagedBytes: Int
  /// Compressed files, each whole.
  let staged: [[UInt8]]

  static let recordsPerFile = 100_000

  static func measure(_ job: any Job, path: String, workers: Int) async -> Run {
    let chunks = Chunks(path, wholeRecords: job.wholeRecords)
    let (wall, cpu) = (wallSeconds(), processSeconds())
    var staged = [[UInt8]]()
    var records = 0
    await withTaskGroup(of: (Int, [[UInt8]]).self) { group in
      for _ in 0..<workers { group.addTask { work(job, chunks) } }
      for await (count, files) in group {
        records += count
        staged += files
      }
    }
    return Run(
      workers: workers, records: records, wall: wallSeconds() - wall, cpu: processSeconds() - cpu,
      stagedBytes: staged.reduce(0) { $0 + $1.count }, staged: staged)
  }

  private static func work(_ job: any Job, _ chunks: Chunks) -> (Int, [[UInt8]]) {
    let encoder = job.makeEncoder()
    let chunk = OutputBuffer(capacity: 4 << 20)
    let rows = OutputBuffer(capacity: 4 << 20)
    let file = OutputBuffer(capacity: 32 << 20)
    var (total, inFile, files) = (0, 0, [[UInt8]]())
    do {
      let compressor = try Compressor(job.codec)
      func close() throws(NebulaError) {
        try compressor.finish(into: file)
        files.append(file.array)
        file.removeAll()
        inFile = 0
      }
      while chunks.next(chunk) {
        rows.removeAll()
        let count = try chunk.withBytes { (bytes) throws(NebulaError) in try encoder.encode(bytes, to: rows) }
        try rows.withBytes { (bytes) throws(NebulaError) in try compressor.write(bytes, into: file) }
        total += count
        inFile += count
        if inFile >= recordsPerFile { try close() }
      }
      if inFile > 0 { try close() }
    } catch { fail("\(error)") }
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

  func check(file: [UInt8]) throws {
    let text = try decompressed(file)
    text.withBytes { compare($0) }
  }

  @inline(never) private func compare(_ output: UnsafeRawBufferPointer) {
    job.rows(output) { id, row in self.check(id, row) }
  }

  @inline(never) private func decompressed(_ file: [UInt8]) throws -> OutputBuffer {
    let text = OutputBuffer(capacity: 64 << 20)
    let decompressor = Decompressor(job.codec)
    try file.withUnsafeBytes { try decompressor.write($0, into: text) }
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
