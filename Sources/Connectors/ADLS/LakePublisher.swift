internal import NebulaCore
internal import NebulaObjectStores

/// How staged files become visible: under their names, or event by event.
enum Publishing: Sendable {
  case files
  case events
}

/// Makes staged files visible, and answers what became of them. The fence remembers the last epoch that was
/// published whole: a file that a reader has moved away since was published.
struct LakePublisher: Sendable {
  let parts: LakeParts
  let how: Publishing

  // MARK: commit

  func commit(_ manifest: Manifest, _ epoch: EpochID) async throws {
    if try await isAbandoned(epoch) { throw missing(StagedFiles.folder(epoch, parts)) }
    switch how {
    case .files:
      try await parts.requests(manifest.files) { file in
        try await publish(file, epoch)
        parts.context.crash.pass("mid-publish")
      }
    case .events:
      for file in manifest.files { try await EventPublisher(parts: parts).publish(file, epoch) }
    }
    parts.context.crash.pass("after-publish")
    try await parts.fence.end(epoch)
  }

  private func publish(_ file: Manifest.File, _ epoch: EpochID) async throws {
    guard let staged = file.staged else { throw adlsDefect("A file to be published was never staged.") }
    do {
      if case .renamed = try await parts.store.rename(ObjectRename(staged, to: file.key)) { return }
      guard try await isOurs(file, epoch) else { throw taken(file.key) }
      try await parts.store.deleteFile(staged, leaseID: nil, ifMatch: nil)
    } catch let error as NebulaError where error.code == .objectsNotFound {
      guard try await isOurs(file, epoch) else { throw missing(staged) }
    }
  }

  private func isOurs(_ file: Manifest.File, _ epoch: EpochID) async throws -> Bool {
    guard let state = try await parts.store.file(file.key) else { return false }
    return isOurs(state, file, epoch)
  }
  private func isOurs(_ state: FileState, _ file: Manifest.File, _ epoch: EpochID) -> Bool {
    state.length == file.to && state.properties[LakeParts.pipelineProperty] == parts.owner
      && state.properties[LakeParts.epochProperty] == epoch.description
  }

  private func taken(_ key: String) -> NebulaError {
    NebulaError(
      .adlsNameTaken, "\(key) is there and is not ours.", remedy: "Find out who else writes there.",
      at: .init(path: key))
  }
  private func missing(_ key: String) -> NebulaError {
    NebulaError(
      .adlsStagedMissing, "The staged file \(key) is gone.", remedy: "The run looks at what became of the epoch.",
      at: .init(path: key), disposition: .retry(after: nil))
  }

  // MARK: recovery

  private enum Sight: Sendable { case staged, final, missing, foreign }

  private func look(_ file: Manifest.File, _ epoch: EpochID) async throws -> Sight {
    if let staged = file.staged, let state = try await parts.store.file(staged), state.length == file.to {
      return .staged
    }
    guard how == .files, let state = try await parts.store.file(file.key) else { return .missing }
    return isOurs(state, file, epoch) ? .final : .foreign
  }

  func recover(_ prepared: PreparedEpoch, _ manifest: Manifest) async throws -> EpochFate {
    if let done = await parts.fence.done, done >= prepared.id {
      return .committed(CommitReceipt(prepared, manifest, evidence: [parts.fence.key]))
    }
    if try await !isAbandoned(prepared.id) {
      let sights = try await parts.requests(manifest.files) { file in (file.key, try await look(file, prepared.id)) }
      if sights.allSatisfy({ $0.1 == .staged || $0.1 == .final }) { return .ready }
      if let lost = sights.first(where: { $0.1 == .missing }) {
        return .unknown(
          "\(lost.0) is neither staged nor there, and the fence does not say that epoch \(prepared.id) was published: "
            + "a reader may have moved it away, or someone removed its staged file. Put the file back to go on.")
      }
    }
    try await abandon(prepared.id)
    for (key, sight) in try await parts.requests(
      manifest.files, { file in (file.key, try await look(file, prepared.id)) })
    where sight == .final {
      return .unknown("\(key) is visible, but other files of epoch \(prepared.id) are gone.")
    }
    return .gone
  }

  // MARK: staged files

  private func mark(_ epoch: EpochID) -> String { StagedFiles.folder(epoch, parts) + ".abandoned" }
  private func isAbandoned(_ epoch: EpochID) async throws -> Bool { try await parts.store.file(mark(epoch)) != nil }

  /// Destroys what is staged. The note that says so is durable first: a file that is missing later was destroyed here
  /// and not moved away by a reader, and nobody commits the epoch any more.
  func abandon(_ epoch: EpochID) async throws {
    _ = try await parts.store.createFile(NewFile(key: mark(epoch)))
    try await destroy(epoch)
  }

  func destroy(_ epoch: EpochID) async throws { try await remove(StagedFiles.folder(epoch, parts)) }

  private func remove(_ folder: String) async throws {
    let files = try await parts.store.listAll(folder).filter { !$0.isFolder }
    try await parts.requests(files) { file in try await parts.store.deleteFile(file.key, leaseID: nil, ifMatch: nil) }
    try await parts.store.deleteFile(folder, leaseID: nil, ifMatch: nil)
  }

  /// The receipt of `epoch` is stored, so those of all epochs before it are, or they were dropped.
  func sweep(through epoch: EpochID) async throws {
    for entry in try await parts.store.listAll("\(parts.folder)/staged", recursive: false) {
      let name = entry.key.split(separator: "/").last.map(String.init) ?? ""
      let text = name.hasSuffix(".abandoned") ? String(name.dropLast(".abandoned".count)) : name
      guard let found = EpochID(text: text), found <= epoch else { continue }
      if entry.isFolder {
        try await remove(entry.key)
      } else {
        try await parts.store.deleteFile(entry.key, leaseID: nil, ifMatch: nil)
      }
    }
  }
}
