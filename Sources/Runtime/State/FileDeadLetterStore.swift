import Glibc
public import NebulaCore

/// Dead letters as JSON Lines, one file an epoch: written under a hidden name, durable before the intent that lists
/// it, renamed visible after the receipt (docs/design.md). Each line says what was wrong, what to do, where the record
/// stood, and holds the record itself.
public actor FileDeadLetterStore: DeadLetterStore {
  private let executor = ThreadExecutor()
  /// Blocks, so it runs on a thread of its own.
  public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

  private let folder: String
  private var open: [EpochID: DeadLetterWriter] = [:]
  /// Files that are sealed and not yet visible: a load that finds bad rows adds to one.
  private var sealed: [String: DeadLetterFile] = [:]

  private let redactor: Redactor

  /// Keeps the files in `folder`, which is made when missing (0700). What is said of a record goes through `redactor`;
  /// the record itself is kept as it came.
  public init(folder: String, redactor: Redactor = Redactor(secrets: [])) {
    self.folder = folder
    self.redactor = redactor
  }
  deinit { executor.stop() }

  private func hidden(_ name: String) -> String { "\(folder)/.\(name)" }
  private static func name(_ epoch: EpochID) -> String { "\(epoch).jsonl" }

  /// Appends to the epoch's hidden file; to a sealed one too, until it is published.
  public func append(_ records: [RejectedRecord], to epoch: EpochID) async throws {
    guard !records.isEmpty else { return }
    if open[epoch] == nil {
      try makeFolder()
      let name = Self.name(epoch)
      open[epoch] = try DeadLetterWriter(hidden(name), behind: sealed[name])
    }
    try open[epoch]?.append(
      records.map { RejectedRecord($0.error.redacted(by: redactor), payload: $0.payload, format: $0.format) })
  }

  /// Flushes file and folder; nil when there is nothing.
  public func seal(_ epoch: EpochID) async throws -> DeadLetterFile? {
    guard let writer = open[epoch] else { return sealed[Self.name(epoch)] }
    let file = try writer.finish(name: Self.name(epoch))
    try sync()
    open[epoch] = nil
    sealed[file.name] = file
    return file
  }

  /// Renames the hidden file to its name; a visible file with the right content is accepted as done.
  public func publish(_ file: DeadLetterFile) async throws {
    guard !file.name.contains("/"), !file.name.isEmpty else { throw notWhole(file, "has no name that fits") }
    let visible = "\(folder)/\(file.name)"
    try cut(file)
    if try isWhole(hidden(file.name), file) {
      // link, not rename: a name that is taken is never overwritten
      guard link(hidden(file.name), visible) == 0 || errno == EEXIST else {
        throw deadLetterError(errno, "Publishing", visible)
      }
      guard try isWhole(visible, file) else { throw notWhole(file, "exists with other content") }
      try remove(hidden(file.name))
    } else if try !isWhole(visible, file) {
      throw notWhole(file, "is missing or not whole")
    }
    sealed[file.name] = nil
    try sync()
  }

  /// The same for the last receipt's file at start; a file that somebody took care of and moved away is no error.
  public func publishAgain(_ file: DeadLetterFile) async throws {
    let names = [hidden(file.name), "\(folder)/\(file.name)"]
    guard names.contains(where: { access($0, F_OK) == 0 }) else { return }
    try await publish(file)
  }

  /// Removes the hidden file of an epoch that is not committed.
  public func discard(_ epoch: EpochID) async throws {
    open[epoch] = nil
    sealed[Self.name(epoch)] = nil
    try remove(hidden(Self.name(epoch)))
  }

  /// Removes hidden files that nobody names, of this generation's epochs and older ones; those being written stay.
  /// Kept files are cut to what their intent says: a death may have come between a later addition and its intent.
  public func sweep(keeping files: [DeadLetterFile], through generation: UInt64) async throws {
    for file in files {
      try cut(file)
      sealed[file.name] = file
    }
    let kept = Set(files.map(\.name)).union(open.keys.map(Self.name))
    for name in try hiddenNames() where !kept.contains(name) {
      guard let found = UInt64(name.prefix { $0 != "-" }), found <= generation else { continue }
      sealed[name] = nil
      try remove(hidden(name))
    }
  }

  private func hiddenNames() throws(NebulaError) -> [String] {
    guard let entries = opendir(folder) else {
      if errno == ENOENT { return [] }
      throw deadLetterError(errno, "Listing", folder)
    }
    defer { closedir(entries) }
    var names: [String] = []
    while let entry = readdir(entries) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name.hasPrefix("."), name.hasSuffix(".jsonl") { names.append(String(name.dropFirst())) }
    }
    return names
  }

  // MARK: Files

  private func makeFolder() throws(NebulaError) {
    guard mkdir(folder, 0o700) == 0 else {
      if errno == EEXIST { return }
      throw deadLetterError(errno, "Making the folder", folder)
    }
    try sync("\(folder)/..")
  }

  /// Drops what stands behind the end that the file is known to have.
  private func cut(_ file: DeadLetterFile) throws(NebulaError) {
    var status = stat()
    let path = hidden(file.name)
    guard stat(path, &status) == 0, UInt64(status.st_size) > file.bytes else { return }
    guard truncate(path, Int(file.bytes)) == 0 else { throw deadLetterError(errno, "Shortening", path) }
  }

  private func remove(_ path: String) throws(NebulaError) {
    guard unlink(path) == 0 || errno == ENOENT else { throw deadLetterError(errno, "Removing", path) }
  }

  private func sync(_ path: String? = nil) throws(NebulaError) {
    let path = path ?? folder
    let number = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard number >= 0 else { throw deadLetterError(errno, "Opening", path) }
    defer { close(number) }
    guard fsync(number) == 0 else { throw deadLetterError(errno, "Flushing", path) }
  }

  private func isWhole(_ path: String, _ file: DeadLetterFile) throws(NebulaError) -> Bool {
    let number = Glibc.open(path, O_RDONLY | O_CLOEXEC)
    if number < 0, errno == ENOENT { return false }
    guard number >= 0 else { throw deadLetterError(errno, "Opening", path) }
    defer { close(number) }
    var (hash, length) = (SHA256(), UInt64(0))
    var buffer = [UInt8](repeating: 0, count: 256 << 10)
    while true {
      let count = read(number, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw deadLetterError(errno, "Reading", path) }
      if count == 0 { return length == file.bytes && SHA256.hex(hash.finish()) == file.sha256 }
      length += UInt64(count)
      buffer.withUnsafeBytes { hash.update(UnsafeRawBufferPointer(rebasing: $0[0..<count])) }
    }
  }

  private func notWhole(_ file: DeadLetterFile, _ what: String) -> NebulaError {
    NebulaError(
      .deadLettersDamaged, "The dead letter file \(file.name) \(what).",
      remedy: "Bring the file back, or look into the folder for who changed it; the records are counted as rejected.",
      at: .init(path: "\(folder)/\(file.name)"))
  }
}

