import NebulaCore
import NebulaHTTP
import NebulaObjectStores
import Synchronization

/// Thrown by every effect of a process that was killed: nothing it does reaches the lake any more.
struct Killed: Error {}

/// The files of a lake in memory, by the service's rules: what is appended is invisible until a flush, which drops what
/// lies behind it; a leased file is written by its holder only.
final class MemoryLake: Sendable {
  struct File: Sendable {
    var committed: [UInt8] = []
    var pending: [(offset: Int, bytes: [UInt8], lease: String?)] = []
    var properties: [String: String] = [:]
    var lease: String?
    var etag: String
    var closes = 0
    var flushes = 0
  }
  struct State: Sendable {
    var files: [String: File] = [:]
    var etags = 0
    mutating func newTag() -> String {
      etags += 1
      return "\"\(etags)\""
    }
  }
  let state = Mutex(State())

  /// The visible files without the pipelines' own.
  var files: [String: File] { state.withLock { $0.files.filter { !$0.key.hasPrefix("_nebula/") } } }
  /// The lines of the visible files by their name without part and extension, in the order of their parts.
  var lines: [String: [String]] {
    var lines: [String: [String]] = [:]
    for (key, file) in files.sorted(by: { ($0.key.count, $0.key) < ($1.key.count, $1.key) }) {
      let base = key.split(separator: "-part-")[0].split(separator: ".jsonl")[0]
      lines[String(base), default: []] += String(decoding: file.committed, as: UTF8.self).split(separator: "\n").map {
        String($0)
      }
    }
    return lines
  }
  /// What was appended and not flushed is gone, as after a week.
  func forgetPending(_ isForgotten: (String) -> Bool) {
    state.withLock { state in
      for key in state.files.keys where isForgotten(key) { state.files[key]?.pending = [] }
    }
  }
}

/// The lake as one process sees it: each effect may be its last one, before or after it was applied.
final class ProcessLake: LakeStoreModel, Sendable {
  enum Death: Sendable { case before(Int), after(Int), late(Int) }
  private let lake: MemoryLake
  private let death: Death?
  private let counter = Mutex((count: 0, isDead: false))
  /// An effect that was on its way when the process died.
  let late = Mutex<(@Sendable () -> Void)?>(nil)

  init(_ lake: MemoryLake, death: Death? = nil) {
    self.lake = lake
    self.death = death
  }
  var effects: Int { counter.withLock { $0.count } }
  var isDead: Bool { counter.withLock { $0.isDead } }
  func kill() { counter.withLock { $0.isDead = true } }

  /// Applies an effect, unless the process is dead or dies at it.
  func effect<Value: Sendable>(_ body: @escaping @Sendable (inout MemoryLake.State) throws -> Value) throws -> Value {
    let number = try counter.withLock { counter in
      if counter.isDead { throw Killed() }
      counter.count += 1
      return counter.count
    }
    switch death {
    case .before(number): throw die()
    case .late(number):
      late.withLock { $0 = { [lake] in _ = try? lake.state.withLock { try body(&$0) } } }
      throw die()
    case .after(number):
      _ = try? lake.state.withLock { try body(&$0) }
      throw die()
    default: return try lake.state.withLock { try body(&$0) }
    }
  }
  private func die() -> Killed {
    kill()
    return Killed()
  }
}

/// What `ProcessLake` does with each call; apart from how it dies.
protocol LakeStoreModel: AppendableFileStore, ConditionalObjectStore, LeasingStore, ListableObjectStore,
  ReadableObjectStore, RenamingStore
{
  func effect<Value: Sendable>(_ body: @escaping @Sendable (inout MemoryLake.State) throws -> Value) throws -> Value
}

private func refused(_ code: NebulaError.Code, _ key: String) -> NebulaError {
  NebulaError(code, "\(key): \(code.rawValue)", remedy: "", at: .init(path: key))
}

extension HTTPBody {
  var content: [UInt8] {
    switch self {
    case .bytes(let bytes): bytes
    case .shared(let bytes): Array(bytes.base)
    default: []
    }
  }
}

extension MemoryLake.State {
  mutating func writable(_ key: String, _ lease: String?) throws -> MemoryLake.File {
    guard let file = files[key] else { throw refused(.objectsNotFound, key) }
    guard file.lease == nil ? lease == nil : file.lease == lease else { throw refused(.objectsLeaseLost, key) }
    return file
  }
  func stored(_ key: String) -> StoredObject? {
    files[key].map { StoredObject(key: key, size: $0.committed.count, etag: $0.etag, metadata: $0.properties) }
  }
}

