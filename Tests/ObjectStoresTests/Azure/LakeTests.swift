import Foundation
import NebulaCore
import NebulaHTTP
import Synchronization
import Testing

@testable import NebulaObjectStores

/// The stand-in that Microsoft's own clients were seen to work with, and what it is told to do wrong.
final class Lake: Sendable {
  static let shared = Result { try PythonServer("azure_server.py") }
  static let client = HTTPClient()
  let server: PythonServer
  let waits = Mutex(0)

  init() async throws {
    server = try Self.shared.get()
    try await faults([])
    try await control(
      "settings", ["clock_offset_seconds": 0, "https_only": false, "shared_key_allowed": true, "list_page": 5000])
    _ = try await control("filesystem?name=raw", method: "DELETE")
    try await control("filesystem", ["name": "raw"])
    _ = try await control("operations", method: "DELETE")
  }

  @discardableResult
  func control(_ name: String, _ body: JSONValue? = nil, method: String? = nil) async throws -> JSONValue {
    let request = HTTPRequest(
      method: method ?? (body == nil ? "GET" : "POST"), url: server.url("/sandbox/\(name)"),
      body: body.map { .bytes($0.bytes) } ?? .none)
    let answer = try await Self.client.perform(request)
    #expect(answer.status == 200, "\(answer.text)")
    return try JSONValue(parsing: answer.body)
  }
  func faults(_ rules: [JSONValue]) async throws { try await control("faults", ["faults": .array(rules)]) }

  func operations() async throws -> [String] {
    (try await control("operations?last=100")["last"]?.array ?? []).map { $0["operation"]?.string ?? "" }
  }
  func truth(_ path: String) async throws -> JSONValue? {
    try await control("files?filesystem=raw")["files"]?.array?.first { $0["path"]?.string == path }
  }
  func content(_ path: String) async throws -> String {
    try await Self.client.perform(
      HTTPRequest(url: server.url("/sandbox/content?filesystem=raw&path=\(PercentEncoding.encode(path))"))
    ).text
  }

  var context: ObjectStoreContext {
    let clock = Timekeeper(
      monotonic: { .zero }, wall: { Int64(Date().timeIntervalSince1970 * 1000) },
      sleep: { _ in
        try Task.checkCancellation()
        self.waits.withLock { $0 += 1 }
      })
    return ObjectStoreContext(
      client: Self.client, clock: clock, retry: RetryPolicy(maxAttempts: 4), timeout: .seconds(60),
      partThreshold: 1 << 20, partSize: 300_000)
  }

  func store(
    _ change: (inout AzureCredentialSettings) -> Void = { $0.sharedKey = Scripted.key }, fileSystem: String = "raw"
  )
    throws -> AzureDataLakeStore
  {
    var settings = AzureCredentialSettings()
    settings.authorityHost = server.url("")
    settings.podIdentityHost = server.url("")
    change(&settings)
    // each service at its own port, which refuses what belongs to the other
    let location = AzureLakeLocation(
      dfsEndPoint: "http://127.0.0.1:\(server.port("dfs"))/devstoreaccount1",
      blobEndPoint: "http://127.0.0.1:\(server.port("blob"))/devstoreaccount1", account: "devstoreaccount1",
      fileSystem: fileSystem)
    return AzureDataLakeStore(
      location, credential: try AzureCredential(settings, for: location, context: context), context: context)
  }
}

extension AzureTests {
  @Suite struct OnTheStandIn {
    let lake: Lake
    let store: AzureDataLakeStore
    init() async throws {
      lake = try await Lake()
      store = try lake.store()
    }
    static let id = "5b1c2d3e-0000-4000-8000-000000000001"
    static let other = "5b1c2d3e-0000-4000-8000-000000000002"
    /// Applied but not answered, applied and answered with an error, and not applied.
    static let lost = [("apply_close", 0), ("apply_status", 500), ("apply_status", 503), ("close", 0)]

