import Foundation
import NebulaCore
import NebulaHTTP
import NebulaObjectStores
import Testing

@testable import SnowflakeConnector

/// How files get into the stage: addresses for one file, parts, credentials that expire in between, and the spool.
@Suite(.enabled(if: StandIn.isAvailable), .serialized) struct StageTests {
  /// Whoever waits for another's request must not write to the address that was made for the other's file.
  @Test func anAddressForOneFileServesThatFileOnly() async throws {
    let standIn = try StandIn([
      "--location", "GCS", "--set", "gcs_presigned=true", "--set", "default_encrypted=false",
    ])
    let rig = try Rig(standIn)
    try await rig.open()
    let stage = await rig.destination.stage
    try await standIn.faults(["sql": "^PUT", "action": "slow_before", "gate": "put"])
    let uploads = (1...8).map { number in
      Task {
        let bytes = [UInt8](repeating: UInt8(number), count: number)
        let staged = StagedBody(body: .bytes(bytes), sha256: Crypto.sha256(bytes))
        try await stage.upload(staged, file: "f\(number)", folder: "fresh", encryption: nil, .none)
      }
    }
    try await standIn.until { try await standIn.faultsDone() > 0 }
    try await standIn.open(gate: "put")
    for upload in uploads { try await upload.value }
    let sizes = Dictionary(uniqueKeysWithValues: (1...8).map { ("f\($0)", UInt64($0)) })
    #expect(try await stage.list("fresh") == sizes)
    // One PUT a file: the first caller's own answer is good for its file.
    #expect(try await standIn.statements().filter { $0.hasPrefix("PUT") }.count == 8)
    await rig.close()
  }

  /// A document that makes a file of several parts.
  private var large: RecordBatch {
    var batch = ChangeBatch()
    let key = Document().int32("_id", 1)
    let text = String(repeating: "0123456789abcdef", count: 12_000_000 / 16)
    batch.add(.insert, key: key.bytes, document: key.string("text", text).bytes, token: "1")
    return batch.batch
  }

  private func rig(_ standIn: StandIn) throws -> Rig {
    // So small a budget that the file goes over the spool.
    try Rig(
      standIn, budget: 4 << 20,
      uploads: {
        $0.partThreshold = 6 << 20
        $0.partSize = 5 << 20
        $0.parallelParts = 1
      }, ["compression_type": "NONE"])
  }

  @Test(arguments: ["S3", "AZURE"], ["true", "false"])
  func filesInPartsAreLoaded(_ location: String, _ isEncrypted: String) async throws {
    let standIn = try StandIn(["--location", location, "--set", "default_encrypted=\(isEncrypted)"])
    let rig = try rig(standIn)
    try await rig.open()
    let part = location == "S3" ? "partNumber=" : "comp=block&"
    try await standIn.faults(["path": .string(part), "action": "slow", "delay_ms": 0, "times": 0])
    let prepared = try await rig.prepare(.at(1, 1), [large, ChangeBatch.orders(3, from: 10)])
    #expect(try await standIn.faultsDone() == 3)
    if location == "AZURE" { try await expectMD5OfEachFile(standIn, rig) }
    #expect(try await rig.commit(prepared).rows == 4)
    await rig.close()
  }

  /// Azure does not know the MD5 of a blob in blocks by itself.
  private func expectMD5OfEachFile(_ standIn: StandIn, _ rig: Rig) async throws {
    let told = try await standIn.control("stage", ["stage": "RAW.SHOP.NEBULA_STAGE"])["files"]?.array ?? []
    let stage = await rig.destination.stage.name.sql
    let listed = try await rig.destination.pool.with { try await $0.query("LIST @\(stage)", trying: "test") }
    let digests = listed.rows.indices.map { Crypto.bytes(hex: listed[$0, "md5"] ?? "-").map { Crypto.base64($0) } }
    #expect(!digests.isEmpty && Set(told.map { $0["headers"]?["x-ms-blob-content-md5"]?.string }) == Set(digests))
  }

  /// Credentials that expire between two parts are renewed there: what lies in the store is not sent again.
  @Test(arguments: ["S3", "AZURE"]) func credentialsMayExpireBetweenParts(_ location: String) async throws {
    let standIn = try StandIn(["--location", location])
    let rig = try rig(standIn)
    try await rig.open()
    let part: JSONValue = location == "S3" ? "partNumber=" : "comp=block&"
    try await standIn.faults(
      ["path": part, "nth": 2, "action": "slow_before", "gate": "part"],
      ["path": part, "action": "slow", "delay_ms": 0, "times": 0],
      ["path": "uploads|comp=blocklist", "action": "slow", "delay_ms": 0, "times": 0])
    let work = Task { [large] in try await rig.prepare(.at(1, 1), [large]) }
    try await standIn.until { try await standIn.faultCounts().first == 1 }
    try await standIn.control("expire-credentials")
    try await standIn.open(gate: "part")
    let prepared = try await work.value
    // Parts 1, 2 (refused), 2 and 3, of one upload.
    let counts = try await standIn.faultCounts()
    #expect(counts == [1, 3, 1])
    #expect(try await rig.commit(prepared).rows == 1)
    await rig.close()
  }

  /// What can't be uploaded gives its memory back, and the error comes out where the writer waits for room.
  @Test(.timeLimit(.minutes(2))) func aFailedUploadEndsAWriterThatWaitsForRoom() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, budget: 2 << 20, spoolBytes: 0, ["micro_batch_size": "100000"])
    try await rig.open()
    try await standIn.faults(["service": "s3", "method": "PUT", "action": "status", "status": 403, "times": 0])
    try await rig.destination.begin(.at(1, 1), pin: nil)
    let batch = ChangeBatch.orders(1000)
    await #expect(throws: NebulaError.self) {
      for _ in 0..<500 { try await rig.destination.write(batch, to: .at(1, 1)) }
    }
    try await rig.destination.abort(.at(1, 1), nil)
    await rig.close()
  }

  /// A file whose first write fails was given to nobody: it must go by itself, with its descriptor.
  @Test func aSpoolFileThatCannotBeginLeavesNothing() async throws {
    let folder = NSTemporaryDirectory() + "nebula-spool-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    // The disk of this one is full.
    try FileManager.default.createSymbolicLink(atPath: folder + "/a.staged", withDestinationPath: "/dev/full")
    let spool = Spool(folder: folder, limit: 1 << 20)
    let bytes = SharedBytes(copying: [1, 2, 3])
    let error = await #expect(throws: NebulaError.self) { _ = try await spool.append(bytes.base, to: "a") }
    #expect(error?.code == .spoolFailed && error?.native == "errno 28")
    let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")
      .compactMap { try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)") }
    #expect(!open.contains("/dev/full"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    let path = try #require(try await spool.append(bytes.base, to: "a"))
    #expect(try Array(Data(contentsOf: URL(fileURLWithPath: path))) == [1, 2, 3])
    await spool.remove(path)
  }
}
