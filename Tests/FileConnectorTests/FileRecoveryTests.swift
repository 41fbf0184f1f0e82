import Foundation
import NebulaFormats
import Synchronization
import Testing

@testable import FileConnector
@testable import NebulaCore

/// What is left of a process that died: the test unwinds out of `commit` at a named point.
@Suite("file destination after a death")
struct FileRecoveryTests {
  let scratch: Scratch
  init() throws { scratch = try Scratch() }

  private func destination(
    generation: UInt64 = 1, knowing last: EpochID? = nil, crash: CrashPoints = .none
  ) async throws -> any Destination {
    let destination = try makeDestination(
      testContext(scratch, crash: crash), ["path": scratch.output, "max_file_records": "2"])
    try await destination.open(Lease(pipeline: "test", generation: generation, lastEpoch: last))
    return destination
  }

  private func prepared(_ epoch: EpochID = id(1), lines: Int = 5, by destination: any Destination) async throws
    -> PreparedEpoch
  {
    try await destination.begin(epoch, pin: nil)
    try await destination.write(batch((0..<lines).map { "\($0)" }), to: epoch)
    return try await destination.prepare(epoch)
  }

  private func isCommitted(_ fate: EpochFate) -> Bool { if case .committed = fate { true } else { false } }
  private func isUnknown(_ fate: EpochFate) -> Bool { if case .unknown = fate { true } else { false } }

  /// The state of the folder when the process dies at `point`: copied at that moment and put back.
  private func folder(at point: String) async throws -> PreparedEpoch {
    let (source, copy) = (scratch.output, "\(scratch.path)/copy")
    let seen = Mutex(0)
    let crash = CrashPoints { name in
      guard name == point,
        seen.withLock({
          $0 += 1; return $0
        }) == 1
      else { return }
      try? FileManager.default.copyItem(atPath: source, toPath: copy)
    }
    let first = try await destination(crash: crash)
    let epoch = try await prepared(by: first)
    _ = try await first.commit(epoch)
    await first.close()
    try FileManager.default.removeItem(atPath: source)
    try FileManager.default.moveItem(atPath: copy, toPath: source)
    return epoch
  }

  @Test(
    "a death at any point of the commit: the next process finishes it, once",
    arguments: ["before-commit", "mid-publish", "after-publish", "after-commit"])
  func deaths(point: String) async throws {
    let epoch = try await folder(at: point)
    let next = try await destination(generation: 2)
    let fate = try await next.recover(epoch)
    #expect(point == "after-commit" ? isCommitted(fate) : fate == .ready)
    for _ in 0..<2 {
      guard case .committed(let receipt) = try await next.commit(epoch) else { throw CancellationError() }
      #expect(receipt.rows == 5 && receipt.files == 3)
      #expect(try scratch.published() == "0\n1\n2\n3\n4\n")
    }
    #expect(isCommitted(try await next.recover(epoch)))
    await next.close()
  }

  @Test("a file that a reader took away after the publication, before the manifest: unknown, not written again")
  func readerTookFile() async throws {
    let epoch = try await folder(at: "after-publish")
    try FileManager.default.removeItem(atPath: "\(scratch.output)/0000000001-0000000001-000002.jsonl")
    let next = try await destination(generation: 2)
    #expect(isUnknown(try await next.recover(epoch)))
    #expect(scratch.files(in: scratch.output).count == 2)
    await next.close()
  }

  @Test("with the manifest there, files may have been taken away")
  func readerTookFileLater() async throws {
    let epoch = try await folder(at: "after-commit")
    for file in scratch.files(in: scratch.output) {
      try FileManager.default.removeItem(atPath: "\(scratch.output)/\(file)")
    }
    let next = try await destination(generation: 2)
    #expect(isCommitted(try await next.recover(epoch)))
    guard case .committed = try await next.commit(epoch) else { throw CancellationError() }
    #expect(scratch.files(in: scratch.output).isEmpty)
    await next.close()
  }

