internal import NebulaCore
internal import NebulaFormats
internal import NebulaHTTP
internal import NebulaObjectStores

/// An event as the file it becomes.
struct NamedEvent: Sendable, Hashable {
  let key: String
  /// The token, and of a copied row its key too: what makes the file this event's.
  let identity: String
  let body: [UInt8]
}

/// Takes whole events from the front of staged bytes. A value, tested without a store.
struct EventFrames: Sendable {
  private(set) var rest: [UInt8] = []

  mutating func add(_ bytes: [UInt8]) { rest += bytes }

  /// The events that are whole.
  mutating func take() throws(NebulaError) -> [NamedEvent] {
    var events: [NamedEvent] = []
    var start = 0
    while let end = rest[start...].firstIndex(of: UInt8(ascii: "\n")) {
      guard let line = try? JSONValue(parsing: Array(rest[start..<end])), let key = line["key"]?.string,
        let identity = line["event"]?.string, let count = line["bytes"]?.integer, count >= 0
      else {
        throw NebulaError(
          .adlsBadManifest, "Staged events can't be read.", remedy: "Use the version that wrote them.")
      }
      let body = end + 1..<end + 1 + Int(count)
      guard body.upperBound < rest.count else { break }
      events.append(NamedEvent(key: key, identity: identity, body: Array(rest[body])))
      start = body.upperBound + 1
    }
    rest.removeFirst(start)
    return events
  }
}

/// Gives each staged event a file of its own: written whole, under a name made from the event, and never replaced, so
/// that doing it again creates nothing twice.
struct EventPublisher: Sendable {
  let parts: LakeParts
  private static let step = 4 << 20

  func publish(_ file: Manifest.File, _ epoch: EpochID) async throws {
    var frames = EventFrames()
    var offset = file.from
    while offset < file.to {
      guard let staged = file.staged,
        let content = try await parts.store.read(staged, range: offset..<min(file.to, offset + Self.step)),
        !content.bytes.isEmpty
      else {
        throw NebulaError(
          .adlsStagedMissing, "The staged events \(file.staged ?? "") are gone.",
          remedy: "The run looks at what became of the epoch.", disposition: .retry(after: nil))
      }
      offset += content.bytes.count
      frames.add(content.bytes)
      try await put(try frames.take())
    }
    guard frames.rest.isEmpty else { throw adlsDefect("Staged events of epoch \(epoch) end in the middle.") }
  }

  private func put(_ events: [NamedEvent]) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      var started = 0
      for event in events {
        if started >= parts.options.parallelUploads { try await group.next() }
        started += 1
        group.addTask {
          try await parts.request { try await put(event) }
          parts.context.crash.pass("mid-publish")
        }
      }
      try await group.waitForAll()
    }
  }

  /// One that is there already is ours when it says the same pipeline and event, whatever its bytes: a document that
  /// was looked up again may be newer.
  private func put(_ event: NamedEvent) async throws {
    let object = ObjectUpload(
      key: event.key, body: .bytes(event.body),
      metadata: [LakeParts.pipelineProperty: parts.owner, LakeParts.eventProperty: event.identity],
      contentType: parts.options.compression == .none ? "application/json" : contentType(parts.options),
      contentMD5: Crypto.md5(event.body), createOnly: true)
    do { _ = try await parts.store.put(object) } catch let error as NebulaError where error.code == .objectsExists {
      let found = try await parts.store.head(event.key)
      guard let found, found.metadata[LakeParts.pipelineProperty] == parts.owner,
        found.metadata[LakeParts.eventProperty] == event.identity
      else {
        throw NebulaError(
          .adlsNameTaken, "\(event.key) is there and is not this event of this pipeline.",
          remedy: "Find out who else writes there, or put {pipeline} into `path`.", at: .init(path: event.key))
      }
      parts.context.metrics.add("adls.events_there", 1)
    }
  }
}
