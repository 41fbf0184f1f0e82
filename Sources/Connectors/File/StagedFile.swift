import NebulaCore
import NebulaFormats
import NebulaHTTP

/// One file in the making: compressed, counted and hashed as it is written.
final class StagedFile {
  /// Below the destination's path.
  let name: String
  let header: [UInt8]
  private let file: FileDescriptor
  private let options: FileDestinationOptions
  private let compressor: Compressor?
  private let pending = OutputBuffer(capacity: 256 << 10)
  private let hash = Crypto.SHA256()
  private var written = 0
  private(set) var records = 0

  init(_ name: String, at path: String, header: [UInt8], _ options: FileDestinationOptions) throws(NebulaError) {
    self.name = name
    self.header = header
    self.options = options
    compressor =
      options.compression == .none ? nil : try Compressor(options.compression, level: options.compressionLevel)
    file = try FileDescriptor(opening: path, Self.newFile)
    try header.withRaw { (bytes) throws(NebulaError) in try add(bytes) }
  }

  /// Bytes as stored, as far as they are known.
  private var size: Int { written + pending.count }
  var isFull: Bool { records > 0 && (size >= options.maxFileSize.bytes || records >= options.maxFileRecords ?? .max) }

  /// Takes as many of the piece's records as fit, from `first` on; returns the first that it did not take.
  func append(_ piece: EncodedPiece, from first: Int) throws(NebulaError) -> Int {
    var next = first
    var start = first == 0 ? 0 : piece.ends[first - 1]
    while next < piece.ends.count, !isFull {
      let end = run(piece, from: next, start)
      if end == next { break }
      try piece.bytes.withBytes { (bytes) throws(NebulaError) in
        try add(UnsafeRawBufferPointer(rebasing: bytes[start..<piece.ends[end - 1]]))
      }
      records += end - next
      start = piece.ends[end - 1]
      next = end
    }
    return next
  }

  /// The end of the records that may be written at once: what fits uncompressed, or enough to look at the size again.
  private func run(_ piece: EncodedPiece, from next: Int, _ start: Int) -> Int {
    let most = min(
      piece.ends.count, next + (options.maxFileRecords ?? .max - next) - (options.maxFileRecords == nil ? 0 : records))
    let room = compressor == nil ? options.maxFileSize.bytes - size : 128 << 10
    if piece.ends[most - 1] - start <= room { return most }
    var low = next
    var high = most
    while low < high {
      let middle = (low + high) / 2
      if piece.ends[middle] - start <= room { low = middle + 1 } else { high = middle }
    }
    return low == next && (compressor != nil || records == 0) ? next + 1 : low
  }

  private func add(_ bytes: UnsafeRawBufferPointer) throws(NebulaError) {
    if let compressor {
      try compressor.write(bytes, into: pending)
    } else if pending.isEmpty, bytes.count >= 128 << 10 {
      return try write(bytes)
    } else {
      pending.append(bytes)
    }
    if pending.count >= 256 << 10 { try flush() }
  }

  private func flush() throws(NebulaError) {
    try pending.withBytes { (bytes) throws(NebulaError) in try write(bytes) }
    pending.removeAll()
  }

  private func write(_ bytes: UnsafeRawBufferPointer) throws(NebulaError) {
    guard !bytes.isEmpty else { return }
    try file.writeAll(bytes)
    hash.update(bytes)
    written += bytes.count
  }

  /// Makes the file complete and its content durable.
  func finish() throws(NebulaError) -> FileManifest.File {
    try compressor?.finish(into: pending)
    try flush()
    try file.setMode(options.mode)
    try file.sync()
    try file.close()
    return FileManifest.File(
      name: name, records: UInt64(records), bytes: UInt64(written), sha256: SHA256.hex(hash.finish()))
  }
}
