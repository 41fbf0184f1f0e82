import Glibc
import NebulaCore

/// Writes one hidden file of dead letters; closed when it is let go.
final class DeadLetterWriter {
  private let path: String
  private let number: Int32
  private var hash = SHA256()
  private var records: UInt64 = 0
  private var bytes: UInt64 = 0
  /// Set for good by a failed write: the file's end is then unknown.
  private var failure: NebulaError?

  /// Goes on behind `sealed`; else starts a new file (ids are never used twice: one that is there was left by an
  /// epoch that was never sealed).
  init(_ path: String, behind sealed: DeadLetterFile?) throws(NebulaError) {
    self.path = path
    number = open(path, O_RDWR | O_CREAT | O_CLOEXEC | (sealed == nil ? O_TRUNC : 0), 0o600)
    guard number >= 0 else { throw deadLetterError(errno, "Creating", path) }
    guard let sealed else { return }
    guard ftruncate(number, Int(sealed.bytes)) == 0 else { throw deadLetterError(errno, "Shortening", path) }
    try rehash(sealed.bytes)
    records = sealed.records
  }

  private func rehash(_ length: UInt64) throws(NebulaError) {
    var buffer = [UInt8](repeating: 0, count: 256 << 10)
    while bytes < length {
      let count = read(number, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw deadLetterError(count == 0 ? EIO : errno, "Reading", path) }
      hash.update(Array(buffer[0..<count]))
      bytes += UInt64(count)
    }
  }

  deinit { close(number) }

  func append(_ rejected: [RejectedRecord]) throws(NebulaError) {
    if let failure { throw failure }
    for record in rejected { try write(DeadLetterLine(record).bytes) }
    records += UInt64(rejected.count)
  }

  private func write(_ line: [UInt8]) throws(NebulaError) {
    var done = 0
    while done < line.count {
      let count = line.withUnsafeBytes { Glibc.write(number, $0.baseAddress?.advanced(by: done), line.count - done) }
      if count > 0 {
        done += count
      } else if count == 0 || errno != EINTR {
        let error = deadLetterError(count == 0 ? ENOSPC : errno, "Writing", path)
        failure = error
        throw error
      }
    }
    hash.update(line)
    bytes += UInt64(line.count)
  }

  /// Makes the content durable and describes it.
  func finish(name: String) throws(NebulaError) -> DeadLetterFile {
    if let failure { throw failure }
    guard fsync(number) == 0 else {
      let error = deadLetterError(errno, "Flushing", path)
      failure = error
      throw error
    }
    var copy = hash
    return DeadLetterFile(name: name, records: records, bytes: bytes, sha256: SHA256.hex(copy.finish()))
  }
}

/// One dead letter as a JSON object and a newline.
struct DeadLetterLine {
  private(set) var bytes: [UInt8] = []

  init(_ record: RejectedRecord) {
    let (error, place) = (record.error, record.error.place)
    bytes = [UInt8(ascii: "{")]
    member("code", text: error.code.rawValue)
    member("message", text: error.message)
    member("remedy", text: error.remedy)
    member("place", text: place?.description)
    member("namespace", text: place?.path)
    member("line", raw: place?.line.map(String.init))
    member("column", raw: place?.column.map(String.init))
    member("key", text: place?.key)
    member("native", text: error.native)
    member("format", text: "\(record.format)")
    if let text = String(validating: record.payload, as: UTF8.self) {
      member("payload", text: text)
    } else {
      member("payloadBase64", text: Self.base64(record.payload))
    }
    bytes += Array("}\n".utf8)
  }

  private mutating func member(_ name: StaticString, text: String?) {
    start(name)
    guard let text else { return bytes += Array("null".utf8) }
    bytes.append(UInt8(ascii: "\""))
    for byte in text.utf8 { append(escaped: byte) }
    bytes.append(UInt8(ascii: "\""))
  }

  private mutating func member(_ name: StaticString, raw: String?) {
    start(name)
    bytes += Array((raw ?? "null").utf8)
  }

  private mutating func start(_ name: StaticString) {
    if bytes.count > 1 { bytes.append(UInt8(ascii: ",")) }
    bytes += Array("\"\(name)\":".utf8)
  }

  private mutating func append(escaped byte: UInt8) {
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
    case 0x0A: bytes += Array("\\n".utf8)
    case 0x0D: bytes += Array("\\r".utf8)
    case 0x09: bytes += Array("\\t".utf8)
    case 0..<0x20: bytes += Array("\\u00".utf8) + Array(SHA256.hex([byte]).utf8)
    default: bytes.append(byte)
    }
  }

  private static func base64(_ payload: [UInt8]) -> String {
    let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var text: [UInt8] = []
    text.reserveCapacity((payload.count + 2) / 3 * 4)
    for start in stride(from: 0, to: payload.count, by: 3) {
      let piece = payload[start..<min(start + 3, payload.count)]
      let bits = piece.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - piece.count))
      for index in 0..<4 {
        text.append(index <= piece.count ? letters[Int(bits >> UInt32(18 - 6 * index) & 63)] : UInt8(ascii: "="))
      }
    }
    return String(decoding: text, as: UTF8.self)
  }
}
