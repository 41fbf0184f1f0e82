internal import FoundationEssentials
internal import Glibc
public import NebulaCore

/// Keeps dead letters as JSON lines, one file an epoch, in a folder of their own: hidden (`.NAME`) until the epoch has
/// its receipt.
public actor FileDeadLetterStore: DeadLetterStore {
  private let executor = ThreadExecutor()
  /// Called by the concurrency runtime.
  public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

  private let folder: String
  private let redactor: Redactor
  /// Files that this process made, and that nobody else has reason to touch before they are visible.
  private var sealed: Set<String> = []

  /// A store in `folder`, which is made when it is needed. Errors are written through `redactor`.
  public init(folder: String, redactor: Redactor) {
    self.folder = folder
    self.redactor = redactor
  }
  deinit { executor.stop() }

  public func append(_ records: [RejectedRecord], to epoch: EpochID) async throws {
    guard !records.isEmpty else { return }
    try makePrivateFolder(folder)
    var lines = Data()
    for record in records {
      lines.append(try encode(record))
      lines.append(UInt8(ascii: "\n"))
    }
    let path = hidden(name(epoch))
    let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw failure(path) }
    defer { close(file) }
    var rest = Array(lines)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw failure(path) }
      rest = rest.dropFirst(count)
    }
  }

  public func seal(_ epoch: EpochID) async throws -> DeadLetterFile? {
    let path = hidden(name(epoch))
    guard access(path, F_OK) == 0 else { return nil }
    let described = try describe(path, as: name(epoch))
    try sync(path, O_RDWR)
    try sync(folder, O_RDONLY | O_DIRECTORY)
    sealed.insert(described.name)
    return described
  }

  public func publish(_ file: DeadLetterFile) async throws {
    let (from, to) = (hidden(file.name), "\(folder)/\(file.name)")
    guard access(from, F_OK) == 0 else {
      // A start publishes the last file again: it is visible by now, or a person has taken it away to work on it.
      guard !sealed.contains(file.name) || access(to, F_OK) == 0 else { throw broken(file, "is missing") }
      return
    }
    guard try describe(from, as: file.name) == file else { throw broken(file, "has other content") }
    guard rename(from, to) == 0 else { throw failure(to) }
    sealed.remove(file.name)
    try sync(folder, O_RDONLY | O_DIRECTORY)
  }

  public func discard(_ epoch: EpochID) async throws { unlink(hidden(name(epoch))) }

  public func sweep(keeping files: [DeadLetterFile], through generation: UInt64) async throws {
    let end = name(EpochID(generation: generation, sequence: .max))
    let kept = Dictionary(files.map { ($0.name, $0) }) { a, _ in a }
    for entry in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
      let name = String(entry.dropFirst())
      guard entry.hasPrefix("."), name.hasSuffix(".jsonl"), name <= end else { continue }
      if let file = kept[name] {
        // What a dead writer added behind the part that its intent lists will be added again.
        var status = stat()
        if stat(hidden(name), &status) == 0, status.st_size > Int(file.bytes) { truncate(hidden(name), Int(file.bytes)) }
      } else {
        unlink(hidden(name))
      }
    }
  }

  // MARK: - Parts

  private func name(_ epoch: EpochID) -> String { "\(epoch).jsonl" }
  private func hidden(_ name: String) -> String { "\(folder)/.\(name)" }

  private func encode(_ record: RejectedRecord) throws -> Data {
    let text = String(validating: record.payload, as: UTF8.self)
    let error = record.error.redacted(by: redactor)
    let line = DeadLetter(
      code: error.code.rawValue, message: error.message, remedy: error.remedy, place: error.place?.description,
      native: error.native, format: "\(record.format)", payload: text,
      payloadBase64: text == nil ? Data(record.payload).base64EncodedString() : nil)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return try encoder.encode(line)
  }

  private func describe(_ path: String, as name: String) throws -> DeadLetterFile {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw failure(path) }
    defer { close(file) }
    var hash = SHA256()
    var (records, bytes) = (UInt64(0), UInt64(0))
    var piece = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = read(file, &piece, piece.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw failure(path) }
      if count == 0 { break }
      let part = piece[..<count]
      part.withUnsafeBytes { hash.update($0) }
      records += part.reduce(0) { $0 + ($1 == UInt8(ascii: "\n") ? 1 : 0) }
      bytes += UInt64(count)
    }
    return DeadLetterFile(name: name, records: records, bytes: bytes, sha256: SHA256.hex(hash.finish()))
  }

  private func sync(_ path: String, _ flags: Int32) throws {
    let file = open(path, flags | O_CLOEXEC)
    guard file >= 0 else { throw failure(path) }
    defer { close(file) }
    guard fsync(file) == 0 else { throw failure(path) }
  }

  private func failure(_ path: String) -> NebulaError {
    let code = errno
    return NebulaError(
      .deadLetters, "The dead letters \(path) could not be written: \(String(cString: strerror(code))).",
      remedy: "Free space on its disk, or mend its rights. Nothing is lost: it is tried again.", at: .init(path: path),
      native: "errno \(code)", disposition: .retry(after: .seconds(1)), exit: .environment)
  }

  private func broken(_ file: DeadLetterFile, _ what: String) -> NebulaError {
    NebulaError(
      .deadLetters, "The dead letter file \(file.name) of a committed epoch \(what).",
      remedy: "Put it back from a backup; or `nebula-swift state reset` to start over.", at: .init(path: folder))
  }
}

private struct DeadLetter: Encodable {
  let code: String
  let message: String
  let remedy: String
  let place: String?
  let native: String?
  let format: String
  let payload: String?
  let payloadBase64: String?
  enum CodingKeys: String, CodingKey {
    case code, message, remedy, place, native, format, payload
    case payloadBase64 = "payload_base64"
  }
}
