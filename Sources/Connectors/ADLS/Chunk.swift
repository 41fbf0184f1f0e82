internal import NebulaCore
internal import NebulaFormats
internal import NebulaHTTP

/// Whole records of one partition that are appended at once. Kept in blocks that grow with what there is: thousands of
/// partitions with little to say cost little, and nothing is copied when one grows.
struct Chunk: Sendable {
  private(set) var blocks: [[UInt8]] = []
  private(set) var bytes = 0
  private(set) var records = 0
  /// What a new file starts with.
  let header: [UInt8]

  init(header: [UInt8] = []) { self.header = header }

  mutating func add(_ new: UnsafeRawBufferPointer, records: Int) {
    self.records += records
    bytes += new.count
    var rest = new[...]
    while !rest.isEmpty {
      let last = blocks.count - 1
      let room = last < 0 ? 0 : Self.size(of: last) - blocks[last].count
      guard room > 0 else {
        blocks.append([])
        blocks[last + 1].reserveCapacity(Self.size(of: last + 1))
        continue
      }
      blocks[last].append(contentsOf: UnsafeRawBufferPointer(rebasing: rest.prefix(room)))
      rest = rest.dropFirst(room)
    }
  }

  /// 2 KiB, and twice as much each time up to 64 KiB.
  private static func size(of block: Int) -> Int { 2048 << min(block, 5) }
}

/// Lines of one partition that wait to be appended, cut into chunks of whole records.
struct LineQueue {
  let partition: Partition
  private(set) var pending = Chunk()

  init(_ partition: Partition) { self.partition = partition }

  /// Adds a run of `slice`; the chunks of at most `most` bytes (or one record) that are full now.
  mutating func add(_ run: EncodedRun, of slice: EncodedSlice, most: Int) -> [Chunk] {
    var full: [Chunk] = []
    if pending.header != slice.header {
      if pending.records > 0 { full.append(pending) }
      pending = Chunk(header: slice.header)
    }
    var first = run.records.lowerBound
    while first < run.records.upperBound {
      var last = slice.end(of: run, from: first, room: most - pending.bytes)
      if last == first, pending.records == 0 { last = first + 1 }  // larger than a chunk: alone
      if last > first { pending.add(slice.bytes(of: first..<last), records: last - first) }
      first = last
      if first < run.records.upperBound || pending.bytes >= most { full.append(take()) }
    }
    return full
  }

  /// All that waits.
  mutating func take() -> Chunk {
    defer { pending = Chunk(header: pending.header) }
    return pending
  }
}

/// Bytes ready to be appended: compressed into members of their own, with their digest.
struct ChunkBody: Sendable {
  let bytes: SharedBytes
  let tail: Manifest.Tail
  let md5: [UInt8]

  init(_ chunk: Chunk, _ compressors: CompressorShelf) throws {
    bytes = SharedBytes(taking: try Self.output(of: chunk, compressors))
    let count = min(bytes.count, Manifest.Tail.length)
    let last = UnsafeRawBufferPointer(rebasing: bytes.base[(bytes.count - count)...])
    tail = Manifest.Tail(bytes: count, sha256: Crypto.hex(Crypto.sha256(last)))
    md5 = Crypto.md5(bytes.base)
  }

  private static func output(of chunk: Chunk, _ compressors: CompressorShelf) throws -> OutputBuffer {
    if compressors.codec == .none {
      let output = OutputBuffer(capacity: chunk.bytes)
      for block in chunk.blocks { output.append(block) }
      return output
    }
    let compressor = try compressors.take()
    defer { compressors.giveBack(compressor) }
    let output = OutputBuffer(capacity: chunk.bytes / 4)
    for block in chunk.blocks {
      try block.withUnsafeBytes { try compressor.write($0, into: output) }
    }
    try compressor.finish(into: output)
    return output
  }
}
