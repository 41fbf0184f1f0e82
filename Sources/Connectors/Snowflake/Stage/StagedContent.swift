internal import NebulaCore
internal import NebulaFormats
internal import NebulaHTTP
internal import NebulaObjectStores

/// `GET`: says where a staged file lies, and by which key it is decrypted; the local path is never written.
struct GetStatement: Sendable {
  let text: String
  init(file: String, folder: String, stage: TableName) {
    text = "GET \(stageLocation(stage, folder))\(file) file:///nebula/"
  }
}

/// Where a staged file can be read back.
struct StagedSource: Sendable {
  let store: any ReadableObjectStore
  let key: String
  /// Of an internal stage: what decrypts the file.
  let ticket: StageTicket?

  static var expired: NebulaError {
    NebulaError(
      .credentialsExpired, "The credentials for a staged file expired while it was read.",
      remedy: "It is read again.", disposition: .retry(after: nil))
  }
}

extension Stage {
  /// Reads a staged file back, row by row, as it was staged; `row` is given its number and line, from 1.
  ///
  /// The file is proven to be what was uploaded: its digest and its number of rows are those of the manifest.
  func read(
    _ file: StagedFile, of table: StagedTable, row: (StagedRows.Row) throws(NebulaError) -> Void
  ) async throws {
    let source = try await source(of: file, in: table.folder)
    let dialect = CSVDialect(delimiter: table.delimiter.utf8.first ?? UInt8(ascii: ","))
    let rows = StagedRows(format: table.layout.format, codec: table.compression.codec, dialect)
    try await fetch(source, into: rows, row)
    guard hexText(rows.digest.finish()) == file.sha256, rows.count == file.rows else {
      throw unreadable(file, "it is not what was uploaded: \(rows.count) rows instead of \(file.rows)")
    }
  }

  private func fetch(
    _ source: StagedSource, into rows: StagedRows,
    _ row: (StagedRows.Row) throws(NebulaError) -> Void
  ) async throws {
    var at = 0
    var cipher: Crypto.AESCBC?
    var size = 1
    while at < size {
      guard let part = try await source.store.read(source.key, range: at..<at + StagedRows.step) else { break }
      if at == 0, let ticket = source.ticket, let master = ticket.masterKey {
        cipher = try FileEncryption(part.object.metadata, master, at: ticket.type).decryptor()
      }
      size = part.object.size
      at += part.bytes.count
      guard !part.bytes.isEmpty else { break }
      let isLast = at >= size
      try rows.add(try plain(part.bytes, cipher, isLast: isLast), row)
    }
    try rows.finish(row)
  }

  private func plain(
    _ bytes: [UInt8], _ cipher: Crypto.AESCBC?, isLast: Bool
  ) throws -> [UInt8] {
    guard let cipher else { return bytes }
    var output: [UInt8] = []
    try bytes.withUnsafeBytes { try cipher.update($0, into: &output) }
    if isLast { try cipher.finish(into: &output) }
    return output
  }

  func unreadable(_ file: StagedFile, _ why: String) -> NebulaError {
    NebulaError(
      .stageFailed, "The staged file \(file.name) can't be read back: \(why).",
      remedy: "Find out who removes or changes files in the stage; the epoch is looked at again.",
      at: .init(path: "\(name.sql)/\(file.name)"), disposition: .reconnect)
  }
}

/// Turns a staged file's bytes into its rows. One owner at a time.
final class StagedRows {
  struct Row {
    /// From 1.
    let number: UInt64
    /// The line on which it starts, from 1; a CSV row may have several.
    let line: Int
    /// Without its line end.
    let bytes: UnsafeRawBufferPointer
  }
  private enum Cutter {
    case lines(LineSplitter)
    case csv(CSVRowScanner)
  }
  /// Of the compressed bytes.
  let digest = Crypto.SHA256()
  private(set) var count: UInt64 = 0
  private var line = 1
  private var cutter: Cutter
  private let decompressor: Decompressor
  private let buffer = OutputBuffer(capacity: 256 << 10)
  /// So many bytes are fetched at once.
  static let step = 4 << 20

