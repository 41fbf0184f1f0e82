internal import NebulaCore
internal import NebulaHTTP
internal import NebulaObjectStores

/// Makes the appended bytes of an epoch visible, and finds out what became of them after a death.
struct RollingCommitter: Sendable {
  let parts: LakeParts
  let files: RollingFiles
  let leases: LeaseKeeper
  let opener: FileOpener

  // MARK: commit

  /// Flushes every file to its new length. The files of one partition in their order: the first decides for all.
  func commit(_ manifest: Manifest) async throws {
    try await concurrently(manifest.units) { unit in
      for file in unit.files {
        try await flush(file)
        parts.context.crash.pass("mid-flush")
      }
      try await files.committed(unit)
    }
  }

  private func flush(_ file: Manifest.File) async throws {
    do {
      _ = try await parts.request {
        try await parts.store.flush(
          FileFlush(file.key, length: file.to, closes: file.closes, leaseID: leases.id))
      }
    } catch let error as NebulaError where error.code == .objectsBadPosition {
      throw NebulaError(
        .adlsFlushRefused, "\(file.key) could not be flushed to \(file.to) bytes: \(error.message)",
        remedy: "The run looks at what became of the epoch.", at: .init(path: file.key), native: error.native,
        disposition: .retry(after: nil))
    }
  }

  // MARK: recovery

  /// Looks at every file under our lease, and carries forward what can be.
  func recover(_ prepared: PreparedEpoch, _ manifest: Manifest) async throws -> EpochFate {
    let fates = try await concurrently(manifest.units) { unit in try await recover(unit, manifest) }
    var done: [EpochUnit: CommitReceipt] = [:]
    for fate in fates {
      switch fate {
      case .unknown(let seen): return .unknown(seen)
      case .gone: break
      case .committed(let unit):
        try await files.committed(unit)
        done[unit.base] = CommitReceipt(prepared.id, unit, of: manifest)
      }
    }
    if done.count == manifest.units.count { return .committed(CommitReceipt(prepared, manifest, evidence: [])) }
    return done.isEmpty ? .gone : .partial(done: done)
  }

  private func recover(_ unit: Manifest.Unit, _ manifest: Manifest) async throws -> UnitFate {
    for (index, file) in unit.files.enumerated() {
      switch try await parts.request({ try await recover(file, manifest) }) {
      case .committed: continue
      case .unknown(let seen): return .unknown("\(file.key): \(seen).")
      case .gone where index == 0:
        for other in unit.files.dropFirst() { _ = try await parts.request { try await clear(other, manifest) } }
        return .gone
      case .gone:
        return .unknown("\(file.key) lost what was appended to it, but \(unit.files[0].key) before it is visible.")
      }
    }
    return .committed(unit)
  }

  private func recover(_ file: Manifest.File, _ manifest: Manifest) async throws -> FileRecovery.Result {
    let recovery = FileRecovery(from: file.from, to: file.to)
    let isThere = try await leases.take(file.key, known: manifest.lease)
    var step = recovery.step(length: isThere ? try await parts.store.file(file.key)?.length : nil)
    if step == .carryForward {
      do {
        _ = try await parts.store.flush(
          FileFlush(file.key, length: file.to, closes: file.closes, leaseID: leases.id))
        step = .done(.committed)
      } catch let error as NebulaError where error.code == .objectsBadPosition {
        step = recovery.refused
      }
    }
    switch step {
    case .clear, .carryForward: return recovery.cleared(length: try await opener.clear(file.key))
    case .done(.committed): return try await witness(file)
    case .done(let result): return result
    }
  }

  /// The second witness: the file ends with the bytes that were appended.
  private func witness(_ file: Manifest.File) async throws -> FileRecovery.Result {
    guard let tail = file.tail, tail.bytes > 0 else { return .committed }
    let content = try await parts.store.read(file.key, range: file.to - tail.bytes..<file.to)
    guard let content, content.bytes.count == tail.bytes, Crypto.hex(Crypto.sha256(content.bytes)) == tail.sha256 else {
      return .unknown("it is \(file.to) bytes long, but does not end with what this pipeline appended")
    }
    return .committed
  }

  // MARK: clearing

  /// Throws away what was appended for an epoch that will not be committed.
  func clear(_ manifest: Manifest) async throws {
    try await parts.requests(manifest.files) { file in try await clear(file, manifest) }
  }
  private func clear(_ file: Manifest.File, _ manifest: Manifest) async throws -> Int? {
    guard try await leases.take(file.key, known: manifest.lease) else { return nil }
    return try await opener.clear(file.key)
  }
}
