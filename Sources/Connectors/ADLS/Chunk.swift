internal import NebulaCore
internal import NebulaFormats
internal import NebulaHTTP

/// Lines of one partition that wait to be appended, and cuts them into chunks of whole records.
struct LineQueue {
  /// Records `first..<last` of a run.
  struct Part: Sendable {
    let run: EncodedRun
    let first: Int
    let last: Int
    var range: Range<Int> { (first == 0 ? 0 : Int(run.ends[first - 1]))..<Int(run.ends[last - 1]) }
    var bytes: Int { range.count }
  }
  /// What is appended at once.
  struct Chunk: Sendable {
    var parts: [Part] = []
    var bytes = 0
    var records = 0
    var header: [UInt8] { parts.first?.run.header ?? [] }
    mutating func add(_ part: Part) {
      parts.append(part)
      bytes += part.bytes
      records += part.last - part.first
    }
  }
  let partition: Partition
  private(set) var pending = Chunk()

  init(_ partition: Partition) { self.partition = partition }

  /// Adds a run; the chunks of at most `most` bytes (or one record) that are full now.
  mutating func add(_ run: EncodedRun, most: Int) -> [Chunk] {
    var full: [Chunk] = []
    if run.header != pending.header, pending.records > 0 { full.append(take()) }
    var first = 0
    while first < run.ends.count {
      var last = Self.end(run, from: first, room: most - pending.bytes)
      if last == first, pending.records == 0 { last = first + 1 }  // larger than a chunk: alone
      if last > first { pending.add(Part(run: run, first: first, last: last)) }
      first = last
      if first < run.ends.count || pending.bytes >= most { full.append(take()) }
    }
    return full
  }

  /// Where the records end that fit into `room`, from `first` on.
  private static func end(_ run: EncodedRun, from first: Int, room: Int) -> Int {
    let start = first == 0 ? 0 : Int(run.ends[first - 1])
    var (low, high) = (first, run.ends.count)
    while low < high {
      let middle = (low + high) / 2
      if Int(run.ends[middle]) - start <= room { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// All that waits.
  mutating func take() -> Chunk {
    defer { pending = Chunk() }
    return pending
  }
}

/// Bytes ready to be appended: compressed into members of their own, with their digest.
struct ChunkBody: Sendable {
  let bytes: SharedBytes
  let tail: Manifest.Tail
  let md5: [UInt8]

  init(_ chunk: LineQueue.Chunk, _ compressors: CompressorList) throws(NebulaError) {
    bytes = try Self.bytes(of: chunk, compressors)
    let count = min(bytes.count, Manifest.Tail.length)
    let last = UnsafeRawBufferPointer(rebasing: bytes.base[(bytes.count - count)...])
    tail = Manifest.Tail(bytes: count, sha256: Crypto.hex(Crypto.sha256(last)))
    md5 = Crypto.md5(bytes.base)
  }

  private static func bytes(of chunk: LineQueue.Chunk, _ compressors: CompressorList) throws(NebulaError) -> SharedBytes
  {
    if compressors.codec == .none {
      if chunk.parts.count == 1, let part = chunk.parts.first, part.bytes == part.run.bytes.count {
        return part.run.bytes
      }
      let output = OutputBuffer(capacity: chunk.bytes)
      for part in chunk.parts { output.append(UnsafeRawBufferPointer(rebasing: part.run.bytes.base[part.range])) }
      return output.withBytes { SharedBytes(copying: $0) }
    }
    let compressor = try compressors.take()
    defer { compressors.giveBack(compressor) }
    let output = OutputBuffer(capacity: chunk.bytes / 4)
    for part in chunk.parts {
      try compressor.write(UnsafeRawBufferPointer(rebasing: part.run.bytes.base[part.range]), into: output)
    }
    try compressor.finish(into: output)
    return output.withBytes { SharedBytes(copying: $0) }
  }
}
