import Foundation
import NebulaCore
import NebulaHTTP
import Synchronization
import Testing

@testable import NebulaObjectStores

extension AzureTests {
  /// Every refusal, told so that it can be acted on.
  @Suite struct Errors {
    let server: Scripted
    init() async throws { server = try await Scripted() }

    func error(
      as credential: AzureCredential? = nil, _ status: Int64, _ code: String, headers: [(String, String)] = [],
      body: String = ""
    ) async throws -> NebulaError {
      try await server.answer("", status, code: code, headers: headers, body: body)
      let store = try server.store(credential)
      let error = try await failure { try await store.flush(FileFlush("a/b.jsonl", length: 3)) }
      #expect(error.place?.path == "a/b.jsonl" && error.message.contains("a/b.jsonl"))
      #expect(try await server.seen().count == 1)
      return error
    }
    static let failed = JSONValue.object([
      .init(
        "error",
        [
          "code": "AuthenticationFailed",
          "message": "Server failed to authenticate the request. Make sure of it.\nRequestId:x\nTime:y",
          "detail": ["AuthenticationErrorDetail": "SECRET string to sign"],
        ])
    ]).text

    @Test func wrongKey() async throws {
      let error = try await error(403, "AuthenticationFailed", body: Self.failed)
      #expect(error.code == .credentialsRefused && error.exit == .environment)
      #expect(error.remedy.contains("two access keys") && error.native == "HTTP 403 AuthenticationFailed")
      #expect(error.message.contains("Server failed to authenticate") && !error.message.contains("RequestId"))
    }

    @Test(arguments: [(1000, "behind"), (-3600, "ahead of")]) func clockSkew(ahead: Int, word: String) async throws {
      let date = HTTPDate(seconds: Int(server.wall.withLock { $0 / 1000 }) + ahead).text
      let error = try await error(403, "AuthenticationFailed", headers: [("Date", date)], body: Self.failed)
      #expect(error.code == .credentialsClockSkew && error.remedy.contains("\(abs(ahead) / 60) minutes \(word)"))
      #expect(error.remedy.contains("NTP"))
    }

    func sas(_ text: String) -> AzureCredential { .sas(AzureSAS("sp=racwdl&sv=2023-11-03&sr=c&sig=SECRET%3D&" + text)) }

    @Test func expiredSignature() async throws {
      let error = try await error(
        as: sas("se=2020-01-01T00%3A00%3A00Z"), 403, "AuthenticationFailed", body: Self.failed)
      #expect(
        error.code == .credentialsExpired && error.remedy.contains("ended at 2020-01-01T00:00:00Z: make a new one"))
    }

    @Test func signatureOfTheFuture() async throws {
      let error = try await error(
        as: sas("st=2099-01-01&se=2099-02-01"), 403, "AuthenticationFailed", body: Self.failed)
      #expect(error.code == .credentialsRefused && error.remedy.contains("not good before 2099-01-01"))
    }

    @Test func wrongSignature() async throws {
      let error = try await error(as: sas("se=2099-02-01"), 403, "AuthenticationFailed", body: Self.failed)
      #expect(error.code == .credentialsRefused && error.remedy.contains("Copy the shared access signature whole"))
    }

    @Test func signatureThatMayNotWrite() async throws {
      let error = try await error(as: sas("se=2099-02-01"), 403, "AuthorizationPermissionMismatch")
      #expect(error.code == .objectsDenied && error.remedy.contains("racwdl"))
    }

    @Test(arguments: [
      (404, "FilesystemNotFound", NebulaError.Code.objectsNoContainer, "Create it"),
      (404, "ContainerNotFound", .objectsNoContainer, "Create it"),
      (400, "AccountRequiresHttps", .httpInsecure, "https://"),
      (403, "AuthorizationFailure", .objectsDenied, "firewall"),
      (403, "KeyBasedAuthenticationNotPermitted", .objectsDenied, "allowSharedKeyAccess"),
      (403, "AuthorizationProtocolMismatch", .objectsDenied, "https"),
      (403, "AccountIsDisabled", .objectsDenied, "Enable"),
      (412, "LeaseIdMissing", .objectsLeaseLost, "stop the other"),
      (412, "LeaseIdMismatchWithBlobOperation", .objectsLeaseLost, "stop the other"),
      (412, "LeaseLost", .objectsLeaseLost, "stop the other"),
      (412, "ConditionNotMet", .objectsChanged, "who else"),
      (400, "InvalidFlushPosition", .objectsBadPosition, "who else"),
      (404, "PathNotFound", .objectsNotFound, "removed"),
      (409, "InvalidFlushOperation", .objectsRefused, "Blob API"),
      (409, "PathConflict", .objectsBadName, "is a file"),
      (400, "InvalidHeaderValue", .objectsRefused, "what the store says"),
      (413, "RequestBodyTooLarge", .objectsRefused, "what the store says"),
      (409, "BlockCountExceedsLimit", .objectsRefused, "what the store says"),
    ]) func codes(status: Int64, code: String, expected: NebulaError.Code, remedy: String) async throws {
      let error = try await error(status, code)
      #expect(error.code == expected && error.remedy.contains(remedy), "\(error)")
      #expect(error.native == "HTTP \(status) \(code)" && !error.isRetryable)
    }

    @Test(arguments: [
      (503, "ServerBusy"), (500, "InternalError"), (500, "OperationTimedOut"), (409, "FilesystemBeingDeleted"),
    ])
    func whatPassesIsTriedAgainThenTold(status: Int64, code: String) async throws {
      try await server.answer("PATCH", n: 4, status, code: code, headers: [("Retry-After", "9")])
      let store = try server.store()
      let error = try await failure { try await store.flush(FileFlush("a", length: 3)) }
      #expect(error.code == .objectsUnavailable && error.isRetryable)
      #expect(try await server.seen().count == 4)
      #expect(server.waits.withLock { $0.count == 3 && $0.allSatisfy { $0 >= .seconds(9) } })
    }

    @Test(arguments: ["a//b", "../a", "a/./b", "/a", "a/", "", "a\\b", "a\u{1}", "a."]) func badNames(key: String)
      async throws
    {
      let store = try server.store()
      #expect(try await failure { try await store.file(key) }.code == .objectsBadName)
      #expect(try await failure { try await store.put(ObjectUpload(key: key, body: .none)) }.code == .objectsBadName)
      #expect(try await server.seen().isEmpty)
    }

    @Test func appendsThatAreEmptyOrTooLarge() async throws {
      let store = try server.store()
      let large = HTTPBody.file(path: "/none", offset: 0, length: (100 << 20) + 1)
      for append in [
        FileAppend(.none, to: "a", at: 0), FileAppend(large, to: "a", at: 0), FileAppend(bytes("x"), to: "a", at: -1),
      ] {
        #expect(try await failure { try await store.append(append) }.code == .objectsBadPosition)
      }
      #expect(try await server.seen().isEmpty)
    }
  }
}
