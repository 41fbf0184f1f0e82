internal import NebulaCore
internal import NebulaObjectStores

/// The growing files of a pipeline under one session's lease: which are open, how long they are, what each epoch in the
/// making appended. Bounded: the one not written for longest is let go.
actor RollingFiles: Placer {
  private let parts: LakeParts
  let leases: LeaseKeeper
  private let opener: FileOpener
  private let roll: RollRule
  /// By partition.
  private var open: [String: GrowingFile] = [:]
  /// Partitions of which an epoch that is not committed holds records.
  private var expected: [EpochID: Set<String>] = [:]
  /// Partitions whose file is being closed or let go.
  private var leaving: [String: Task<Void, Never>] = [:]
  /// What epochs in the making appended.
  private var written: [EpochID: [String: Manifest.Unit]] = [:]
  private var turn: UInt64 = 0
  /// When this session began, in milliseconds since 1970.
  private let opened: Int64

  init(_ parts: LakeParts, _ leases: LeaseKeeper) {
    self.parts = parts
    self.leases = leases
    opened = parts.context.clock.wall()
    opener = FileOpener(parts: parts, leases: leases)
    roll = RollRule(maxBytes: parts.options.maxFileBytes.bytes, maxAppends: parts.options.maxAppends)
  }

  // MARK: placing

  func expect(_ partition: Partition, in epoch: EpochID) { expected[epoch, default: []].insert(partition.base) }

  func place(
    _ size: Int, rows: Int, tail: Manifest.Tail, header: [UInt8], in partition: Partition, _ epoch: EpochID
  ) async throws -> Placement {
    expect(partition, in: epoch)
    var file = try await self.file(partition)
    if roll.rolls(end: file.end, appends: file.appends, adding: size) {
      try await leaveFull(file, epoch)
      file = try await fetch(partition, after: file.part)
    }
    let placement = Placement(key: file.key, offset: file.end, leaseID: leases.id)
    note(size, rows, tail, file, partition.base, epoch)
    try await use(&file, size, partition.base)
    return placement
  }

  private func note(
    _ size: Int, _ rows: Int, _ tail: Manifest.Tail, _ file: GrowingFile, _ base: String, _ epoch: EpochID
  ) {
    var unit = written[epoch, default: [:]][base] ?? Manifest.Unit(base: base, files: [])
    if unit.files.last?.key != file.key {
      unit.files.append(Manifest.File(key: file.key, from: file.end, to: file.end, rows: 0))
    }
    let last = unit.files.count - 1
    unit.files[last].to += size
    unit.files[last].rows += UInt64(rows)
    unit.files[last].tail = tail
    written[epoch, default: [:]][base] = unit
  }

  private func use(_ file: inout GrowingFile, _ size: Int, _ base: String) async throws {
    file.end += size
    file.appends += 1
    file.lastUse = parts.context.clock.wall()
    turn += 1
    file.turn = turn
    open[base] = file
    guard file.appends % FileOpener.countedBy == 0, var entry = await parts.journal.entries[file.key] else { return }
    entry.appends = file.appends
    try await parts.journal.note([entry])
  }

  /// A full file: its last flush closes it. One that this epoch did not write is closed at once.
  private func leaveFull(_ file: GrowingFile, _ epoch: EpochID) async throws {
    open[file.name.base] = nil
    if var unit = written[epoch]?[file.name.base], unit.files.last?.key == file.key {
      unit.files[unit.files.count - 1].closes = true
      written[epoch]?[file.name.base] = unit
    } else {
      try await Closing(parts, leases).close([file.key])
    }
  }

  private func file(_ partition: Partition) async throws -> GrowingFile {
    while let task = leaving[partition.base] { await task.value }
    if let file = open[partition.base] { return file }
    return try await fetch(partition)
  }

  private func fetch(_ partition: Partition, after full: Int = 0) async throws -> GrowingFile {
    let file = try await parts.request { try await opener.open(partition, after: full) }
    open[partition.base] = file
    letGo()
    return file
  }

  // MARK: letting go

  private var busy: Set<String> { expected.values.reduce(into: []) { $0.formUnion($1) } }

  /// Gives back the file that was not written for longest when too many are open.
  private func letGo() {
    guard open.count > parts.options.maxOpenFiles else { return }
    let busy = busy
    let idle = open.filter { !busy.contains($0.key) && leaving[$0.key] == nil }
    // A tenth at once, so that looking for them stays cheap.
    let count = max(1, parts.options.maxOpenFiles / 10)
    for (base, file) in idle.sorted(by: { $0.value.turn < $1.value.turn }).prefix(count) {
      leave(base, file) { parts, leases in
        try await Self.noteLeft([file], parts)
        try await parts.store.releaseLease(on: file.key, id: leases.id)
      }
    }
  }

  private func leave(
    _ base: String, _ file: GrowingFile, _ body: @escaping @Sendable (LakeParts, LeaseKeeper) async throws -> Void
  ) {
    open[base] = nil
    leaving[base] = Task.detached { [self, parts, leases] in
      do { try await parts.request { try await body(parts, leases) } } catch {
        parts.context.log.warning("\(file.key) could not be let go; it is taken again later: \(error)")
      }
      await left(base)
    }
  }
  private func left(_ base: String) { leaving[base] = nil }

  /// Writes down how often these files were appended to.
  private static func noteLeft(_ files: [GrowingFile], _ parts: LakeParts) async throws {
    let entries = await parts.journal.entries
    try await parts.journal.note(
      files.compactMap { file in
        guard var entry = entries[file.key] else { return nil }
        (entry.appends, entry.isOpen) = (file.appends, false)
        return entry
      })
  }

  /// Closes the files whose time is over. `at` is milliseconds since 1970.
  func closeDue(_ rule: CloseRule, at now: Int64) async throws {
    let busy = busy
    let held = Set(open.values.map(\.key))
    var due = open.filter {
      !busy.contains($0.key) && rule.isDue(until: $0.value.until, lastUse: $0.value.lastUse, now: now)
    }.map { (base: $0.key, key: $0.value.key) }
    // Those that an earlier process left, and those that were let go.
    for entry in await parts.journal.entries.values
    where !held.contains(entry.key) && !busy.contains(entry.base) && open[entry.base]?.key != entry.key
      && rule.isDue(until: entry.until, lastUse: opened, now: now)
    {
      due.append((entry.base, entry.key))
    }
    let free = due.filter { leaving[$0.base] == nil }
    guard !free.isEmpty else { return }
    try await closeAll(free)
  }

  private func closeAll(_ due: [(base: String, key: String)]) async throws {
    let failure = Watched<(any Error)?>(nil)
    let keys = due.map(\.key)
    let work = Task.detached { [self, parts, leases] in
      do { try await Closing(parts, leases).close(keys) } catch { failure.update { $0 = error } }
      for entry in due { await left(entry.base) }
    }
    for entry in due {
      open[entry.base] = nil
      leaving[entry.base] = work
    }
    await work.value
    if let error = failure.value { throw error }
  }

  // MARK: epochs

  func finish(_ epoch: EpochID) -> [Manifest.Unit] {
    (written[epoch] ?? [:]).values.sorted { $0.base < $1.base }
  }

  /// A unit is visible: its files are that long now.
  func committed(_ unit: Manifest.Unit) async throws {
    let closed = unit.files.filter(\.closes)
    guard !closed.isEmpty else { return }
    for file in closed { try await parts.store.releaseLease(on: file.key, id: leases.id) }
    try await parts.journal.forget(closed.map(\.key))
  }

  /// The epoch is committed, or will never be; `clean` when all that it appended is visible.
  func settled(_ epoch: EpochID, clean: Bool) {
    if !clean {
      // What is known of these files is no longer true: they are looked at again before they are used.
      for base in expected[epoch] ?? [] { open[base] = nil }
      for base in (written[epoch] ?? [:]).keys { open[base] = nil }
    }
    expected[epoch] = nil
    written[epoch] = nil
  }

  /// Gives back every lease of a file that nothing is pending for.
  func releaseAll() async {
    for task in leaving.values { await task.value }
    let busy = busy
    let idle = open.values.filter { !busy.contains($0.name.base) }
    do { try await Self.noteLeft(idle, parts) } catch { parts.context.log.warning("\(error)") }
    let keys = idle.map(\.key)
    open = open.filter { busy.contains($0.key) }
    await withTaskGroup(of: Void.self) { group in
      for key in keys {
        group.addTask { [parts, leases] in
          do { try await parts.request { try await parts.store.releaseLease(on: key, id: leases.id) } } catch {
            parts.context.log.warning("The lease of \(key) could not be given back; the next run takes it: \(error)")
          }
        }
      }
    }
  }
}
