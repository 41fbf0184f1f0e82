import Glibc
import NebulaCore
import NebulaHTTP

/// `_manifest/<pipeline>/fence`: the newest generation that writes into the folder, changed under a lock.
///
/// The check before a commit holds no lock: an older writer that passes it and then sleeps can do no harm, because
/// whoever took over has either committed the very same files or destroyed what was staged.
struct FileFence {
  private let path: String
  private let lease: Lease

  init(_ path: String, _ lease: Lease) {
    self.path = path
    self.lease = lease
  }

  private func generation() throws(NebulaError) -> UInt64 {
    guard let bytes = try Folder.contents(of: path) else { return 0 }
    guard let value = try? JSONValue(parsing: bytes), let number = value["generation"]?.integer else {
      throw NebulaError(
        .fileBadManifest, "The fence can't be read.", remedy: "Look at the file; it holds {\"generation\":N}.",
        at: .init(path: path))
    }
    return UInt64(clamping: number)
  }

  /// Puts our generation in the place of an older one.
  func take(_ clock: Timekeeper) async throws {
    let lock = try FileDescriptor(opening: "\(path).lock", O_RDWR | O_CREAT)
    let deadline = clock.monotonic() + .seconds(10)
    while !lock.tryLock() {
      guard clock.monotonic() < deadline else {
        throw NebulaError(
          .fileFenceBusy, "Another process has held the fence for 10 seconds.",
          remedy: "End the other process, then start again.", at: .init(path: path), disposition: .retry(after: nil))
      }
      try await clock.sleep(.milliseconds(50))
    }
    let found = try generation()
    if found > lease.generation {
      throw NebulaError(
        "state.behind_destination",
        "The folder was written by generation \(found) of this pipeline, and the state is at \(lease.generation).",
        remedy: "Use the newest state folder; if it is lost, write to a new folder.", at: .init(path: path))
    }
    if found < lease.generation {
      try Folder.replace(path, with: Array("{\"generation\":\(lease.generation)}\n".utf8))
    }
    try lock.close()
  }

  /// Throws when a newer writer has taken over.
  func check() throws(NebulaError) {
    let found = try generation()
    guard found == lease.generation else {
      throw NebulaError(
        "state.fenced",
        "Generation \(found) of this pipeline writes here now; this process is generation \(lease.generation).",
        remedy: "Nothing is lost: the other process goes on.", at: .init(path: path))
    }
  }
}
