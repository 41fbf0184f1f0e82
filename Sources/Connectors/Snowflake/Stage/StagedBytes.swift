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
  private let memory = OutputBuffer(capacity: 64)
  private var reservations: [MemoryBudget.Reservation] = []
  private var held: [MemoryBudget.Reservation] = []
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
      guard let cipher else { return memory.append(bytes) }
      try memory.withSpare(minimum: bytes.count + 16) { (room) throws(NebulaError) in
        try cipher.update(bytes, to: room)
      }
    }
    sum()
  }

  /// Adds to the MD5 what has come to `memory`.
  private func sum() {
    guard let md5 else { return }
    memory.withBytes { md5.update(UnsafeRawBufferPointer(rebasing: $0[summed...])) }
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
    guard try await spool(exceedingLimit: false) else { return false }
    reservations = []
    return true
  }

  /// Moves to disk what is in memory; false when there is no room.
  private func spool(exceedingLimit: Bool) async throws -> Bool {
    // The bytes stay where they are until the spool has written them: this file has one owner, who waits here.
    nonisolated(unsafe) let bytes = memory.withBytes { $0 }
    guard let path = try await spool.append(bytes, to: name, exceedingLimit: exceedingLimit) else { return false }
    self.path = path
    spooled += memory.count
    memory.removeAll(keepingCapacity: memory.count <= 2 * Self.step)
    summed = 0
    return true
  }

  /// Reserves so many bytes more for what waits before it; false when the budget does not have them.
  func hold(_ bytes: Int) -> Bool {
    while held.count * Self.step < bytes {
      guard let more = budget.tryReserve(Self.step, for: .output) else { return false }
      held.append(more)
    }
    return true
  }
  /// What waited has become bytes of the file.
  func letGo() { held = [] }

  /// What is uploaded, and the digest of what was compressed.
  func finish() async throws -> StagedBody {
    if let cipher {
      var last: [UInt8] = []
      try cipher.finish(into: &last)
      memory.append(last)
    }
    sum()
    return StagedBody(body: try await body(), sha256: digest.finish(), md5: md5?.finish())
  }

  private func body() async throws -> HTTPBody {
    guard let path else { return .shared(memory.take()) }
    // A part in memory and a part on disk can't be sent as one; this last piece may exceed the bound.
    if !memory.isEmpty { _ = try await spool(exceedingLimit: true) }
    try await spool.finish(path)
    return .file(path: path, offset: 0, length: spooled)
  }

  /// Gives memory and disk back.
  func release() async {
    memory.removeAll(keepingCapacity: false)
    reservations = []
    held = []
    if let path { await spool.remove(path) }
    path = nil
  }
}
