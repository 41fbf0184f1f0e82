import NebulaCore
import NebulaFormats

/// The decoded bytes of one file, in order, up to a limit of raw bytes.
final class DecodedFile {
  let file: FileDescriptor
  /// Raw bytes that may be read; may grow.
  var limit: UInt64
  /// Raw bytes read.
  private(set) var rawOffset: UInt64 = 0
  /// Decoded bytes given out, or passed over by `seek`.
  private(set) var offset: UInt64 = 0
  private let decompressor: Decompressor?
  private var input: [UInt8] = []
  private var inputTaken = 0
  private let decoded = OutputBuffer()
  private var decodedTaken = 0

  init(_ path: String, _ codec: Codec, limit: UInt64) throws(NebulaError) {
    file = try FileDescriptor(opening: path)
    self.limit = limit
    decompressor = codec == .none ? nil : Decompressor(codec)
  }

  var isCompressed: Bool { decompressor != nil }

  /// Plain files only.
  func seek(to offset: UInt64) throws(NebulaError) {
    try file.seek(to: Int(offset))
    rawOffset = offset
    self.offset = offset
  }

  /// Reads some bytes; 0 at the limit. Throws when compressed bytes end in the middle there.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws(NebulaError) -> Int {
    let count = try readDecoded(into: buffer)
    offset += UInt64(count)
    return count
  }

  private func readDecoded(into buffer: UnsafeMutableRawBufferPointer) throws(NebulaError) -> Int {
    guard let decompressor else { return try readRaw(into: buffer) }
    while decodedTaken == decoded.count {
      decoded.removeAll()
      decodedTaken = 0
      if inputTaken == input.count, !decompressor.hasMore, try !readInput() {
        try placed { () throws(NebulaError) in try decompressor.finish() }
        return 0
      }
      try decode(decompressor)
    }
    return decoded.withBytes { bytes in
      let count = min(buffer.count, bytes.count - decodedTaken)
      buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[decodedTaken..<decodedTaken + count]))
      decodedTaken += count
      return count
    }
  }

  private func decode(_ decompressor: Decompressor) throws(NebulaError) {
    let enough = 256 << 10
    try placed { () throws(NebulaError) in
      try input.withRaw { (bytes) throws(NebulaError) in
        let rest = UnsafeRawBufferPointer(rebasing: bytes[inputTaken...])
        inputTaken += try decompressor.write(rest, into: decoded, limit: enough)
      }
    }
  }

  private func placed(_ body: () throws(NebulaError) -> Void) throws(NebulaError) {
    do { try body() } catch {
      var error = error
      error.place = .init(path: file.path)
      throw error
    }
  }

  private func readRaw(into buffer: UnsafeMutableRawBufferPointer) throws(NebulaError) -> Int {
    let room = min(buffer.count, Int(clamping: limit - min(limit, rawOffset)))
    guard room > 0 else { return 0 }
    let count = try file.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[0..<room]))
    guard count > 0 else { throw changed("is shorter than it was when it was listed") }
    rawOffset += UInt64(count)
    return count
  }

  private func readInput() throws(NebulaError) -> Bool {
    if input.count != 65_536 { input = [UInt8](repeating: 0, count: 65_536) }
    let count = try input.withMutableRaw { (bytes) throws(NebulaError) in try readRaw(into: bytes) }
    if count < input.count { input.removeLast(input.count - count) }
    inputTaken = 0
    return count > 0
  }

  func changed(_ what: String) -> NebulaError { fileChanged(file.path, what) }
}

/// The error for a file that is no longer what it was.
func fileChanged(_ path: String, _ what: String) -> NebulaError {
  NebulaError(
    .fileChanged, "The file \(path) \(what).",
    remedy: "Put the old content back, or give the new file a new name; `state reset` reads everything again.",
    at: .init(path: path))
}