  @Test("damaged staged files: gone, again and again, and nobody can commit the epoch after")
  func damagedStage() async throws {
    let first = try await destination()
    let epoch = try await prepared(by: first)
    let staged = "\(scratch.output)/_staging/test/0000000001-0000000001/0000000001-0000000001-000002.jsonl"
    try Data("9\n9\n".utf8).write(to: URL(fileURLWithPath: staged))
    try Data("other".utf8).write(to: URL(fileURLWithPath: "\(scratch.output)/0000000001-0000000001-000002.jsonl"))
    for _ in 0..<3 { #expect(try await first.recover(epoch) == .gone) }
    await #expect(throws: NebulaError.self) { try await first.commit(epoch) }
    #expect(try scratch.published() == "other")
    await first.close()
  }

  @Test("an aborted epoch leaves nothing; recovering it after that says gone")
  func abort() async throws {
    let first = try await destination()
    try await first.begin(id(1), pin: nil)
    try await first.write(batch(["1"]), to: id(1))
    try await first.abort(id(1), nil)
    let epoch = try await prepared(id(2), by: first)
    try await first.abort(id(2), epoch)
    try await first.abort(id(2), epoch)
    #expect(try await first.recover(epoch) == .gone)
    #expect(scratch.files(in: scratch.output).isEmpty)
    #expect(scratch.files(in: "\(scratch.output)/_staging") == ["test/0000000001-0000000002.abandoned"])
    let last = try await prepared(id(3), by: first)
    guard case .committed(let receipt) = try await first.commit(last) else { throw CancellationError() }
    try await first.settled(receipt, last)
    #expect(scratch.files(in: "\(scratch.output)/_staging").isEmpty)
    await first.close()
  }

  @Test("a name that is taken by other content is an error, by ours it is not")
  func takenName() async throws {
    let first = try await destination()
    let epoch = try await prepared(lines: 2, by: first)
    let name = "\(scratch.output)/0000000001-0000000001-000001.jsonl"
    try Data("9\n9\n".utf8).write(to: URL(fileURLWithPath: name))
    let error = await #expect(throws: NebulaError.self) { try await first.commit(epoch) }
    #expect(error?.code.rawValue == "file.name_taken")
    try Data("0\n1\n".utf8).write(to: URL(fileURLWithPath: name))
    guard case .committed = try await first.commit(epoch) else { throw CancellationError() }
    #expect(try scratch.published() == "0\n1\n")
    await first.close()
  }

  @Test("an older writer can't commit, and can't take the folder back")
  func fence() async throws {
    let old = try await destination(generation: 3)
    let epoch = try await prepared(id(1, 3), by: old)
    let new = try await destination(generation: 4)
    let error = await #expect(throws: NebulaError.self) { try await old.commit(epoch) }
    #expect(error?.code.rawValue == "state.fenced")
    #expect(scratch.files(in: scratch.output).isEmpty)
    guard case .committed = try await new.commit(epoch) else { throw CancellationError() }
    #expect(try scratch.published() == "0\n1\n2\n3\n4\n")
    let behind = await #expect(throws: NebulaError.self) { try await destination(generation: 2) }
    #expect(behind?.code.rawValue == "state.behind_destination")
    await old.close()
    await new.close()
  }

  @Test("an older state is refused, however often it starts")
  func olderState() async throws {
    let first = try await destination(knowing: EpochID(generation: 0, sequence: 0))
    for number in 1...2 as ClosedRange<UInt64> {
      guard case .committed = try await first.commit(try await prepared(id(number), by: first)) else {
        throw CancellationError()
      }
    }
    await first.close()
    for generation in 2...4 as ClosedRange<UInt64> {
      let error = await #expect(throws: NebulaError.self) {
        try await destination(generation: generation, knowing: id(1))
      }
      #expect(error?.code.rawValue == "state.behind_destination")
    }
    await (try await destination(generation: 5, knowing: id(2))).close()
  }

