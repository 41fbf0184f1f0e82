internal import NebulaCore
internal import NebulaObjectStores

/// Closes growing files, each once: those who listen for finished files are told by the closing flush.
struct Closing: Sendable {
  private let parts: LakeParts
  private let leases: LeaseKeeper

  init(_ parts: LakeParts, _ leases: LeaseKeeper) {
    self.parts = parts
    self.leases = leases
  }

  private struct Ready: Sendable {
    let key: String
    let length: Int
    let etag: String?
  }

  /// Takes each file's lease, writes down its ETag, flushes it with the close, and lets it go.
  func close(_ keys: [String]) async throws {
    let entries = await parts.journal.entries
    let ready = try await parts.requests(keys) { key in try await look(key, entries[key]) }.compactMap(\.self)
    var noted: [Journal.Entry] = []
    for file in ready {
      guard var entry = entries[file.key] else { continue }
      (entry.closing, entry.lease) = (file.etag, leases.id)
      noted.append(entry)
    }
    // Durable before the flush: a process that dies in between finds by the ETag whether it was sent.
    try await parts.journal.note(noted)
    parts.context.crash.pass("before-close")
    _ = try await parts.requests(ready) { file in
      if file.length == 0 {
        try await parts.store.deleteFile(file.key, leaseID: leases.id, ifMatch: nil)
      } else {
        _ = try await parts.store.flush(
          FileFlush(file.key, length: file.length, closes: true, leaseID: leases.id))
        try await parts.store.releaseLease(on: file.key, id: leases.id)
      }
    }
    parts.context.crash.pass("after-close")
    try await parts.journal.forget(keys)
    parts.context.metrics.add("adls.files_closed", Int64(ready.count))
  }

  /// Nil when there is nothing to close any more.
  private func look(_ key: String, _ entry: Journal.Entry?) async throws -> Ready? {
    guard let state = try await parts.store.file(key), state.properties[LakeParts.pipelineProperty] == parts.owner,
      try await leases.take(key, known: entry?.lease), let now = try await parts.store.file(key)
    else { return nil }
    if let closing = entry?.closing, closing != now.etag {
      try await parts.store.releaseLease(on: key, id: leases.id)
      return nil
    }
    return Ready(key: key, length: now.length, etag: now.etag)
  }
}
