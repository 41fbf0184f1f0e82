import Foundation
import NebulaCore
import NebulaFormats

@testable import MongoConnector

/// The stand-in as a child process. It ends with `stop`, with the last reference, and with this process.
final class Standin {
  let uri: String
  private let process = Process()
  private let input = Pipe()
  private let client: MongoClient

  static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  init(_ arguments: String..., login: (user: String, password: String)? = nil, options: String = "") throws {
    process.executableURL = Self.root.appending(path: ".venv/bin/python")
    process.currentDirectoryURL = Self.root
    // It dies with this process: its standard input ends then.
    let guardian = """
      import os, runpy, sys, threading
      threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(0)), daemon=True).start()
      sys.argv[0] = "Sandbox.mongo"
      runpy.run_module("Sandbox.mongo", run_name="__main__", alter_sys=True)
      """
    process.arguments =
      ["-c", guardian] + arguments + (login.map { ["--user", $0.user, "--password", $0.password] } ?? [])
    let output = Pipe()
    process.standardInput = input
    process.standardOutput = output
    try process.run()
    var line = Data()
    while let byte = try output.fileHandleForReading.read(upToCount: 1), !byte.isEmpty, byte[0] != 10 { line += byte }
    let shown = String(decoding: line, as: UTF8.self)
    uri = shown + options
    client = try MongoClient(try ConnectionString(uri))
    try client.connect()
  }
  deinit { stop() }

  func stop() {
    // Not by closing its input, of which another child may hold a copy, nor by a signal that the child, which has
    // this thread's mask, may block.
    if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    process.waitUntilExit()
  }