  @Test("opening keeps what a recovery may need, and sweeps what none can")
  func sweep() async throws {
    let first = try await destination()
    let epochs = [id(1), id(2), id(3)]
    var prepared: [PreparedEpoch] = []
    for epoch in epochs { prepared.append(try await self.prepared(epoch, by: first)) }
    try FileManager.default.createDirectory(
      atPath: "\(scratch.output)/_staging/test/0000000001-0000000000", withIntermediateDirectories: true)
    _ = try await first.commit(prepared[0])
    await first.close()
    let next = try await destination(generation: 2)
    let left = try FileManager.default.contentsOfDirectory(atPath: "\(scratch.output)/_staging/test").sorted()
    #expect(left == epochs.map(\.description))
    for epoch in prepared[1...] { #expect(try await next.recover(epoch) == .ready) }
    await next.close()
  }

  @Test("a manifest whose names leave the folder is refused")
  func hostileManifest() async throws {
    let first = try await destination()
    for name in ["../x", "/x", "a//b", "a/../../x"] {
      let manifest =
        "{\"version\":1,\"pipeline\":\"test\",\"epoch\":\"\(id(1))\",\"files\":[{\"name\":\"\(name)\",\"records\":1,\"bytes\":1,\"sha256\":\"\"}]}"
      let epoch = PreparedEpoch(id(1), counts: RecordCounts(committed: 1), version: 1, manifest: Array(manifest.utf8))
      await #expect(throws: NebulaError.self) { try await first.commit(epoch) }
    }
    await first.close()
  }

  @Test(
    "a full disk: a clear error at staging, and at the manifest; after room is made nothing is lost",
    .enabled(if: SmallDisk.isPermitted, "mounting a tmpfs is not permitted here"))
  func fullDisk() async throws {
    let disk = try #require(try SmallDisk(at: scratch.output, bytes: 256 << 10))
    defer { disk.unmount() }
    let filler = "\(scratch.output)/filler"
    let first = try await destination()
    try Data(count: 120 << 10).write(to: URL(fileURLWithPath: filler))
    let error = await #expect(throws: NebulaError.self) {
      try await first.begin(id(1), pin: nil)
      for _ in 0..<40 { try await first.write(batch([String(repeating: "1", count: 10_000)]), to: id(1)) }
      _ = try await first.prepare(id(1))
    }
    #expect(error?.code.rawValue == "file.disk_full")
    #expect(error?.isRetryable == true && error?.place?.path.contains("_staging") == true)
    try await first.abort(id(1), nil)
    let epoch = try await prepared(id(2), by: first)
    try fill("\(scratch.output)/rest")
    let late = await #expect(throws: NebulaError.self) { try await first.commit(epoch) }
    #expect(late?.code.rawValue == "file.disk_full")
    #expect(!FileManager.default.fileExists(atPath: "\(scratch.output)/_manifest/test/\(id(2)).json"))
    await first.close()
    for file in [filler, "\(scratch.output)/rest"] { try FileManager.default.removeItem(atPath: file) }
    let next = try await destination(generation: 2)
    #expect(try await next.recover(epoch) == .ready)
    guard case .committed = try await next.commit(epoch) else { throw CancellationError() }
    #expect(try scratch.published() == "0\n1\n2\n3\n4\n")
    await next.close()
  }

  /// Takes all room that is left.
  private func fill(_ path: String) throws {
    _ = FileManager.default.createFile(atPath: path, contents: nil)
    let handle = try #require(FileHandle(forWritingAtPath: path))
    while (try? handle.write(contentsOf: Data(count: 512))) != nil {}
    try? handle.close()
  }
}

/// A tmpfs of its own; nil where that is not permitted.
struct SmallDisk {
  let path: String
  init?(at path: String, bytes: Int) throws {
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    guard mount("tmpfs", path, "tmpfs", 0, "size=\(bytes)") == 0 else { return nil }
    self.path = path
  }
  /// Tried once, with a disk that is gone again.
  static let isPermitted: Bool = {
    guard let scratch = try? Scratch(), let disk = try? SmallDisk(at: scratch.output, bytes: 4096) else { return false }
    disk.unmount()
    return true
  }()
  func unmount() { umount2(path, 2) }
}