    func lose(_ operation: String, _ fault: (String, Int)) async throws {
      var rule: [JSONValue.Member] = [.init("operation", .string(operation)), .init("action", .string(fault.0))]
      if fault.1 > 0 { rule.append(.init("status", .integer(Int64(fault.1)))) }
      try await lake.faults([.object(rule)])
    }

    @Test(arguments: ["a.jsonl", "db/coll/year=2026/month=11/x +y&z(é)~'%2F.jsonl", "шоп/a b;c,d@e.json"])
    func aFileGrows(key: String) async throws {
      let file = NewFile(key: key, properties: ["token": "é{}", "pipeline": "p"], contentType: "application/json")
      guard case .created(let etag) = try await store.createFile(file) else {
        Issue.record("not made")
        return
      }
      #expect(etag != nil)
      try await store.append(FileAppend(bytes("one\n"), to: key, at: 0, contentMD5: Crypto.md5(Array("one\n".utf8))))
      #expect(try await store.file(key)?.length == 0)
      #expect(try await store.flush(FileFlush(key, length: 4)).length == 4)
      let more = try await store.appendAndFlush(FileAppend(bytes("two\n"), to: key, at: 4), closes: true)
      let state = try #require(try await store.file(key))
      #expect(state.length == 8 && state.etag == more.etag && state.properties == file.properties && !state.isFolder)
      #expect(try await lake.content(key) == "one\ntwo\n")
      #expect(try await lake.truth(key)?["closes"]?.integer == 1)
      #expect(try await store.read(key)?.bytes == Array("one\ntwo\n".utf8))
      #expect(try await store.read(key, range: 2..<6)?.bytes == Array("e\ntw".utf8))
      let tail = try await store.read(key, range: 5..<100)
      #expect(tail?.bytes == Array("wo\n".utf8) && tail?.object.size == 8)
      #expect(try await store.read(key, range: 8..<9)?.bytes == [])
      #expect(try await store.read(key, range: 3..<3)?.object.size == 8)
      #expect(try await failure { try await store.read(key, range: 0..<1, ifMatch: "\"0x1\"") }.code == .objectsChanged)
      #expect(try await store.head(key)?.metadata == file.properties)
      try await store.delete(key)
      try await store.delete(key)
      #expect(try await store.file(key) == nil)
      #expect(try await store.read(key) == nil)
      #expect(try await store.head(key) == nil)
    }

    @Test(arguments: lost) func creatingIsResolved(fault: (String, Int)) async throws {
      try await lose("create", fault)
      let made = try await store.createFile(NewFile(key: "a/b", properties: ["token": "1"]))
      guard case .created = made else {
        Issue.record("\(made)")
        return
      }
      let first = try #require(try await store.file("a/b"))
      #expect(
        try await store.createFile(NewFile(key: "a/b", properties: ["token": "2"]))
          == .exists(first))
      #expect(try await store.file("a/b")?.properties == ["token": "1"])
      #expect(try await store.file("a")?.isFolder == true)
      #expect(try await store.head("a") == nil)
    }

    @Test(arguments: lost) func appendingIsResolved(fault: (String, Int)) async throws {
      _ = try await store.createFile(NewFile(key: "f"))
      try await lose("append", fault)
      try await store.append(FileAppend(bytes("abc"), to: "f", at: 0))
      _ = try await store.flush(FileFlush("f", length: 3))
      #expect(try await lake.content("f") == "abc")
    }

    @Test(arguments: lost) func flushingIsResolved(fault: (String, Int)) async throws {
      _ = try await store.createFile(NewFile(key: "f"))
      try await store.append(FileAppend(bytes("abc"), to: "f", at: 0))
      let before = try await store.file("f")?.etag
      try await lose("flush", fault)
      let flushed = try await store.flush(FileFlush("f", length: 3, closes: true, ifMatch: before))
      let after = try await store.file("f")
      #expect(flushed == FlushedFile(length: 3, etag: after?.etag) && after?.length == 3)
      #expect(try await lake.content("f") == "abc")
    }

