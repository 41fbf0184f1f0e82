internal import CIsal
internal import CSnappy
internal import CZstd
internal import NebulaCore

/// Compresses pages, each by itself.
final class ParquetCompression {
  private let codec: ParquetCodec
  private let gzip: Compressor?
  private let zstd: OpaquePointer?

  init(_ codec: ParquetCodec, level: Int?) throws(NebulaError) {
    self.codec = codec
    if let level, codec.levels?.contains(level) != true {
      let range = codec.levels.map { "levels \($0.lowerBound) to \($0.upperBound), not \(level)" } ?? "no levels"
      throw NebulaError(
        .badCompressionLevel, "Parquet's \(codec.rawValue) has \(range).",
        remedy: "Choose one of them, or leave the level out.", exit: .configuration)
    }
    gzip = codec == .gzip ? try Compressor(.gzip, level: level) : nil
    zstd = codec == .zstd ? ZSTD_createCCtx() : nil
    guard codec == .zstd else { return }
    guard let context = zstd else { throw codecFailure("libzstd", "no context") }
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, Int32(level ?? Codec.zstd.defaultLevel))
  }
  deinit { ZSTD_freeCCtx(zstd) }

  /// Appends a page's compressed form.
  func append(_ page: UnsafeRawBufferPointer, to output: OutputBuffer) throws(NebulaError) {
    switch codec {
    case .none: output.append(page)
    case .snappy: try snappy(page, output)
    case .gzip:
      try gzip?.write(page, into: output)
      try gzip?.finish(into: output)
    case .zstd: try zstd(page, output)
    }
  }

  private func snappy(_ page: UnsafeRawBufferPointer, _ output: OutputBuffer) throws(NebulaError) {
    try output.withSpare(minimum: snappy_max_compressed_length(page.count)) { (room) throws(NebulaError) in
      var size = room.count
      let status = snappy_compress(
        page.baseAddress?.assumingMemoryBound(to: CChar.self), page.count,
        room.baseAddress?.assumingMemoryBound(to: CChar.self), &size)
      guard status == SNAPPY_OK else { throw codecFailure("libsnappy", "snappy_compress returned \(status.rawValue)") }
      return size
    }
  }

  private func zstd(_ page: UnsafeRawBufferPointer, _ output: OutputBuffer) throws(NebulaError) {
    try output.withSpare(minimum: ZSTD_compressBound(page.count)) { (room) throws(NebulaError) in
      let size = ZSTD_compress2(zstd, room.baseAddress, room.count, page.baseAddress, page.count)
      guard ZSTD_isError(size) == 0 else { throw codecFailure("libzstd", String(cString: ZSTD_getErrorName(size))) }
      return size
    }
  }

  /// The checksum that readers may compare a page with.
  static func checksum(_ bytes: UnsafeRawBufferPointer) -> Int32 {
    guard let base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return 0 }
    return Int32(bitPattern: crc32_gzip_refl(0, base, UInt64(bytes.count)))
  }
}