  init(format: FileFormat, codec: Codec, _ dialect: CSVDialect = CSVDialect()) {
    cutter = format == .csv ? .csv(CSVRowScanner(dialect)) : .lines(LineSplitter())
    decompressor = Decompressor(codec)
  }

  /// Takes compressed bytes, and hands out the rows that are whole.
  func add(_ bytes: [UInt8], _ row: (Row) throws(NebulaError) -> Void) throws {
    digest.update(bytes)
    var at = 0
    while at < bytes.count {
      let end = min(at + (64 << 10), bytes.count)
      try bytes.withUnsafeBytes { raw in
        try decompressor.write(UnsafeRawBufferPointer(rebasing: raw[at..<end]), into: buffer)
      }
      at = end
      try cut(isLast: false, row)
    }
  }

  /// The last row, if it has no line end.
  func finish(_ row: (Row) throws(NebulaError) -> Void) throws(NebulaError) {
    try decompressor.finish()
    try cut(isLast: true, row)
  }

  private func cut(isLast: Bool, _ row: (Row) throws(NebulaError) -> Void) throws(NebulaError) {
    let used = try buffer.withBytes { (bytes) throws(NebulaError) -> Int in
      while let range = next(bytes, isLast: isLast) {
        count += 1
        let content = UnsafeRawBufferPointer(rebasing: bytes[range])
        try row(Row(number: count, line: line, bytes: content))
        line += 1 + content.count { $0 == UInt8(ascii: "\n") }
      }
      return consumed
    }
    guard used > 0 else { return }
    let rest = buffer.withBytes { Array($0[used...]) }
    buffer.removeAll(keepingCapacity: true)
    buffer.append(rest)
    discard(used)
  }

  private var consumed: Int {
    switch cutter {
    case .lines(let splitter): splitter.consumed
    case .csv(let scanner): scanner.consumed
    }
  }

  private func next(_ bytes: UnsafeRawBufferPointer, isLast: Bool) -> Range<Int>? {
    switch cutter {
    case .lines(var splitter):
      defer { cutter = .lines(splitter) }
      return splitter.next(in: bytes) ?? (isLast ? splitter.finish(in: bytes) : nil)
    case .csv(var scanner):
      defer { cutter = .csv(scanner) }
      return scanner.next(in: bytes) ?? (isLast ? scanner.finish(in: bytes) : nil)
    }
  }

  private func discard(_ used: Int) {
    switch cutter {
    case .lines(var splitter):
      splitter.discard(used)
      cutter = .lines(splitter)
    case .csv(var scanner):
      scanner.discard(used)
      cutter = .csv(scanner)
    }
  }
}

extension FileEncryption {
  /// What a store keeps with an encrypted file.
  init(_ metadata: [String: String], _ master: StageMasterKey, at location: StageTicket.LocationType)
    throws(NebulaError)
  {
    let data = metadata["encryptiondata"].flatMap { try? JSONValue(parsing: $0) }
    let key = location == .s3 ? metadata["x-amz-key"] : data?["WrappedContentKey"]?["EncryptedKey"]?.string
    let iv = location == .s3 ? metadata["x-amz-iv"] : data?["ContentEncryptionIV"]?.string
    guard let wrapped = key.flatMap({ Crypto.bytes(base64: $0) }), let start = iv.flatMap({ Crypto.bytes(base64: $0) })
    else {
      throw NebulaError(
        .stageFailed, "A staged file has no key in its metadata.", remedy: "Find out who wrote it, and how.")
    }
    try self.init(master, fileKey: try Crypto.aesECBUnwrap(wrapped, with: master.key), iv: start)
  }

  func decryptor() throws(NebulaError) -> Crypto.AESCBC { try Crypto.AESCBC.decryptor(key: fileKey, iv: iv) }
}
