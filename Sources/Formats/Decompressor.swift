internal import CZstd
public import NebulaCore

/// Decompresses a stream of bytes: gzip members or zstd frames, any number of them one behind the other.
///
/// Damage is an error that names the offset in the compressed input. A hostile input may grow more than a
/// thousandfold, so whoever must bound memory uses `write(_:into:limit:)`.
public final class Decompressor {
  /// The codec.
  public let codec: Codec
  private let engine: any DecompressionEngine
  /// How many compressed bytes were taken so far.
  public private(set) var consumed: UInt64 = 0

  /// Makes a decompressor.
  public init(_ codec: Codec) {
    self.codec = codec
    engine =
      switch codec {
      case .none: CopyThrough()
      case .gzip: IsalInflate()
      case .zstd: ZstdDecompression()
      }
  }

  /// Decompresses all of `bytes`; feed small pieces (64 KiB), since the output has no other bound.
  public func write(_ bytes: UnsafeRawBufferPointer, into output: OutputBuffer) throws(NebulaError) {
    var rest = bytes
    repeat {
      let taken = try write(rest, into: output, limit: .max)
      rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(taken))
    } while !rest.isEmpty || engine.hasMore
  }

  /// Decompresses until `bytes` are used up or about `limit` bytes (at least one codec block, 64 KiB to 128 KiB)
  /// were written; returns how many of `bytes` were taken. Call again with the rest while any is left or
  /// `hasMore` is true.
  public func write(
    _ bytes: UnsafeRawBufferPointer, into output: OutputBuffer, limit: Int
  ) throws(NebulaError) -> Int {
    let start = output.count
    var rest = bytes
    repeat {
      let taken: Int
      do { taken = try engine.step(rest, into: output) } catch { throw describe(error) }
      consumed += UInt64(taken)
      rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(taken))
    } while (!rest.isEmpty || engine.hasMore) && output.count - start < limit
    return bytes.count - rest.count
  }

  /// True while output is waiting for which no more input is needed.
  public var hasMore: Bool { engine.hasMore }

  /// Says that the input has ended; throws when it ended in the middle of a member or frame.
  public func finish() throws(NebulaError) {
    guard engine.isBetweenMembers else {
      throw NebulaError(
        .truncatedCompression, "The \(codec.rawValue) input ends in the middle, after \(consumed) bytes.",
        remedy: "Copy the file again, or wait until it is complete.")
    }
  }

  private func describe(_ damage: Damage) -> NebulaError {
    let offset = consumed + UInt64(damage.taken)
    return NebulaError(
      .corruptCompression, "The \(codec.rawValue) input is damaged near byte \(offset): \(damage.reason).",
      remedy: "Write the file again from its origin.")
  }
}

/// What an engine saw, and how many bytes of this call's input it had taken by then.
struct Damage: Error {
  let reason: String
  let taken: Int
}

/// One codec's way of decompressing: one step takes some input and writes at most one room's worth of output.
protocol DecompressionEngine: AnyObject {
  /// True when nothing of a member or frame has been read, or all of it.
  var isBetweenMembers: Bool { get }
  /// True while another step without input may give output.
  var hasMore: Bool { get }
  func step(_ bytes: UnsafeRawBufferPointer, into output: OutputBuffer) throws(Damage) -> Int
}

private final class CopyThrough: DecompressionEngine {
  var isBetweenMembers: Bool { true }
  var hasMore: Bool { false }
  func step(_ bytes: UnsafeRawBufferPointer, into output: OutputBuffer) throws(Damage) -> Int {
    let taken = min(bytes.count, codecRoom)
    output.append(UnsafeRawBufferPointer(rebasing: bytes[0..<taken]))
    return taken
  }
}

/// zstd by libzstd; windows up to 128 MiB (the library's own limit) are accepted.
private final class ZstdDecompression: DecompressionEngine {
  private let context = ZSTD_createDCtx()
  private(set) var isBetweenMembers = true
  private(set) var hasMore = false
  deinit { ZSTD_freeDCtx(context) }

  func step(_ bytes: UnsafeRawBufferPointer, into output: OutputBuffer) throws(Damage) -> Int {
    guard bytes.count > 0 || hasMore else { return 0 }
    var input = ZSTD_inBuffer(src: bytes.baseAddress, size: bytes.count, pos: 0)
    let room = ZSTD_DStreamOutSize()
    var left = 0
    output.withSpare(minimum: room) { spare in
      var out = ZSTD_outBuffer(dst: spare.baseAddress, size: room, pos: 0)
      left = ZSTD_decompressStream(context, &out, &input)
      hasMore = left != 0 && out.pos == out.size
      return out.pos
    }
    guard ZSTD_isError(left) == 0 else {
      throw Damage(reason: String(cString: ZSTD_getErrorName(left)), taken: input.pos)
    }
    isBetweenMembers = left == 0
    return input.pos
  }
}
