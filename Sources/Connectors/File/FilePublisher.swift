import Glibc
import NebulaCore
import NebulaHTTP

/// Makes staged files visible and answers what became of them, on a thread of its own.
///
/// A file is always in one place: staged, or under its final name (a rename onto a free name). The manifest is written
/// last and proves the commit.
actor FilePublisher {
  nonisolated let executor = ThreadExecutor()
  nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

  private let context: ConnectorContext
  private let paths: FilePaths
  private var fence: FileFence?

  init(_ context: ConnectorContext, _ paths: FilePaths) {
    self.context = context
    self.paths = paths
  }

  func open(_ lease: Lease) async throws {
    try Folder.make(paths.manifests)
    try Folder.make(paths.staging, mode: 0o700)
    let fence = FileFence(paths.fence, lease)
    try await fence.take(context.clock)
    self.fence = fence
    let newest = try Folder.names(in: paths.manifests).compactMap(FilePaths.epoch).max()
    guard let newest else { return }
    try refuseOlderState(lease, newest)
    // A commit starts after the receipt before it was stored: whatever lies before the newest manifest is settled.
    try sweep { $0 < newest }
  }

  /// Every start has a new generation, also that of an older copy of the state: the epochs tell.
  private func refuseOlderState(_ lease: Lease, _ newest: EpochID) throws(NebulaError) {
    guard let known = lease.lastEpoch, newest > known, newest.generation < lease.generation else { return }
    throw NebulaError(
      "state.behind_destination",
      "The folder holds epoch \(newest) of this pipeline, and the state knows of none after \(known): it is older than "
        + "the files.",
      remedy: "Bring the newest state folder back. If it is lost: write to a new folder, or nebula-swift state reset.",
      at: .init(path: paths.manifest(newest)))
  }

  // MARK: Commit

  func commit(_ prepared: PreparedEpoch) throws(NebulaError) -> CommitReceipt {
    let manifest = try FileManifest(prepared)
    try fence?.check()
    context.crash.pass("before-commit")
    if try isCommitted(prepared) { return receipt(prepared, manifest) }
    if try FileStatus.of(paths.abandoned(prepared.id)) != nil { throw missing(paths.staging(prepared.id)) }
    for (index, file) in manifest.files.enumerated() {
      try publish(file, prepared.id)
      if index == 0 { context.crash.pass("mid-publish") }
    }
    for folder in Set(manifest.files.map { Folder.parent(of: paths.final($0.name)) }) { try Folder.sync(folder) }
    context.crash.pass("after-publish")
    try writeManifest(prepared)
    context.crash.pass("after-commit")
    return receipt(prepared, manifest)
  }

  private func publish(_ file: FileManifest.File, _ id: EpochID) throws(NebulaError) {
    let staged = paths.staged(file.name, id)
    let final = paths.final(file.name)
    if try FileStatus.of(staged) == nil {
      guard try FileStatus.of(final) != nil else { throw missing(staged) }
      guard try isOurs(file, at: final) else { throw taken(final) }
      return
    }
    try Folder.make(Folder.parent(of: final))
    if try Folder.publish(staged, as: final) { return }
    guard try isOurs(file, at: final) else { throw taken(final) }
    try Folder.remove(staged)
  }

  private func writeManifest(_ prepared: PreparedEpoch) throws(NebulaError) {
    let staged = paths.stagedManifest(prepared.id)
    let final = paths.manifest(prepared.id)
    try Folder.write(prepared.manifest, to: staged)
    if try !Folder.publish(staged, as: final) {
      guard try Folder.contents(of: final) == prepared.manifest else { throw taken(final) }
      try Folder.remove(staged)
    }
    try Folder.sync(paths.manifests)
  }

  /// True when the manifest is there; an error when another one has its name.
  private func isCommitted(_ prepared: PreparedEpoch) throws(NebulaError) -> Bool {
    let path = paths.manifest(prepared.id)
    guard let bytes = try Folder.contents(of: path) else { return false }
    guard bytes == prepared.manifest else { throw taken(path) }
    try Folder.sync(paths.manifests)
    return true
  }

  private func receipt(_ prepared: PreparedEpoch, _ manifest: FileManifest) -> CommitReceipt {
    CommitReceipt(
      prepared.id, counts: prepared.counts, rows: manifest.records, bytes: manifest.bytes,
      files: UInt64(manifest.files.count), evidence: [paths.manifest(prepared.id)])
  }

  private func isOurs(_ file: FileManifest.File, at path: String) throws(NebulaError) -> Bool {
    guard let status = try FileStatus.of(path), status.isRegular, status.size == file.bytes else { return false }
    return try digest(of: path) == file.sha256
  }

  private func digest(of path: String) throws(NebulaError) -> String {
    let file = try FileDescriptor(opening: path)
    let hash = Crypto.SHA256()
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let count = try buffer.withMutableRaw { (room) throws(NebulaError) in try file.read(into: room) }
      if count == 0 { return SHA256.hex(hash.finish()) }
      buffer.withUnsafeBytes { hash.update(UnsafeRawBufferPointer(rebasing: $0[0..<count])) }
    }
  }

  private func missing(_ path: String) -> NebulaError {
    NebulaError(
      .fileStagedMissing, "The staged file \(path) is gone.", remedy: "The run looks at what became of the epoch.",
      at: .init(path: path), disposition: .retry(after: nil))
  }

  private func taken(_ path: String) -> NebulaError {
    NebulaError(
      .fileNameTaken, "\(path) exists with other content.",
      remedy: "Write each pipeline into a folder of its own, or put {pipeline} into `partition`.", at: .init(path: path)
    )
  }

  // MARK: Recovery

  /// What a look at one file of a prepared epoch shows.
  private enum Sight { case staged, final, missing, foreign }

  private func look(_ file: FileManifest.File, _ id: EpochID) throws(NebulaError) -> Sight {
    if try isOurs(file, at: paths.staged(file.name, id)) { return .staged }
    let final = paths.final(file.name)
    if try isOurs(file, at: final) { return .final }
    return try FileStatus.of(final) == nil ? .missing : .foreign
  }

  func recover(_ prepared: PreparedEpoch) throws(NebulaError) -> EpochFate {
    let manifest = try FileManifest(prepared)
    if try isCommitted(prepared) { return .committed(receipt(prepared, manifest)) }
    let wasAbandoned = try FileStatus.of(paths.abandoned(prepared.id)) != nil
    if !wasAbandoned {
      var missing: String?
      var isReady = true
      for file in manifest.files {
        let sight = try look(file, prepared.id)
        isReady = isReady && (sight == .staged || sight == .final)
        if sight == .missing { missing = file.name }
      }
      if isReady { return .ready }
      if let missing { return .unknown(unclear(missing, prepared.id)) }
    }
    try abandon(prepared.id)
    for file in manifest.files where try look(file, prepared.id) == .final {
      return .unknown("\(paths.final(file.name)) is visible, but other files of epoch \(prepared.id) are gone.")
    }
    return .gone
  }

  private func unclear(_ name: String, _ id: EpochID) -> String {
    "\(paths.final(name)) is neither staged nor there, and no manifest proves that epoch \(id) was committed: a reader "
      + "may have moved it away, or someone removed \(paths.staging(id)). Put the file back to go on."
  }

  /// Destroys what is staged. The note that says so is durable first: a file that is missing later was destroyed here
  /// and not moved away by a reader, and nobody commits the epoch any more.
  private func abandon(_ id: EpochID) throws(NebulaError) {
    try Folder.make(paths.staging, mode: 0o700)
    try Folder.write([], to: paths.abandoned(id))
    try Folder.sync(paths.staging)
    try destroy(id)
  }

  private func destroy(_ id: EpochID) throws(NebulaError) {
    try Folder.removeTree(paths.staging(id))
    try Folder.remove(paths.stagedManifest(id))
    try Folder.sync(paths.staging)
  }

  func abort(_ id: EpochID, _ prepared: PreparedEpoch?) throws(NebulaError) {
    guard try FileStatus.of(paths.staging) != nil else { return }
    if prepared == nil { try destroy(id) } else { try abandon(id) }
  }

  // MARK: Sweeping

  /// The receipt of `id` is stored, so those of all epochs before it are, or they were dropped.
  func settled(_ id: EpochID) throws(NebulaError) { try sweep { $0 <= id } }

  private func sweep(_ isSettled: (EpochID) -> Bool) throws(NebulaError) {
    for name in try Folder.names(in: paths.staging) {
      guard let epoch = FilePaths.epoch(of: name), isSettled(epoch) else { continue }
      if name.contains(".") {
        try Folder.remove("\(paths.staging)/\(name)")
      } else {
        try Folder.removeTree("\(paths.staging)/\(name)")
      }
    }
  }
}
