import NebulaCore
import Synchronization

/// Source `file`: JSON Lines and CSV, plain or compressed, read once or followed.
///
/// A thread of its own reads, decodes and checks; one batch is read ahead. Every batch's position names how far each
/// file was read, with fingerprints of its content, so that a killed run goes on exactly there.
final class FileSource: Source {
  private let options: FileSourceOptions
  private let context: ConnectorContext
  // The stream that is open now; `close` and the next `open` end it.
  private let current = Mutex<FileReadAhead?>(nil)

  init(_ options: FileSourceOptions, _ context: ConnectorContext) {
    self.options = options
    self.context = context
  }

  var traits: SourceTraits {
    SourceTraits(
      resume: .exact, rereadsExactly: true, hasKeys: false, isOrdered: true,
      isBounded: !options.follow || context.mode == .untilCaughtUp)
  }

  func check() async throws -> [Finding] {
    let reader = FileReader(options, context, from: nil, through: nil)
    defer { reader.executor.stop() }
    return await reader.check()
  }

  func open(from position: Position?, through: Position?) async throws -> sending any RecordStream {
    await close()
    let reader = FileReader(options, context, from: position, through: through)
    let ahead = FileReadAhead(reader)
    do { try await reader.start() } catch {
      await ahead.close()
      throw error
    }
    current.withLock { $0 = ahead }
    return FileStream(ahead: ahead)
  }

  func acknowledge(through position: DurablePosition) async throws {
    guard let ahead = current.withLock({ $0 }) else { return }
    try await ahead.acknowledge(position.position)
  }

  func close() async {
    let ahead = current.withLock { open in
      defer { open = nil }
      return open
    }
    await ahead?.close()
  }
}

/// The pipeline's end of the hand-off.
struct FileStream: RecordStream {
  let ahead: FileReadAhead
  mutating func next() async throws -> RecordBatch? { try await ahead.next() }
}

/// Keeps one batch in the making while the one before is being worked on.
final class FileReadAhead: Sendable {
  private struct State {
    var pending: Task<RecordBatch?, any Error>?
    var isClosed = false
  }
  private let reader: FileReader
  private let state = Mutex(State())

  init(_ reader: FileReader) { self.reader = reader }

  deinit {
    let (reader, pending) = (reader, state.withLock { $0.pending })
    guard !state.withLock({ $0.isClosed }) else { return }
    pending?.cancel()
    Task {
      _ = await pending?.result
      await reader.closeFiles()
      reader.executor.stop()
    }
  }

  func next() async throws -> RecordBatch? {
    let task = try begin()
    let batch = try await withTaskCancellationHandler {
      try await task.value
    } onCancel: {
      task.cancel()
    }
    state.withLock { $0.pending = nil }
    if batch != nil { _ = try? begin() }
    return batch
  }

  private func begin() throws -> Task<RecordBatch?, any Error> {
    try state.withLock { state in
      guard !state.isClosed else { throw CancellationError() }
      let reader = reader
      let task = state.pending ?? Task { try await reader.next() }
      state.pending = task
      return task
    }
  }

  func acknowledge(_ position: Position) async throws {
    guard !state.withLock({ $0.isClosed }) else { return }
    try await reader.acknowledge(position)
  }

  func close() async {
    let (wasClosed, pending) = state.withLock { state in
      defer { state.isClosed = true }
      return (state.isClosed, state.pending)
    }
    guard !wasClosed else { return }
    pending?.cancel()
    _ = await pending?.result
    await reader.closeFiles()
    reader.executor.stop()
  }
}