extension NebulaError.Code {
  /// A dead letter file could not be written.
  public static let deadLettersFailed: Self = "dead_letters.failed"
  /// The disk is full where dead letters lie.
  public static let deadLettersDiskFull: Self = "dead_letters.disk_full"
  /// A dead letter file is not what its intent says.
  public static let deadLettersDamaged: Self = "dead_letters.damaged"
}

/// The errors of dead letters, for the docs.
public let deadLetterErrors: [ErrorSpecification] = [
  .init(
    .deadLettersFailed, "A dead letter file could not be written.", remedy: "Look at the disk and the folder's owner."),
  .init(.deadLettersDiskFull, "The disk is full where dead letters lie.", remedy: "Make room; nothing is lost."),
  .init(.deadLettersDamaged, "A dead letter file is missing or changed.", remedy: "Bring the file back."),
]

func deadLetterError(_ number: Int32, _ doing: String, _ path: String) -> NebulaError {
  let message = "\(doing) \(path) failed: \(String(cString: strerror(number)))."
  guard number == ENOSPC || number == EDQUOT || number == EFBIG else {
    return NebulaError(
      .deadLettersFailed, message, remedy: "Look at the disk and at the folder's owner; nothing is lost.",
      at: .init(path: path), native: "errno \(number)", exit: .environment)
  }
  return NebulaError(
    .deadLettersDiskFull, message, remedy: "Make room there; nothing is lost, and the next start goes on.",
    at: .init(path: path), native: "errno \(number)", disposition: .retry(after: nil), exit: .environment)
}
