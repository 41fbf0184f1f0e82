internal import Glibc
internal import NebulaCore

/// Files that wait on disk for their upload: mode 0600, bounded, swept at start. On a thread of its own, since it blocks.
actor Spool {
  private let executor = ThreadExecutor()
  nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }
  private let folder: String
  private let limit: Int
  private var used = 0
  private var files: [String: (descriptor: Int32, bytes: Int)] = [:]
  private static let suffix = ".staged"

  init(folder: String, limit: Int) {
    self.folder = folder
    self.limit = limit
  }
  deinit { executor.stop() }

  /// Removes what an earlier process left.
  func sweep() throws {
    guard let listing = opendir(folder) else { throw failure("opened", folder, errno) }
    defer { closedir(listing) }
    while let entry = readdir(listing) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name.hasSuffix(Self.suffix), files["\(folder)/\(name)"] == nil { unlink("\(folder)/\(name)") }
    }
  }

  /// Appends bytes to a file, made at its first ones; nil when there is no room within the bound.
  func append(_ bytes: UnsafeRawBufferPointer, to name: String, exceedingLimit: Bool = false) throws -> String? {
    guard exceedingLimit || used + bytes.count <= limit else { return nil }
    let path = "\(folder)/\(name)\(Self.suffix)"
    var file = try files[path] ?? create(path)
    do { try write(bytes, to: file.descriptor, path) } catch {
      // Whoever has never been given the path can't remove the file.
      if file.bytes == 0 { remove(path) }
      throw error
    }
    file.bytes += bytes.count
    used += bytes.count
    files[path] = file
    return path
  }

  private func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32, _ path: String) throws {
    var done = 0
    while done < bytes.count {
      let count = Glibc.write(descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw failure("written", path, errno) }
      done += count
    }
  }

  /// No more bytes come.
  func finish(_ path: String) throws {
    guard let file = files[path], file.descriptor >= 0 else { return }
    files[path]?.descriptor = -1
    guard close(file.descriptor) == 0 else { throw failure("closed", path, errno) }
  }

  /// Gives its room back.
  func remove(_ path: String) {
    guard let file = files.removeValue(forKey: path) else { return }
    if file.descriptor >= 0 { close(file.descriptor) }
    unlink(path)
    used -= file.bytes
  }

  private func create(_ path: String) throws -> (descriptor: Int32, bytes: Int) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw failure("created", path, errno) }
    files[path] = (descriptor, 0)
    return (descriptor, 0)
  }

  private func failure(_ what: String, _ path: String, _ number: Int32) -> NebulaError {
    NebulaError(
      .spoolFailed, "\(path) can't be \(what): \(String(cString: strerror(number))).",
      remedy: "Make room on that disk, or set another spool_directory, then run again: nothing is lost.",
      at: .init(path: path), native: "errno \(number)",
      disposition: number == ENOSPC ? .retry(after: nil) : .stop, exit: .environment)
  }
}
