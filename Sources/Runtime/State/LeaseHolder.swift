internal import Glibc

/// Who holds a lease: a process, named so that its successor on the same host can tell whether it still lives.
public struct LeaseHolder: Sendable, Hashable, Codable {
  /// The host's name.
  public var host: String
  /// The host's own id: names may be shared by many. Nil where a container has none.
  public var machine: String?
  /// Differs after every start of the host.
  public var boot: String
  /// The process id namespace: numbers of two containers can't be compared.
  public var namespace: String
  /// The process id.
  public var process: Int32
  /// When it started, in clock ticks since boot: a reused id is told apart by it.
  public var started: UInt64
  /// Tells two stores of one process apart.
  public var store: UInt64
  /// Makes a holder.
  public init(
    host: String, machine: String?, boot: String, namespace: String, process: Int32, started: UInt64, store: UInt64
  ) {
    self.host = host
    self.machine = machine
    self.boot = boot
    self.namespace = namespace
    self.process = process
    self.started = started
    self.store = store
  }

  /// This process.
  public static func current() -> LeaseHolder {
    var name = [CChar](repeating: 0, count: 256)
    gethostname(&name, name.count - 1)
    var link = [CChar](repeating: 0, count: 64)
    readlink("/proc/self/ns/pid", &link, link.count - 1)
    return LeaseHolder(
      host: text(name), machine: firstLine("/etc/machine-id"), boot: firstLine("/proc/sys/kernel/random/boot_id") ?? "",
      namespace: text(link), process: getpid(),
      started: startTime(of: getpid()) ?? 0, store: .random(in: .min ... .max))
  }

  /// True when the holder is certainly gone, as seen by `observer`: the host has been started again since, or the
  /// process has ended. False means alive or unknowable (another host, another container).
  func isGone(seenBy observer: LeaseHolder, startTime: (Int32) -> UInt64?) -> Bool {
    guard host == observer.host else { return false }
    guard boot == observer.boot else { return machine != nil && machine == observer.machine }
    guard namespace == observer.namespace else { return false }
    return startTime(process) != started
  }

  /// When a live process started: field 22 of its `stat`; nil when there is none or it is a zombie.
  public static func startTime(of process: Int32) -> UInt64? {
    guard let stat = smallFile("/proc/\(process)/stat"), let end = stat.lastIndex(of: UInt8(ascii: ")")) else {
      return nil
    }
    // The name, field 2, may hold blanks and brackets; after its last bracket comes field 3, the state.
    let fields = stat[(end + 1)...].split(separator: UInt8(ascii: " "))
    guard fields.count > 19, let state = fields[0].first, !"ZXx".utf8.contains(state) else { return nil }
    return UInt64(String(decoding: fields[19], as: UTF8.self))
  }
}

extension LeaseHolder: CustomStringConvertible {
  /// For messages.
  public var description: String { "process \(process) on \(host)" }
}

/// The first line of a file; nil when there is none, or nothing in it.
private func firstLine(_ path: String) -> String? {
  guard let line = smallFile(path)?.prefix(while: { $0 != UInt8(ascii: "\n") }), !line.isEmpty else { return nil }
  return String(decoding: line, as: UTF8.self)
}

/// The text of a C buffer, up to its first zero.
private func text(_ buffer: [CChar]) -> String {
  String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// The content of a small file, or nil when it can't be read.
public func smallFile(_ path: String, limit: Int = 64 << 10) -> [UInt8]? {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { return nil }
  defer { close(descriptor) }
  var content: [UInt8] = []
  var piece = [UInt8](repeating: 0, count: 4096)
  while content.count <= limit {
    let count = read(descriptor, &piece, piece.count)
    if count < 0, errno == EINTR { continue }
    guard count >= 0 else { return nil }
    if count == 0 { return content }
    content += piece[..<count]
  }
  return nil
}
