import Foundation
import NebulaCore
import Testing

@testable import NebulaRuntime

@Suite("dead letters in files")
struct FileDeadLetterStoreTests {
  private let folder: String
  private let epoch = EpochID(generation: 1, sequence: 7)

  init() throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("nebula-dead-\(UUID().uuidString)").path
  }

  private func record(_ payload: [UInt8], line: Int = 3) -> RejectedRecord {
    RejectedRecord(
      NebulaError(
        "file.bad_line", "It is \"bad\"\n\u{1}.", remedy: "Mend it.",
        at: .init(path: "in/a.jsonl", line: line, key: "{\"_id\":1}"), disposition: .reject),
      payload: payload, format: .json)
  }

  private func names() -> [String] { ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted() }
  private func clean() { try? FileManager.default.removeItem(atPath: folder) }

  @Test("hidden until published; each line is JSON with all that is known; mode 0600")
  func life() async throws {
    defer { clean() }
    let store = FileDeadLetterStore(folder: folder)
    #expect(try await store.seal(epoch) == nil)
    try await store.append([record(Array("{bad é".utf8))], to: epoch)
    try await store.append([record([0xFF, 0, 1, 2], line: 4), record([], line: 5)], to: epoch)
    let sealed = try #require(try await store.seal(epoch))
    #expect(names() == [".0000000001-0000000007.jsonl"])
    #expect(sealed.name == "0000000001-0000000007.jsonl" && sealed.records == 3)
    for _ in 0..<2 { try await store.publish(sealed) }
    #expect(names() == [sealed.name])
    let path = "\(folder)/\(sealed.name)"
    #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o600)
    let bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: path)))
    #expect(UInt64(bytes.count) == sealed.bytes && SHA256.hex(SHA256.digest(of: bytes)) == sealed.sha256)
    let lines = try bytes.split(separator: 0x0A).map {
      try #require(try JSONSerialization.jsonObject(with: Data($0)) as? [String: Any])
    }
    #expect(lines.count == 3)
    #expect(lines[0]["code"] as? String == "file.bad_line")
    #expect(lines[0]["message"] as? String == "It is \"bad\"\n\u{1}.")
    #expect(lines[0]["remedy"] as? String == "Mend it.")
    #expect(lines[0]["namespace"] as? String == "in/a.jsonl")
    #expect(lines[0]["line"] as? Int == 3)
    #expect(lines[0]["key"] as? String == "{\"_id\":1}")
    #expect(lines[0]["format"] as? String == "json")
    #expect(lines[0]["payload"] as? String == "{bad é")
    #expect(lines[1]["payloadBase64"] as? String == Data([0xFF, 0, 1, 2]).base64EncodedString())
    #expect(lines[2]["payload"] as? String == "")
  }

  @Test("what was sealed survives its process, and is published by the next")
  func restart() async throws {
    defer { clean() }
    let store = FileDeadLetterStore(folder: folder)
    try await store.append([record([1])], to: epoch)
    let sealed = try #require(try await store.seal(epoch))
    let other = EpochID(generation: 1, sequence: 8)
    try await store.append([record([2])], to: other)
    let next = FileDeadLetterStore(folder: folder)
    try await next.sweep(keeping: [sealed], through: 2)
    #expect(names() == [".\(sealed.name)"])
    try await next.publish(sealed)
    try await next.sweep(keeping: [], through: 2)
    #expect(names() == [sealed.name])
  }

  @Test("a newer writer's hidden files are left alone")
  func newerGeneration() async throws {
    defer { clean() }
    let newer = FileDeadLetterStore(folder: folder)
    try await newer.append([record([1])], to: EpochID(generation: 5, sequence: 9))
    let sealed = try #require(try await newer.seal(EpochID(generation: 5, sequence: 9)))
    try await FileDeadLetterStore(folder: folder).sweep(keeping: [], through: 4)
    #expect(names() == [".\(sealed.name)"])
    try await FileDeadLetterStore(folder: folder).sweep(keeping: [], through: 5)
    #expect(names().isEmpty)
  }

  @Test("a load may add to a sealed file; a death before the new intent takes the addition back")
  func additions() async throws {
    defer { clean() }
    let store = FileDeadLetterStore(folder: folder)
    try await store.append([record([1])], to: epoch)
    let first = try #require(try await store.seal(epoch))
    try await store.append([record([2])], to: epoch)
    let second = try #require(try await store.seal(epoch))
    #expect(second.records == 2 && second.bytes == 2 * first.bytes)
    let next = FileDeadLetterStore(folder: folder)
    try await next.sweep(keeping: [first], through: 2)
    try await next.append([record([2])], to: epoch)
    #expect(try await next.seal(epoch) == second)
    try await next.publish(second)
    #expect(names() == [second.name])
    try await FileDeadLetterStore(folder: folder).publish(second)
  }

  @Test("a death between the two names of a publication changes nothing")
  func halfPublished() async throws {
    defer { clean() }
    let store = FileDeadLetterStore(folder: folder)
    try await store.append([record([1])], to: epoch)
    let sealed = try #require(try await store.seal(epoch))
    try FileManager.default.linkItem(atPath: "\(folder)/.\(sealed.name)", toPath: "\(folder)/\(sealed.name)")
    try await store.publish(sealed)
    #expect(names() == [sealed.name])
  }

  @Test("a file that is missing, cut or changed is an error; a taken name is not overwritten")
  func damage() async throws {
    defer { clean() }
    let store = FileDeadLetterStore(folder: folder)
    try await store.append([record([1])], to: epoch)
    let sealed = try #require(try await store.seal(epoch))
    let visible = "\(folder)/\(sealed.name)"
    try Data("theirs".utf8).write(to: URL(fileURLWithPath: visible))
    let error = await #expect(throws: NebulaError.self) { try await store.publish(sealed) }
    #expect(error?.code == .deadLettersDamaged)
    #expect(try String(contentsOfFile: visible, encoding: .utf8) == "theirs")
    try FileManager.default.removeItem(atPath: visible)
    try Data("cut".utf8).write(to: URL(fileURLWithPath: "\(folder)/.\(sealed.name)"))
    await #expect(throws: NebulaError.self) { try await store.publish(sealed) }
    #expect(names() == [".\(sealed.name)"])
  }

  @Test("a discarded epoch leaves nothing, and its store goes on")
  func discard() async throws {
    defer { clean() }
    let store = FileDeadLetterStore(folder: folder)
    try await store.append([record([1])], to: epoch)
    try await store.discard(epoch)
    try await store.discard(epoch)
    #expect(names().isEmpty)
    #expect(try await store.seal(epoch) == nil)
  }

  @Test("a full disk is a retryable error with the place; after room is made the next start loses nothing")
  func fullDisk() async throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    guard mount("tmpfs", folder, "tmpfs", 0, "size=65536") == 0 else {
      print("dead letters, full disk: not shown, since mounting a tmpfs is not permitted here")
      return clean()
    }
    defer {
      umount2(folder, 2)
      clean()
    }
    let store = FileDeadLetterStore(folder: folder)
    let error = await #expect(throws: NebulaError.self) {
      for _ in 0..<100 { try await store.append([record([UInt8](repeating: 65, count: 4000))], to: epoch) }
    }
    #expect(error?.code == .deadLettersDiskFull && error?.isRetryable == true)
    #expect(error?.place?.path.hasPrefix(folder) == true)
    await #expect(throws: NebulaError.self) { try await store.seal(epoch) }
    try await store.discard(epoch)
    try await store.append([record([1])], to: EpochID(generation: 1, sequence: 8))
    let sealed = try #require(try await store.seal(EpochID(generation: 1, sequence: 8)))
    try await store.publish(sealed)
    #expect(names() == [sealed.name])
  }
}
