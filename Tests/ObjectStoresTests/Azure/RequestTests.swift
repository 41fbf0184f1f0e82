import Foundation
import NebulaCore
import NebulaHTTP
import Synchronization
import Testing

@testable import NebulaObjectStores

extension AzureTests {
  /// What is sent, and sent again.
  @Suite struct Requests {
    let server: Scripted
    init() async throws { server = try await Scripted() }

    @Test func attemptsShareAnIDAndHaveTheirOwnDates() async throws {
      try await server.answer("PATCH", 503, code: "ServerBusy")
      try await server.drop("PATCH")
      try await server.answer("PATCH", n: 2, 202)
      let store = try server.store()
      try await store.append(
        FileAppend(bytes("abc"), to: "a", at: 0, leaseID: "l", contentMD5: Crypto.md5(Array("abc".utf8))))
      try await store.append(FileAppend(bytes("abc"), to: "a", at: 3))
      let seen = try await server.seen()
      #expect(seen.count == 4)
      let (ids, dates) = (seen.map { $0.headers["x-ms-client-request-id"] }, seen.map { $0.headers["x-ms-date"] })
      #expect(Set(ids[..<3]).count == 1 && ids[3] != ids[0] && Set(dates[..<3]).count == 3)
      #expect(Set(seen[..<3].map { $0.headers["authorization"] }).count == 3)
      let first = seen[0]
      #expect(first.path == "/acct/raw/a?action=append&position=0" && first.body == "abc")
      #expect(first.headers["x-ms-version"] == "2023-11-03" && first.headers["x-ms-lease-id"] == "l")
      #expect(first.headers["content-md5"] == "kAFQmDzST7DWlj99KOF/cg==" && first.headers["content-length"] == "3")
      #expect(first.headers["expect"] == nil && seen[3].headers["x-ms-lease-id"] == nil)
    }

    @Test func signaturesStandInTheAddressOnly() async throws {
      try await server.answer("GET /acct/raw?", 200, body: #"{"paths":[]}"#)
      try await server.answer("PUT", 201)
      let store = try server.store(.sas(AzureSAS("?sv=2023-11-03&sig=a%2Bb")))
      _ = try await store.listAll("x/y", recursive: false)
      _ = try await store.rename(ObjectRename("o ld", to: "n=w", sourceETag: "\"1\""))
      let seen = try await server.seen()
      #expect(seen[0].path == "/acct/raw?resource=filesystem&recursive=false&directory=x%2Fy&sv=2023-11-03&sig=a%2Bb")
      #expect(seen[1].path == "/acct/raw/n%3Dw?mode=legacy&sv=2023-11-03&sig=a%2Bb")
      #expect(seen[1].headers["x-ms-rename-source"] == "/raw/o%20ld?sv=2023-11-03&sig=a%2Bb")
      #expect(seen[1].headers["x-ms-source-if-match"] == "\"1\"" && seen[1].headers["if-none-match"] == "*")
      #expect(seen.allSatisfy { $0.headers["authorization"] == nil })
    }

    /// The request never arrived, twice; nothing was done before, so a refusal is one.
    @Test func aFlushThatIsRefusedAtOnceIsNotLookedAt() async throws {
      try await server.answer("PATCH", 400, code: "InvalidFlushPosition")
      let store = try server.store()
      #expect(try await failure { try await store.flush(FileFlush("a", length: 3)) }.code == .objectsBadPosition)
      #expect(try await server.seen().map(\.method) == ["PATCH"])
    }

    @Test(arguments: [true, false]) func aLostFlushIsKnownByItsLength(isDone: Bool) async throws {
      try await server.drop("PATCH")
      try await server.answer("PATCH", 400, code: "InvalidFlushPosition")
      try await server.answer("HEAD", 200, headers: [("Content-Length", isDone ? "3" : "4"), ("ETag", "\"e\"")])
      let store = try server.store()
      if isDone {
        #expect(try await store.flush(FileFlush("a", length: 3)) == FlushedFile(length: 3, etag: "\"e\""))
      } else {
        let error = try await failure { try await store.flush(FileFlush("a", length: 3)) }
        #expect(error.code == .objectsBadPosition && error.message.contains("should have 3 bytes and has 4"))
      }
      #expect(try await server.seen().map(\.method) == ["PATCH", "PATCH", "HEAD"])
    }

    @Test func aListOfManyPages() async throws {
      try await server.answer(
        "continuation=a%2B%2F%3D", 200, body: #"{"paths":[{"name":"b","contentLength":"2"}]}"#)
      try await server.answer(
        "GET", 200, headers: [("x-ms-continuation", "a+/=")], body: #"{"paths":[{"name":"a","contentLength":"1"}]}"#)
      let store = try server.store()
      #expect(try await store.listAll("").map(\.key) == ["a", "b"])
    }

    @Test func aListThatIsNotThere() async throws {
      try await server.answer("GET", 404, code: "PathNotFound")
      try await server.answer("GET", 404, code: "FilesystemNotFound")
      let store = try server.store()
      #expect(try await store.listAll("none").isEmpty)
      #expect(try await failure { try await store.listAll("none") }.code == .objectsNoContainer)
    }

    @Test func cancellation() async throws {
      try await server.answer("PATCH", n: 1000, 503, code: "ServerBusy")
      var context = server.context
      context.retry = RetryPolicy(maxAttempts: 1_000_000, maxElapsed: .seconds(1_000_000))
      let store = AzureDataLakeStore(
        try AzureLakeLocation(accountURL: server.server.url("/acct"), fileSystem: "raw"),
        credential: .sas(AzureSAS("sig=x")), context: context)
      let task = Task { try await store.flush(FileFlush("a", length: 1)) }
      while server.waits.withLock({ $0.isEmpty }) { _ = try await server.seen() }
      task.cancel()
      await #expect(throws: CancellationError.self) { try await task.value }
    }
  }
}