extension LakeStoreModel {
  func createFile(_ file: NewFile) async throws -> FileCreation {
    try effect { state in
      if let there = state.files[file.key] {
        return .exists(FileState(key: file.key, length: there.committed.count, properties: there.properties))
      }
      let tag = state.newTag()
      state.files[file.key] = MemoryLake.File(properties: file.properties, etag: tag)
      return .created(etag: tag)
    }
  }
  func append(_ append: FileAppend) async throws {
    let bytes = append.body.content
    try effect { state in
      var file = try state.writable(append.key, append.leaseID)
      guard append.offset >= file.committed.count else { throw refused(.objectsBadPosition, append.key) }
      file.pending.removeAll { $0.offset == append.offset && $0.lease == append.leaseID }
      file.pending.append((append.offset, bytes, append.leaseID))
      state.files[append.key] = file
    }
  }
  func flush(_ flush: FileFlush) async throws -> FlushedFile {
    try effect { state in
      var file = try state.writable(flush.key, flush.leaseID)
      var content = file.committed
      for next in file.pending.sorted(by: { $0.offset < $1.offset }) where next.offset < flush.length {
        // What two have appended to one place is nothing that anybody may count on.
        guard next.offset == content.count else { throw refused(.objectsBadPosition, flush.key) }
        content += next.bytes
      }
      guard content.count == flush.length else { throw refused(.objectsBadPosition, flush.key) }
      if content.count != file.committed.count || flush.closes { file.etag = state.newTag() }
      (file.committed, file.pending) = (content, [])
      file.flushes += 1
      if flush.closes { file.closes += 1 }
      state.files[flush.key] = file
      return FlushedFile(length: flush.length, etag: file.etag)
    }
  }
  func appendAndFlush(_ append: FileAppend, closes: Bool) async throws -> FlushedFile {
    try await self.append(append)
    return try await flush(
      FileFlush(append.key, length: append.offset + append.body.count, closes: closes, leaseID: append.leaseID))
  }
  func file(_ key: String) async throws -> FileState? {
    try effect { state in
      state.files[key].map {
        FileState(
          key: key, length: $0.committed.count, etag: $0.etag, properties: $0.properties,
          lease: $0.lease == nil ? .available : .leased)
      }
    }
  }
  func setProperties(
    _ properties: [String: String], of key: String, leaseID: String?, ifMatch: String?
  ) async throws -> String? { nil }
  func deleteFile(_ key: String, leaseID: String?, ifMatch: String?) async throws {
    try effect { state in
      guard state.files[key] != nil else { return }
      _ = try state.writable(key, leaseID)
      state.files[key] = nil
    }
  }
  func put(_ object: ObjectUpload, if condition: WriteCondition) async throws -> ConditionalWrite {
    try effect { state in
      let found = state.stored(object.key)
      switch condition {
      case .absent where found != nil: return .refused(found)
      case .matches(let tag) where found?.etag != tag: return .refused(found)
      default: break
      }
      let file = MemoryLake.File(
        committed: object.body.content, properties: object.metadata, etag: state.newTag())
      state.files[object.key] = file
      return .written(StoredObject(key: object.key, size: file.committed.count, etag: file.etag))
    }
  }
  func put(_ object: ObjectUpload) async throws -> StoredObject {
    guard case .written(let stored) = try await put(object, if: .absent) else {
      throw refused(.objectsExists, object.key)
    }
    return stored
  }
  func head(_ key: String) async throws -> StoredObject? { try effect { $0.stored(key) } }
  func delete(_ key: String) async throws { try await deleteFile(key, leaseID: nil, ifMatch: nil) }

  func acquireLease(on key: String, id: String, for duration: LeaseDuration) async throws -> LeaseOutcome {
    try effect { state in
      guard let file = state.files[key] else { return .noFile }
      guard file.lease == nil || file.lease == id else { return .heldByOther }
      state.files[key]?.lease = id
      return .held
    }
  }
  func renewLease(on key: String, id: String) async throws -> LeaseOutcome { .held }
  func changeLease(on key: String, from id: String, to newID: String) async throws -> LeaseOutcome {
    try effect { state in
      guard let file = state.files[key] else { return .noFile }
      guard file.lease == id || file.lease == newID else { return .heldByOther }
      state.files[key]?.lease = newID
      return .held
    }
  }
  func releaseLease(on key: String, id: String) async throws {
    try effect { state in if state.files[key]?.lease == id { state.files[key]?.lease = nil } }
  }
  func breakLease(on key: String) async throws { try effect { $0.files[key]?.lease = nil } }

  func list(_ folder: String, recursive: Bool, continuation: String?, limit: Int?) async throws -> ObjectListing {
    try effect { state in
      let inside = state.files.keys.filter { $0.hasPrefix(folder + "/") }
      var entries: [String: ListedObject] = [:]
      for key in inside {
        let rest = key.dropFirst(folder.count + 1)
        guard !recursive, let slash = rest.firstIndex(of: "/") else {
          entries[key] = ListedObject(key: key, size: 0)
          continue
        }
        let name = "\(folder)/\(rest[..<slash])"
        entries[name] = ListedObject(key: name, size: 0, isFolder: true)
      }
      return ObjectListing(entries: entries.values.sorted { $0.key < $1.key })
    }
  }
  func read(_ key: String, range: Range<Int>?, ifMatch: String?) async throws -> ObjectContent? {
    try effect { state in
      guard let object = state.stored(key), let file = state.files[key] else { return nil }
      let all = 0..<file.committed.count
      return ObjectContent(bytes: Array(file.committed[(range ?? all).clamped(to: all)]), object: object)
    }
  }
  func rename(_ rename: ObjectRename) async throws -> RenameOutcome {
    try effect { state in
      guard let file = state.files[rename.source] else { throw refused(.objectsNotFound, rename.source) }
      guard state.files[rename.target] == nil else { return .targetExists }
      state.files[rename.target] = file
      state.files[rename.source] = nil
      return .renamed
    }
  }
}
