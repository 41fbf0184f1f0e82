internal import NebulaCore
internal import NebulaFormats
internal import NebulaHTTP

/// The bytes of one staged file on their way to the stage: hashed, then encrypted, kept in memory while they are few
/// and the budget allows it, else in the spool. One owner at a time.
final class StagedBytes {
  private let digest = Crypto.SHA256()
  private let md5: Crypto.MD5?
  /// So many bytes of `memory` are in `md5`.
  private var summed = 0
  private let cipher: Crypto.AESCBC?
  private let budget: MemoryBudget
  private let spool: Spool
  private let name: String
  private var memory: [UInt8] = []
  private var reservations: [MemoryBudget.Reservation] = []
  private var path: String?
  private var spooled = 0

  /// Files up to this size stay in memory: a micro-batch of usual records, so that no disk is needed for it.
  static let memoryLimit = 16 << 20
  private static let step = 1 << 20

  init(name: String, preparation: FilePreparation, budget: MemoryBudget, spool: Spool) throws(NebulaError) {
    self.name = name
    self.budget = budget
    self.spool = spool
    md5 = preparation.needsMD5 ? Crypto.MD5() : nil
    cipher = try preparation.encryption.map { (file) throws(NebulaError) in
      try Crypto.AESCBC.encryptor(key: file.fileKey, iv: file.iv)
    }
  }

  /// How many bytes there are, as they will lie in the stage.
  var count: Int { spooled + memory.count }

  /// Adds compressed bytes.
  func append(_ buffer: OutputBuffer) throws(NebulaError) {
    try buffer.withBytes { (bytes) throws(NebulaError) in
      guard bytes.count > 0 else { return }
      digest.update(bytes)
      if let cipher { try cipher.update(bytes, into: &memory) } else { memory.append(contentsOf: bytes) }
    }
    sum()
  }

  /// Adds to the MD5 what has come to `memory`.
  private func sum() {
    guard let md5 else { return }
    memory.withUnsafeBytes { md5.update(UnsafeRawBufferPointer(rebasing: $0[summed...])) }
    summed = memory.count
  }

  /// Finds room for what was added: budget, or spool. False when there is neither: the file has to go now.
  func settle() async throws -> Bool {
    if path == nil, memory.count <= Self.memoryLimit {
      var reserved = reservations.count * Self.step
      while reserved < memory.count {
        guard let more = budget.tryReserve(Self.step, for: .output) else { break }
        reservations.append(more)
        reserved += Self.step
      }
      if reserved >= memory.count { return true }
    }
    guard memory.count >= 64 << 10 || path != nil else { return true }
    guard let path = try await spool.append(memory, to: name) else { return false }
    self.path = path
    spooled += memory.count
    memory = []
    summed = 0
    reservations = []
    return true
  }

  /// What is uploaded, and the digest of what was compressed.
  func finish() async throws -> StagedBody {
    if let cipher { try cipher.finish(into: &memory) }
    sum()
    return StagedBody(body: try await body(), sha256: digest.finish(), md5: md5?.finish())
  }

  private func body() async throws -> HTTPBody {
    guard path != nil else { return .bytes(memory) }
    if !memory.isEmpty {
      // A part in memory and a part on disk can't be sent as one; this last piece may exceed the bound.
      _ = try await spool.append(memory, to: name, exceedingLimit: true)
      spooled += memory.count
      memory = []
    }
    let path = path ?? ""
    try await spool.finish(path)
    return .file(path: path, offset: 0, length: spooled)
  }

  /// Gives memory and disk back.
  func release() async {
    memory = []
    reservations = []
    if let path { await spool.remove(path) }
    path = nil
  }
}
