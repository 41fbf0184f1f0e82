import NebulaCore

/// The blocking side of the source, on a thread of its own.
actor FileReader {
  nonisolated let executor = ThreadExecutor()
  nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

  private let options: FileSourceOptions
  private let context: ConnectorContext
  private let from: Position?
  private let through: Position?

  private var marks: [String: FileMark] = [:]
  private var position = FilePosition()
  private var journal: MarkJournal
  private var planner: FilePlanner
  private var plan: [FileTask] = []
  private var current: FileCursor?
  private var currentTask: FileTask?
  /// With follow: files that were read to their end and are kept open, so that a renamed one is read to its last line.
  private var parked: [String: FileCursor] = [:]
  private var parkedOrder: [String] = []
  /// The end of a re-read that was asked for and is not reached yet.
  private var target: FilePosition?
  /// True when a mark moved since the last batch.
  private var hasMoved = false
  private var lastScan: Duration?

  /// A position holds this many marks before they go to the journal.
  private static let recentMarks = 64

  init(_ options: FileSourceOptions, _ context: ConnectorContext, from: Position?, through: Position?) {
    self.options = options
    self.context = context
    self.from = from
    self.through = through
    journal = MarkJournal(folder: context.paths.state, mark: nil, random: 0)
    planner = FilePlanner(options)
  }

  private var follows: Bool { options.follow && context.mode != .untilCaughtUp }

  func check() -> [Finding] {
    do {
      let files = try planner.list()
      for file in files { _ = try FileDescriptor(opening: file.path) }
      let bytes = files.reduce(UInt64(0)) { $0 + $1.status.size }
      return [.passed("\(options.path): \(files.count) files, \(bytes) bytes")]
    } catch { return [.failed(error)] }
  }

  func start() throws(NebulaError) {
    let unique = context.random(1..<UInt64.max)
    if let from { position = try FilePosition(from) }
    journal = MarkJournal(folder: context.paths.state, mark: position.journal, random: unique)
    marks = try Self.merged(journal.load(), position.recent)
    if let through {
      target = try FilePosition(through)
      plan = try planReread()
    } else {
      try rescan()
    }
  }

  private static func merged(_ old: [String: FileMark], _ recent: [String: FileMark?]) -> [String: FileMark] {
    var marks = old
    for (path, mark) in recent { marks[path] = mark }
    return marks
  }

  func next() async throws -> RecordBatch? {
    while true {
      try Task.checkCancellation()
      if let cursor = current {
        if let cut = try await cursor.next(context.budget) {
          try move(cursor.mark)
          if !cut.records.isEmpty || !cut.rejected.isEmpty { return try batch(cut, cursor) }
        } else {
          try finish(cursor)
        }
      } else if !plan.isEmpty {
        try openNext()
      } else if target != nil {
        return try reachTarget()
      } else if hasMoved {
        return try idle()
      } else if !follows {
        return nil
      } else if try await waitForMore() {
        return try idle()
      }
    }
  }

  // MARK: Files

  private func openNext() throws(NebulaError) {
    let task = plan.removeFirst()
    currentTask = task
    if let kept = parked.removeValue(forKey: task.mark.path), kept.mark.inode == task.mark.inode {
      try kept.extend(to: task.limit, isFinal: task.takesOpenEnd)
      current = kept
      return
    }
    current = try FileCursor(
      task.path, task.mark, task.format, options, limit: task.limit, stopAt: task.stopAt,
      takesOpenEnd: task.takesOpenEnd)
  }

  private func finish(_ cursor: FileCursor) throws(NebulaError) {
    let task = currentTask
    current = nil
    currentTask = nil
    try move(cursor.mark)
    if let listed = task?.listed { planner.saw(cursor.mark.path, listed) }
    if let task, let after = task.renamed {
      forget(cursor.mark.path)
      if case .listed(let path) = after {
        var mark = cursor.mark
        mark.path = path
        try move(mark)
      }
    } else if follows {
      park(cursor)
    }
  }

  private func park(_ cursor: FileCursor) {
    guard cursor.isAtMark else { return }
    let path = cursor.mark.path
    if parked.updateValue(cursor, forKey: path) == nil { parkedOrder.append(path) }
    parkedOrder.removeAll { parked[$0] == nil }
    if parkedOrder.count > 32 { parked[parkedOrder.removeFirst()] = nil }
  }

  private func rescan() throws(NebulaError) {
    lastScan = context.clock.monotonic()
    plan = try planner.plan(marks, parked: parked, final: !options.follow)
    for task in plan {
      if case .moved(let old) = task.origin {
        forget(old)
        try move(task.mark)
      }
    }
  }

  /// True when there is nothing new; waits a while first.
  private func waitForMore() async throws -> Bool {
    let due = (lastScan ?? .zero) + options.pollInterval - context.clock.monotonic()
    if due > .zero { try await context.clock.sleep(min(due, .seconds(1))) }
    guard context.clock.monotonic() - (lastScan ?? .zero) >= options.pollInterval else { return true }
    try rescan()
    return plan.isEmpty
  }

  // MARK: Positions

  private func move(_ mark: FileMark) throws(NebulaError) {
    guard marks[mark.path] != mark || position.recent[mark.path] == nil else { return }
    marks[mark.path] = mark
    if position.recent.count >= Self.recentMarks, position.recent[mark.path] == nil { try flushRecent() }
    position.recent[mark.path] = .some(mark)
    hasMoved = true
  }

  private func forget(_ path: String) {
    marks[path] = nil
    position.recent[path] = .some(nil)
    hasMoved = true
  }

  private func flushRecent() throws(NebulaError) {
    try journal.append(position.recent)
    position.journal = journal.mark
    position.recent = [:]
  }

  /// The journal keeps what the durable position needs; older ones may go.
  func acknowledge(_ position: Position) throws(NebulaError) {
    try journal.sweep(durable: try FilePosition(position).journal)
  }

  // MARK: Batches

  private func batch(_ cut: FileCut, _ cursor: FileCursor) throws -> RecordBatch {
    hasMoved = false
    return RecordBatch(
      bytes: cut.bytes, records: cut.records, format: cursor.format == .csv ? .csv : .json,
      namespaces: [Namespace(collection: FileName(cursor.mark.path).stem)], schema: cursor.schema,
      rejected: cut.rejected, position: position.encoded, lag: lag)
  }

  private func idle() throws -> RecordBatch {
    hasMoved = false
    return .idle(at: position.encoded, lag: lag)
  }

  private var lag: RecordBatch.Lag {
    let waiting = plan.reduce(UInt64(0)) { $0 + $1.remaining }
    return RecordBatch.Lag(remainingBytes: waiting + (current?.remaining ?? 0))
  }

  // MARK: Re-reading up to a position

  private func planReread() throws(NebulaError) -> [FileTask] {
    guard let target else { return [] }
    let end = MarkJournal(folder: context.paths.state, mark: target.journal, random: 0)
    let wanted = Self.merged(try end.load(), target.recent)
    return try planner.reread(from: marks, to: wanted)
  }

  /// Ends the re-read with the very position that was asked for, and goes on behind it.
  private func reachTarget() throws(NebulaError) -> RecordBatch {
    guard let target, let through else { return .idle(at: nil) }
    self.target = nil
    position = target
    let reader = MarkJournal(folder: context.paths.state, mark: target.journal, random: context.random(1..<UInt64.max))
    marks = Self.merged(try reader.load(), target.recent)
    journal = reader
    hasMoved = false
    try rescan()
    return .idle(at: through, lag: lag)
  }

  func closeFiles() {
    current = nil
    parked = [:]
    plan = []
  }
}
