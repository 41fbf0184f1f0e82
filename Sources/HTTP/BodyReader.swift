internal import Glibc
internal import NebulaCore

/// Reads a request's body piece by piece, and again from the start when the connection has to be made anew.
struct BodyReader: ~Copyable {
  private let body: HTTPBody
  private let file: Int32
  private var position = 0
  /// Why reading stopped, if it failed.
  private(set) var failure: NebulaError?

  init(_ body: HTTPBody) throws(NebulaError) {
    self.body = body
    file = try Self.openFile(body)
  }

  /// -1 when the body is no file.
  private static func openFile(_ body: HTTPBody) throws(NebulaError) -> Int32 {
    guard case .file(let path, let offset, let length) = body else { return -1 }
    guard offset >= 0, length >= 0 else {
      throw NebulaError(.httpBodyUnreadable, "A negative range of \(path).", remedy: "Report the defect.")
    }
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else {
      throw NebulaError(
        .httpBodyUnreadable, "\(path) can't be opened: \(String(cString: strerror(errno))).",
        remedy: "Check that the file is there and readable.", at: .init(path: path), native: "errno \(errno)")
    }
    return file
  }

  deinit { if file >= 0 { close(file) } }

  /// Fills the start of `target`; 0 at the end, nil when it can't be read.
  mutating func read(into target: UnsafeMutableRawBufferPointer) -> Int? {
    let wanted = min(target.count, body.count - position)
    guard wanted > 0, let base = target.baseAddress else { return 0 }
    let slice = UnsafeMutableRawBufferPointer(start: base, count: wanted)
    switch body {
    case .none: return 0
    case .bytes(let bytes):
      bytes.withUnsafeBytes {
        slice.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[position..<position + wanted]))
      }
      position += wanted
      return wanted
    case .shared(let bytes):
      slice.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes.base[position..<position + wanted]))
      position += wanted
      return wanted
    case .file(let path, let offset, _): return readFile(path, at: offset + position, into: slice)
    }
  }

  /// Continues at `offset`.
  mutating func seek(to offset: Int) -> Bool {
    guard (0...body.count).contains(offset) else { return false }
    position = offset
    return true
  }

  private mutating func readFile(_ path: String, at offset: Int, into target: UnsafeMutableRawBufferPointer) -> Int? {
    var count = 0
    repeat { count = pread(file, target.baseAddress, target.count, off_t(offset)) } while count < 0 && errno == EINTR
    guard count > 0 else {
      let reason = count == 0 ? "is shorter than it was" : String(cString: strerror(errno))
      failure = NebulaError(
        .httpBodyUnreadable, "\(path) can't be read at byte \(offset): \(reason).",
        remedy: "Check the disk, and that nothing else writes to the file.", at: .init(path: path))
      return nil
    }
    position += count
    return count
  }
}
