internal import CIsal
internal import CZlib
internal import CZstd
public import NebulaCore

/// Compresses a stream of bytes into one gzip member or zstd frame at a time; one context for as many as are wanted.
///
/// gzip levels 0…3 are isa-l's, 4…9 zlib's; zstd's are libzstd's, with a content checksum.
public final class Compressor {
  /// The codec.
  public let codec: Codec
  private let engine: any CompressionEngine

  /// Makes a compressor; without a level it takes the codec's default.
  public init(_ codec: Codec, level: Int? = nil) throws(NebulaError) {
    let level = level ?? codec.defaultLevel
    guard codec.levels.contains(level) || codec == .none else {
      throw NebulaError(
        .badCompressionLevel,
        "\(codec.rawValue) has levels \(codec.levels.lowerBound) to \(codec.levels.upperBound), not \(level).",
        remedy: "Choose one of them, or leave the level out.", exit: .configuration)
    }
    self.codec = codec
    engine =
      switch codec {
      case .none: PassThrough()
      case .gzip: level <= 3 ? IsalDeflate(level: level) : try ZlibDeflate(level: level)
      case .zstd: try ZstdCompression(level: level)
      }
  }

  /// Compresses `bytes`; some of the output may come with a later call.
  public func write(_ bytes: UnsafeRawBufferPointer, into output: OutputBuffer) throws(NebulaError) {
    if bytes.count > 0 { try engine.write(bytes, last: false, into: output) }
  }
  /// Ends the member or frame, so that `output` holds all of it; the next write starts a new one.
  public func finish(into output: OutputBuffer) throws(NebulaError) {
    try engine.write(UnsafeRawBufferPointer(start: nil, count: 0), last: true, into: output)
  }
}

/// One codec's way of compressing: takes all input; `last` ends the member and makes ready for a new one.
protocol CompressionEngine: AnyObject {
  func write(_ bytes: UnsafeRawBufferPointer, last: Bool, into output: OutputBuffer) throws(NebulaError)
}

/// The room that is offered to a codec per call.
let codecRoom = 64 << 10

func codecFailure(_ library: String, _ what: String) -> NebulaError {
  NebulaError(.codecFailed, "\(library) failed: \(what).", remedy: "Check the free memory; else report the defect.")
}

private final class PassThrough: CompressionEngine {
  func write(_ bytes: UnsafeRawBufferPointer, last: Bool, into output: OutputBuffer) throws(NebulaError) {
    output.append(bytes)
  }
}

/// gzip by isa-l, levels 0…3.
private final class IsalDeflate: CompressionEngine {
  private let stream = UnsafeMutablePointer<isal_zstream>.allocate(capacity: 1)
  private let work: UnsafeMutableRawBufferPointer
  private let level: UInt32

  init(level: Int) {
    self.level = UInt32(level)
    let size = Int(nebula_isal_level_buffer_size(Int32(level)))
    work = .allocate(byteCount: max(size, 1), alignment: 64)
    isal_deflate_init(stream)
    configure()
  }
  deinit {
    stream.deallocate()
    work.deallocate()
  }
  private func configure() {
    stream.pointee.level = level
    stream.pointee.level_buf = work.baseAddress?.assumingMemoryBound(to: UInt8.self)
    stream.pointee.level_buf_size = level == 0 ? 0 : UInt32(work.count)
    stream.pointee.gzip_flag = UInt16(IGZIP_GZIP)
    stream.pointee.flush = 0
    stream.pointee.end_of_stream = 0
  }

  func write(_ bytes: UnsafeRawBufferPointer, last: Bool, into output: OutputBuffer) throws(NebulaError) {
    var rest = bytes
    repeat {
      let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(1 << 30))
      rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(piece.count))
      stream.pointee.next_in = UnsafeMutablePointer(mutating: piece.baseAddress?.assumingMemoryBound(to: UInt8.self))
      stream.pointee.avail_in = UInt32(piece.count)
      stream.pointee.end_of_stream = last && rest.isEmpty ? 1 : 0
      var full = false
      repeat {
        var status: Int32 = 0
        output.withSpare(minimum: codecRoom) { room in
          let size = min(room.count, 1 << 30)
          stream.pointee.next_out = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
          stream.pointee.avail_out = UInt32(size)
          status = isal_deflate(stream)
          full = stream.pointee.avail_out == 0
          return size - Int(stream.pointee.avail_out)
        }
        guard status == 0 else { throw codecFailure("isa-l", "isal_deflate returned \(status)") }
      } while full || stream.pointee.avail_in > 0
    } while !rest.isEmpty
    guard last else { return }
    isal_deflate_reset(stream)
    configure()
  }
}

/// gzip by zlib, levels 4…9.
private final class ZlibDeflate: CompressionEngine {
  private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)

  init(level: Int) throws(NebulaError) {
    stream.initialize(to: z_stream())
    let status = nebula_deflate_init_gzip(stream, Int32(level))
    guard status == Z_OK else { throw codecFailure("zlib", "deflateInit2 returned \(status)") }
  }
  deinit {
    deflateEnd(stream)
    stream.deallocate()
  }

  func write(_ bytes: UnsafeRawBufferPointer, last: Bool, into output: OutputBuffer) throws(NebulaError) {
    var rest = bytes
    repeat {
      let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(1 << 30))
      rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(piece.count))
      stream.pointee.next_in = UnsafeMutablePointer(mutating: piece.baseAddress?.assumingMemoryBound(to: UInt8.self))
      stream.pointee.avail_in = UInt32(piece.count)
      var full = false
      repeat {
        var status: Int32 = 0
        output.withSpare(minimum: codecRoom) { room in
          let size = min(room.count, 1 << 30)
          stream.pointee.next_out = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
          stream.pointee.avail_out = UInt32(size)
          status = deflate(stream, last && rest.isEmpty ? Z_FINISH : Z_NO_FLUSH)
          full = stream.pointee.avail_out == 0
          return size - Int(stream.pointee.avail_out)
        }
        guard status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR else {
          throw codecFailure("zlib", "deflate returned \(status)")
        }
      } while full
    } while !rest.isEmpty
    if last { deflateReset(stream) }
  }
}

/// zstd by libzstd.
private final class ZstdCompression: CompressionEngine {
  private let context: OpaquePointer

  init(level: Int) throws(NebulaError) {
    guard let context = ZSTD_createCCtx() else { throw codecFailure("libzstd", "no context") }
    self.context = context
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, Int32(level))
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
  }
  deinit { ZSTD_freeCCtx(context) }

  func write(_ bytes: UnsafeRawBufferPointer, last: Bool, into output: OutputBuffer) throws(NebulaError) {
    var input = ZSTD_inBuffer(src: bytes.baseAddress, size: bytes.count, pos: 0)
    var left = 0
    repeat {
      output.withSpare(minimum: codecRoom) { room in
        var out = ZSTD_outBuffer(dst: room.baseAddress, size: room.count, pos: 0)
        left = ZSTD_compressStream2(context, &out, &input, last ? ZSTD_e_end : ZSTD_e_continue)
        return out.pos
      }
      guard ZSTD_isError(left) == 0 else {
        throw codecFailure("libzstd", String(cString: ZSTD_getErrorName(left)))
      }
    } while input.pos < input.size || (last && left > 0)
  }
}