    @Test(arguments: lost) func appendAndFlushIsResolved(fault: (String, Int)) async throws {
      _ = try await store.createFile(NewFile(key: "f"))
      try await lose("append", fault)
      #expect(try await store.appendAndFlush(FileAppend(bytes("abc"), to: "f", at: 0), closes: false).length == 3)
      #expect(try await store.appendAndFlush(FileAppend(bytes("de"), to: "f", at: 3), closes: true).length == 5)
      #expect(try await lake.content("f") == "abcde")
    }

    /// What a writer that died left behind is dropped by a flush at the length that is there.
    @Test func aClearingFlush() async throws {
      _ = try await store.createFile(NewFile(key: "f"))
      _ = try await store.appendAndFlush(FileAppend(bytes("abc"), to: "f", at: 0), closes: false)
      try await store.append(FileAppend(bytes("stale"), to: "f", at: 3))
      _ = try await store.flush(FileFlush("f", length: 3))
      _ = try await store.appendAndFlush(FileAppend(bytes("d"), to: "f", at: 3), closes: false)
      #expect(try await lake.content("f") == "abcd")
      #expect(try await failure { try await store.flush(FileFlush("f", length: 9)) }.code == .objectsBadPosition)
      #expect(
        try await failure { try await store.flush(FileFlush("f", length: 4, ifMatch: "\"0x1\"")) }.code
          == .objectsChanged)
    }

    @Test func damagedBytesAreRefused() async throws {
      _ = try await store.createFile(NewFile(key: "f"))
      let error = try await failure {
        try await store.append(FileAppend(bytes("abc"), to: "f", at: 0, contentMD5: Crypto.md5(Array("abd".utf8))))
      }
      #expect(error.code == .objectsCorrupt)
      #expect(
        try await failure { try await store.append(FileAppend(bytes("a"), to: "none", at: 0)) }.code == .objectsNotFound
      )
    }

    // MARK: Names

    @Test(arguments: lost) func renamingIsResolved(fault: (String, Int)) async throws {
      _ = try await store.createFile(NewFile(key: "_tmp/a b"))
      _ = try await store.appendAndFlush(FileAppend(bytes("abc"), to: "_tmp/a b", at: 0), closes: true)
      try await lose("rename", fault)
      #expect(try await store.rename(ObjectRename("_tmp/a b", to: "new folder/é=1/c")) == .renamed)
      #expect(try await lake.content("new folder/é=1/c") == "abc")
      #expect(try await store.file("_tmp/a b") == nil)
    }

    @Test func renamesThatCannotBe() async throws {
      for key in ["a", "b"] {
        _ = try await store.createFile(NewFile(key: key))
        _ = try await store.appendAndFlush(FileAppend(bytes(key), to: key, at: 0), closes: false)
      }
      #expect(try await store.rename(ObjectRename("a", to: "b")) == .targetExists)
      #expect(
        try await failure { try await store.rename(ObjectRename("a", to: "c", sourceETag: "\"0x1\"")) }.code
          == .objectsChanged)
      #expect(try await failure { try await store.rename(ObjectRename("none", to: "c")) }.code == .objectsNotFound)
      #expect(
        try await failure { try await store.rename(ObjectRename("none", to: "b", sourceETag: "\"0x1\"")) }.code
          == .objectsNotFound)
      #expect(try await lake.content("a") == "a")
      #expect(try await lake.content("b") == "b")
      let etag = try await store.file("a")?.etag
      #expect(try await store.rename(ObjectRename("a", to: "b", replaces: true)) == .renamed)
      #expect(try await lake.content("b") == "a")
      // again, with what was known before: that is how a program that died asks
      #expect(try await store.rename(ObjectRename("a", to: "b", sourceETag: etag)) == .renamed)
    }

    @Test func listing() async throws {
      for key in ["x/a=1/f 1", "x/a=1/f2", "x/b", "y"] { _ = try await store.createFile(NewFile(key: key)) }
      _ = try await store.appendAndFlush(FileAppend(bytes("abc"), to: "x/b", at: 0), closes: false)
      try await lake.control("settings", ["list_page": 2])
      #expect(try await store.listAll("").map(\.key) == ["x", "x/a=1", "x/a=1/f 1", "x/a=1/f2", "x/b", "y"])
      let x = try await store.listAll("x", recursive: false)
      #expect(x.map(\.key) == ["x/a=1", "x/b"] && x.map(\.isFolder) == [true, false] && x.map(\.size) == [0, 3])
      let etag = try await store.file("x/b")?.etag
      #expect(isSameETag(x[1].etag, etag))
      let page = try await store.list("x", recursive: true, continuation: nil, limit: 1)
      #expect(page.entries.count == 1 && page.next != nil)
      #expect(try await store.listAll("none/deeper").isEmpty)
    }

    @Test(arguments: lost) func properties(fault: (String, Int)) async throws {
      _ = try await store.createFile(NewFile(key: "f", properties: ["a": "1"]))
      let etag = try await store.file("f")?.etag
      try await lose("set_properties", fault)
      let new = try await store.setProperties(["b": "ü"], of: "f", leaseID: nil, ifMatch: etag)
      let state = try await store.file("f")
      #expect(state?.properties == ["b": "ü"] && state?.etag == new && new != etag)
      #expect(
        try await failure { try await store.setProperties(["c": ""], of: "f", leaseID: nil, ifMatch: etag) }.code
          == .objectsChanged)
    }

    // MARK: Fence

    @Test(arguments: lost) func theFence(fault: (String, Int)) async throws {
      func fence(_ text: String) -> ObjectUpload {
        ObjectUpload(key: "_nebula/p/fence", body: bytes(text), metadata: ["g": text])
      }
      try await lose("blob_put", fault)
      guard case .written(let first) = try await store.put(fence("1"), if: .absent) else {
        Issue.record("not written")
        return
      }
      try await lose("blob_put", fault)
      guard case .written(let second) = try await store.put(fence("2"), if: .matches(first.etag ?? "")) else {
        Issue.record("not written")
        return
      }
      #expect(second.etag != first.etag && second.metadata == ["g": "2"])
      let now = try await store.read("_nebula/p/fence")
      #expect(now?.bytes == Array("2".utf8) && isSameETag(now?.object.etag, second.etag))
      for condition in [WriteCondition.absent, .matches(first.etag ?? "")] {
        guard case .refused(let found) = try await store.put(fence("3"), if: condition) else {
          Issue.record("not refused")
          return
        }
        #expect(found?.metadata == ["g": "2"] && isSameETag(found?.etag, second.etag))
      }
      try await store.delete("_nebula/p/fence")
      #expect(try await store.put(fence("3"), if: .matches(second.etag ?? "")) == .refused(nil))
    }

    /// Two writers, one of whom loses his answer while the other writes: he must not believe that he won.
    @Test func anothersFenceIsNotTakenForOurs() async throws {
      let (one, two) = (try lake.store(), try lake.store())
      func fence(_ text: String) -> ObjectUpload { ObjectUpload(key: "f", body: bytes(text)) }
      try await lake.faults([
        ["operation": "blob_put", "action": "close"],
        ["operation": "blob_put", "nth": 2, "action": "status", "status": 503],
      ])
      async let first = one.put(fence("1"), if: .absent)
      async let second = two.put(fence("2"), if: .absent)
      let results = try await [first, second]
      let winners = results.filter { if case .written = $0 { true } else { false } }
      #expect(winners.count == 1)
    }

    // MARK: Whole objects

    @Test func objects() async throws {
      let large = (0..<1_234_567).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 11) }
      for (key, body) in [("s/a b.json", Array("abc".utf8)), ("s/large", large)] {
        let upload = ObjectUpload(
          key: key, body: .bytes(body), metadata: ["sum": "1"], contentType: "application/json",
          contentMD5: Crypto.md5(body),
          checksumMetadata: "sum")
        #expect(try await !store.put(upload).wasThere)
        #expect(try await store.put(upload).wasThere)
        #expect(try await store.read(key)?.bytes == body)
        #expect(try await store.head(key)?.metadata == ["sum": "1"])
      }
    }

    // MARK: Leases

    @Test func leases() async throws {
      _ = try await store.createFile(NewFile(key: "f"))
      #expect(try await store.acquireLease(on: "f", id: Self.id, for: .infinite) == .held)
      #expect(try await store.acquireLease(on: "f", id: Self.id, for: .infinite) == .held)
      #expect(try await store.acquireLease(on: "f", id: Self.other, for: .seconds(15)) == .heldByOther)
      #expect(try await store.file("f")?.lease == .leased)
      for id in [nil, Self.other] {
        let append = FileAppend(bytes("x"), to: "f", at: 0, leaseID: id)
        #expect(try await failure { try await store.append(append) }.code == .objectsLeaseLost)
        #expect(try await failure { try await store.appendAndFlush(append, closes: false) }.code == .objectsLeaseLost)
        #expect(
          try await failure { try await store.flush(FileFlush("f", length: 0, leaseID: id)) }.code == .objectsLeaseLost)
        #expect(
          try await failure { try await store.deleteFile("f", leaseID: id, ifMatch: nil) }.code == .objectsLeaseLost)
      }
      try await store.append(FileAppend(bytes("x"), to: "f", at: 0, leaseID: Self.id))
      _ = try await store.flush(FileFlush("f", length: 1, leaseID: Self.id))
      #expect(try await store.renewLease(on: "f", id: Self.id) == .held)
      #expect(try await store.renewLease(on: "f", id: Self.other) == .heldByOther)
      try await store.releaseLease(on: "f", id: Self.other)  // not ours: nothing happens
      #expect(try await store.file("f")?.lease == .leased)
      try await store.releaseLease(on: "f", id: Self.id)
      try await store.releaseLease(on: "f", id: Self.id)
      #expect(try await store.file("f")?.lease == .available)
      #expect(try await store.acquireLease(on: "none", id: Self.id, for: .infinite) == .noFile)
      try await store.breakLease(on: "none")
      try await store.breakLease(on: "f")
    }

    /// A takeover: the old holder's requests are refused from that moment on.
    @Test func takingOver() async throws {
      _ = try await store.createFile(NewFile(key: "f"))
      _ = try await store.acquireLease(on: "f", id: Self.id, for: .infinite)
      try await store.append(FileAppend(bytes("old"), to: "f", at: 0, leaseID: Self.id))
      try await store.breakLease(on: "f")
      #expect(try await store.acquireLease(on: "f", id: Self.other, for: .infinite) == .held)
      _ = try await store.flush(FileFlush("f", length: 0, leaseID: Self.other))
      #expect(
        try await failure { try await store.flush(FileFlush("f", length: 3, leaseID: Self.id)) }.code
          == .objectsLeaseLost)
      #expect(try await store.renewLease(on: "f", id: Self.id) == .heldByOther)
      #expect(try await store.file("f")?.length == 0)
    }

    @Test(arguments: ["acquire", "renew", "change", "release", "break"], lost)
    func lostAnswersToLeases(action: String, fault: (String, Int)) async throws {
      _ = try await store.createFile(NewFile(key: "f"))
      if action != "acquire" { _ = try await store.acquireLease(on: "f", id: Self.id, for: .seconds(60)) }
      try await lose("lease", fault)
      switch action {
      case "acquire": #expect(try await store.acquireLease(on: "f", id: Self.id, for: .infinite) == .held)
      case "renew": #expect(try await store.renewLease(on: "f", id: Self.id) == .held)
      case "change": #expect(try await store.changeLease(on: "f", from: Self.id, to: Self.other) == .held)
      case "release": try await store.releaseLease(on: "f", id: Self.id)
      default: try await store.breakLease(on: "f")
      }
      let lease = try await lake.truth("f")
      let expected = ["release": "available", "break": "broken"][action] ?? "leased"
      #expect(lease?["lease"]?.string == expected)
      if action == "change" { #expect(lease?["lease_id"]?.string == Self.other) }
    }

    // MARK: Who asks

    static let tenant = "11111111-1111-1111-1111-111111111111"
    static let client = "22222222-2222-2222-2222-222222222222"

    @Test func everyWayOfLoggingIn() async throws {
      let file = FileManager.default.temporaryDirectory.appendingPathComponent("nebula-\(UUID())")
      try Data("sandbox.federated.token\n".utf8).write(to: file)
      defer { try? FileManager.default.removeItem(at: file) }
      let ways: [(String, (inout AzureCredentialSettings) -> Void)] = [
        (
          "service principal",
          { ($0.tenantID, $0.clientID, $0.clientSecret) = (Self.tenant, Self.client, "sandbox-secret") }
        ),
        (
          "workload identity",
          { ($0.tenantID, $0.clientID, $0.federatedTokenFile) = (Self.tenant, Self.client, file.path) }
        ),
        ("managed identity", { _ in }),
        ("managed identity", { $0.clientID = "44444444-4444-4444-4444-444444444444" }),
        (
          "managed identity of App Service",
          { ($0.identityEndpoint, $0.identityHeader) = (lake.server.url("/msi/token"), "sandbox-identity-header") }
        ),
        ("shared key", { $0.sharedKey = Scripted.key }),
      ]
      for (name, change) in ways {
        let store = try lake.store(change)
        #expect(store.credentialName == name)
        _ = try await store.createFile(NewFile(key: "f \(name)"))
        try await lake.control("expire-tokens", [:])
        #expect(try await store.file("f \(name)")?.length == 0)
      }
    }

    /// A signature for the container (`sr=c`), as the account's key makes it.
    static func signature(permissions: String = "racwdl", start: String = "", end: String = "2099-01-01T00:00:00Z")
      -> String
    {
      let text =
        [permissions, start, end, "/blob/devstoreaccount1/raw", "", "", "", "2023-11-03", "c"]
        + Array(repeating: "", count: 7)
      let key = Crypto.bytes(base64: Scripted.key) ?? []
      let proof = Crypto.base64(Crypto.hmacSHA256(key: key, Array(text.joined(separator: "\n").utf8)))
      let fields = [("sp", permissions), ("st", start), ("se", end), ("sv", "2023-11-03"), ("sr", "c"), ("sig", proof)]
      return PercentEncoding.form(fields.filter { !$0.1.isEmpty })
    }

    @Test func everythingBySignature() async throws {
      let store = try lake.store { $0.sas = "?" + Self.signature() }
      #expect(store.credentialName == "shared access signature")
      _ = try await store.createFile(NewFile(key: "t mp/f"))
      #expect(try await store.acquireLease(on: "t mp/f", id: Self.id, for: .infinite) == .held)
      let append = FileAppend(bytes("abc"), to: "t mp/f", at: 0, leaseID: Self.id)
      #expect(try await store.appendAndFlush(append, closes: true).length == 3)
      try await store.releaseLease(on: "t mp/f", id: Self.id)
      #expect(try await store.rename(ObjectRename("t mp/f", to: "g=1/h")) == .renamed)
      #expect(try await store.read("g=1/h")?.bytes == Array("abc".utf8))
      _ = try await store.put(ObjectUpload(key: "whole", body: bytes("x")))
      #expect(try await store.listAll("").map(\.key) == ["g=1", "g=1/h", "t mp", "whole"])
      try await store.delete("whole")
    }

    @Test func signaturesThatAreNotEnough() async throws {
      func error(_ text: String) async throws -> NebulaError {
        let store = try lake.store { $0.sas = text }
        return try await failure { try await store.createFile(NewFile(key: "f")) }
      }
      #expect(try await error(Self.signature(permissions: "rl")).code == .objectsDenied)
      let expired = try await error(Self.signature(end: "2020-01-01T00:00:00Z"))
      #expect(expired.code == .credentialsExpired && expired.remedy.contains("2020-01-01"))
      #expect(try await error(Self.signature(start: "2098-01-01T00:00:00Z")).remedy.contains("not good before 2098"))
      #expect(try await error(Self.signature() + "A").code == .credentialsRefused)
      try await lake.control("settings", ["shared_key_allowed": false])
      #expect(try await failure { try await store.file("f") }.remedy.contains("allowSharedKeyAccess"))
    }

    @Test func errorsOfTheStandIn() async throws {
      func error(_ store: AzureDataLakeStore) async throws -> NebulaError {
        try await failure { try await store.createFile(NewFile(key: "f")) }
      }
      let wrong = try lake.store { $0.sharedKey = Crypto.base64(Array("SECRET, but not this one".utf8)) }
      #expect(try await error(wrong).code == .credentialsRefused)
      let expired = try lake.store { $0.sas = "sv=2023-11-03&sr=c&sp=racwdl&se=2020-01-01T00%3A00%3A00Z&sig=AAAA" }
      #expect(try await error(expired).code == .credentialsExpired)
      #expect(try await error(lake.store(fileSystem: "missing")).code == .objectsNoContainer)
      try await lake.control(
        "principals", ["client_id": "55555555-5555-5555-5555-555555555555", "secrets": ["s"], "role": "reader"])
      let reader = try lake.store {
        ($0.tenantID, $0.clientID, $0.clientSecret) = (Self.tenant, "55555555-5555-5555-5555-555555555555", "s")
      }
      #expect(try await error(reader).code == .objectsDenied)
      let stranger = try lake.store {
        ($0.tenantID, $0.clientID, $0.clientSecret) = (Self.tenant, Self.client, "SECRET")
      }
      #expect(try await error(stranger).native == "HTTP 401 AADSTS7000215")
      try await lake.control("settings", ["https_only": true])
      #expect(try await error(store).code == .httpInsecure)
      try await lake.control("settings", ["https_only": false, "clock_offset_seconds": 3600])
      let skewed = try await error(store)
      #expect(
        skewed.code == .credentialsClockSkew && skewed.remedy.contains("60 minutes behind")
          || skewed.remedy.contains("59 minutes behind"))
    }

    /// One address for both services, as the endpoint override has it.
    @Test func oneAddressForBoth() async throws {
      let location = try AzureLakeLocation(accountURL: lake.server.told["url"]?.string ?? "", fileSystem: "raw")
      let key = try AzureSharedKey(account: location.account, base64: Scripted.key)
      let store = AzureDataLakeStore(location, credential: .sharedKey(key), context: lake.context)
      _ = try await store.createFile(NewFile(key: "f"))
      #expect(try await store.acquireLease(on: "f", id: Self.id, for: .infinite) == .held)
      guard case .written = try await store.put(ObjectUpload(key: "b", body: bytes("x")), if: .absent) else {
        Issue.record("not written")
        return
      }
      #expect(try await store.listAll("").map(\.key) == ["b", "f"])
    }

    @Test func theFileSystem() async throws {
      #expect(try await store.exists())
      let missing = try lake.store(fileSystem: "made-here")
      #expect(try await !missing.exists())
      try await missing.createFileSystem()
      try await missing.createFileSystem()
      #expect(try await missing.exists())
      try await lake.control("filesystem?name=made-here", method: "DELETE")
    }
  }
}
