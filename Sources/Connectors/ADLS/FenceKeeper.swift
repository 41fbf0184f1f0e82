internal import NebulaCore
internal import NebulaHTTP
internal import NebulaObjectStores

/// Takes the pipeline's fence and moves it on with each commit (Invariant 7).
actor FenceKeeper {
  nonisolated let key: String
  private let store: any LakeStore
  private let writer: String
  private var held: (fence: Fence, etag: String)?
  private var lease: Lease?

  init(_ store: any LakeStore, folder: String, writer: String) {
    self.store = store
    self.writer = writer
    key = "\(folder)/fence"
  }

  /// Puts our generation in the place of an older one. `known` is the last epoch that this state folder knows of.
  func take(_ lease: Lease, known: EpochID?) async throws {
    self.lease = lease
    for _ in 0..<8 {
      let found = try await read()
      switch Fence.opening(found?.fence, as: lease, writer: writer, known: known) {
      case .behind(let seen): throw behind(seen)
      case .take(let fence):
        if let found, found.fence == fence {
          held = found
          return
        }
        if try await put(fence, over: found?.etag) { return }
      }
    }
    throw NebulaError(
      .adlsBadFence, "The fence was changed by others again and again.", remedy: "Stop the other writers.",
      at: .init(path: key), disposition: .retry(after: nil))
  }

  /// Before anything of `epoch` becomes visible: refused when a newer writer has taken over.
  func begin(_ epoch: EpochID) async throws {
    try await move { fence in fence.last = max(fence.last ?? epoch, epoch) }
  }
  /// All of `epoch` is visible.
  func end(_ epoch: EpochID) async throws {
    try await move { fence in fence.done = max(fence.done ?? epoch, epoch) }
  }
  /// The last epoch that is known to be all visible.
  var done: EpochID? { held?.fence.done }

  private func move(_ change: (inout Fence) -> Void) async throws {
    guard let current = held else { throw adlsDefect("The fence was moved before it was taken.") }
    var fence = current.fence
    change(&fence)
    guard fence != current.fence else { return }
    guard try await put(fence, over: current.etag) else {
      try await check()
      throw NebulaError(
        .adlsBadFence, "The fence was replaced while this process held it.", remedy: "Find out who changes it.",
        at: .init(path: key), disposition: .retry(after: nil))
    }
  }

  /// Throws when a newer writer has taken over.
  func check() async throws {
    guard let lease else { throw adlsDefect("The fence was asked before it was taken.") }
    guard let found = try await read(), found.fence.generation == lease.generation, found.fence.writer == writer else {
      throw fenced(lease)
    }
    held = found
  }

  private func read() async throws -> (fence: Fence, etag: String)? {
    guard let content = try await store.read(key) else { return nil }
    return (try Fence(content.bytes, at: key), content.object.etag ?? "")
  }

  private func put(_ fence: Fence, over etag: String?) async throws -> Bool {
    let object = ObjectUpload(key: key, body: .bytes(fence.encoded), contentType: "application/json", createOnly: false)
    switch try await store.put(object, if: etag.map { .matches($0) } ?? .absent) {
    case .written(let written):
      held = (fence, written.etag ?? "")
      return true
    case .refused: return false
    }
  }

  private func behind(_ seen: String) -> NebulaError {
    NebulaError(
      .behindDestination, "The lake is ahead of this state folder: \(seen).",
      remedy:
        "Stop the other process, or bring the newest state folder back. If it is lost: nebula-swift state reset, and delete this file.",
      at: .init(path: key))
  }
  private func fenced(_ lease: Lease) -> NebulaError {
    NebulaError(
      .fenced, "Another writer has taken the pipeline '\(lease.pipeline)' over from generation \(lease.generation).",
      remedy: "Nothing: the other process goes on where this one stood.", at: .init(path: key))
  }
}