  @discardableResult
  func run(_ command: String, on database: String = "shop") throws -> Reply {
    let document = try extendedJSON(command)
    return try client.run(database) { builder in
      document.withUnsafeBytes { for element in elements(of: $0) { builder.append(raw: element) } }
    }
  }
  func insert(_ documents: String..., into collection: String = "orders") throws {
    try run(#"{"insert": "\#(collection)", "documents": [\#(documents.joined(separator: ","))]}"#)
  }
  func insert(_ ids: Range<Int>, into collection: String = "orders") throws {
    for start in stride(from: ids.lowerBound, to: ids.upperBound, by: 1000) {
      let documents = (start..<min(start + 1000, ids.upperBound)).map { #"{"_id": \#($0), "v": \#($0)}"# }
      try run(#"{"insert": "\#(collection)", "documents": [\#(documents.joined(separator: ","))]}"#)
    }
  }
  func update(_ id: String, _ change: String, in collection: String = "orders") throws {
    try run(#"{"update": "\#(collection)", "updates": [{"q": {"_id": \#(id)}, "u": \#(change)}]}"#)
  }
  func delete(_ id: String, in collection: String = "orders") throws {
    try run(#"{"delete": "\#(collection)", "deletes": [{"q": {"_id": \#(id)}, "limit": 1}]}"#)
  }
  func faults(_ rules: String...) throws { try run(#"{"sandboxFaults": [\#(rules.joined(separator: ","))]}"#) }
  /// Everything so far is gone from the oplog.
  func forget() throws { try run(#"{"sandboxSet": {"floor": -1}}"#) }
  /// How often the first rule has struck.
  var hits: Int64 { get throws { try run(#"{"sandboxStatus": 1}"#).with("faults", "0", "hits") { $0.integer } ?? 0 } }
  func status(_ name: StaticString) throws -> Int64? { try run(#"{"sandboxStatus": 1}"#).integer(name) }
}

/// A record as text, and the position after its batch.
struct Row: Hashable {
  var operation: String
  var namespace: String
  var key: String
  var document: String
  var before: String
  var update: String
  var token: String
  var sequence: ChangeSequence
  var time: Int64
}

extension Row {
  static func rows(of batch: RecordBatch) -> [Row] {
    guard let changes = batch.changes else { return [] }
    return (0..<batch.count).map { index in
      func text(_ range: ByteRange) -> String {
        batch.withBytes { bytes in
          guard !range.isEmpty else { return "" }
          let output = OutputBuffer(capacity: 64)
          do {
            try BSONToJSON(.relaxed).append(document: bytes.slice(range), to: output)
          } catch { return "\(error)" }
          return output.withBytes { String(decoding: $0, as: UTF8.self) }
        }
      }
      return Row(
        operation: changes.name(of: changes.operations[index]), namespace: batch.namespace(of: index).description,
        key: text(changes.keys[index]), document: text(changes.documents[index]), before: text(changes.befores[index]),
        update: text(changes.updates[index]),
        token: batch.withBytes { String(decoding: $0.slice(changes.tokens[index]), as: UTF8.self) },
        sequence: changes.sequences[index], time: changes.eventTimes[index])
    }
  }
}

extension Timekeeper {
  static let real = Timekeeper(
    monotonic: { ContinuousClock.now - start }, wall: { Int64(Date().timeIntervalSince1970 * 1000) },
    sleep: { try await Task.sleep(for: $0) })
  private static let start = ContinuousClock.now
}

struct NoDeadLetters: DeadLetterSink {
  func append(_ records: [RejectedRecord], to epoch: EpochID) async throws {}
}

/// Lines that were logged.
final class Lines: @unchecked Sendable {  // guarded by `lock`
  private let lock = NSLock()
  private var lines: [String] = []
  func add(_ line: String) { lock.withLock { lines.append(line) } }
  var all: [String] { lock.withLock { lines } }
}

func context(
  _ mode: RunMode = .continuous, log: Lines? = nil, budget: Int = 64 << 20, crash: CrashPoints = .none
) -> ConnectorContext {
  ConnectorContext(
    pipeline: "test", mode: mode, clock: .real,
    log: log.map { lines in Logger { _, line in lines.add(line) } } ?? .silent,
    budget: MemoryBudget(bytes: budget), deadLetters: NoDeadLetters(), paths: Paths(state: "/tmp", spool: "/tmp"),
    crash: crash)
}

func source(
  _ standin: Standin, _ context: ConnectorContext = context(), _ set: (inout MongoOptions) -> Void = { _ in }
) throws -> MongoSource {
  var options = MongoOptions()
  options.uri = standin.uri
  options.database = "shop"
  options.collection = "orders"
  options.maxAwaitTimeMS = 100
  set(&options)
  try options.validate()
  return try MongoSource(options, context)
}

/// What was pulled from a stream.
struct Pulled {
  var rows: [Row] = []
  var rejected: [RejectedRecord] = []
  var batches: [RecordBatch] = []
  var position: Position?
  var isOver = false
  /// Of each batch, also of those without records: what it says of the copy, and its position.
  var steps: [(copy: CopyPhase, position: Position?, read: UInt64)] = []
  var phases: [CopyPhase] { steps.map(\.copy) }
}

/// Pulls until `isEnough` says so, the stream ends, or the time is over (then the test fails by what is missing).
func pull(
  _ stream: inout any RecordStream, seconds: Double = 20, until isEnough: (Pulled) -> Bool = { _ in false }
) async throws -> Pulled {
  var pulled = Pulled()
  let start = ContinuousClock.now
  while !isEnough(pulled), ContinuousClock.now - start < .seconds(seconds) {
    guard let batch = try await stream.next() else {
      pulled.isOver = true
      break
    }
    pulled.rows += Row.rows(of: batch)
    pulled.rejected += batch.rejected
    if batch.read > 0 { pulled.batches.append(batch) }
    pulled.position = batch.position ?? pulled.position
    pulled.steps.append((batch.copy, batch.position, batch.read))
  }
  return pulled
}

/// Opens, pulls and closes.
func read(
  _ source: MongoSource, from position: Position? = nil, seconds: Double = 20,
  until isEnough: (Pulled) -> Bool = { _ in false }
) async throws -> Pulled {
  var stream = try await source.open(from: position, through: nil)
  let pulled: Pulled
  do {
    pulled = try await pull(&stream, seconds: seconds, until: isEnough)
  } catch {
    await source.close()
    throw error
  }
  await source.close()
  return pulled
}
