import Foundation
import NebulaCore
import Testing

@testable import MongoConnector

@Suite(.serialized, .timeLimit(.minutes(2))) struct CheckTests {
  func findings(_ uri: String, _ set: (inout MongoOptions) -> Void = { _ in }) async throws -> [Finding] {
    var options = MongoOptions()
    (options.uri, options.database, options.collection) = (uri, "shop", "orders")
    set(&options)
    return try await MongoSource(options, context()).check()
  }

  @Test func aGoodServerPasses() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    let findings = try await findings(standin.uri)
    #expect(findings.allSatisfy(\.passed) && findings.count == 3)
    try standin.insert(0..<1)
    #expect(try await self.findings(standin.uri).contains { $0.summary == "shop.orders exists" })
  }

  @Test func wrongCredentialsAreNamed() async throws {
    let standin = try Standin(login: ("reader", "right"), options: "")
    defer { standin.stop() }
    let host = standin.uri.split(separator: "@").last.map(String.init) ?? ""
    let bare = host.replacing("mongodb://", with: "")
    let error = try await findings("mongodb://reader:wr0ng@\(bare)").last?.error
    #expect(error?.code == "mongo.authentication_failed" && error?.exit == .environment)
    #expect(error?.description.contains("wr0ng") == false)
    #expect(try await findings("mongodb://reader:right@\(bare)").allSatisfy(\.passed))
  }

  @Test func missingRightsAreNamed() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    try standin.faults(
      #"{"command": "changeStream", "code": 13, "message": "not authorized on shop to execute command"}"#)
    let error = try await findings(standin.uri).last?.error
    #expect(error?.code == "mongo.not_permitted" && error?.remedy.contains("changeStream") == true)
  }

  @Test func aServerWithoutOplogIsNamed() async throws {
    let standin = try Standin()
    defer { standin.stop() }
    try standin.faults(#"{"command": "changeStream", "code": 40573, "message": "only supported on replica sets"}"#)
    #expect(try await findings(standin.uri).last?.error?.code == "mongo.not_a_replica_set")
  }

  @Test func anOldServerIsNamed() async throws {
    let standin = try Standin("--wire", "7")
    defer { standin.stop() }
    #expect(try await findings(standin.uri).last?.error?.code == "mongo.server_too_old")
    let error = await #expect(throws: NebulaError.self) { try await read(source(standin)) }
    #expect(error?.code == "mongo.server_too_old")
  }

  @Test func unreachableAndUnknownHostsAreNamed() async throws {
    for host in ["127.0.0.1:1", "no-such-host.invalid:27017"] {
      let error = try await findings("mongodb://me:s3cret@\(host)/?replicaSet=rs0&serverSelectionTimeoutMS=600").last?
        .error
      #expect(error?.code == "mongo.unreachable", "\(String(describing: error))")
      #expect(error?.message.contains(host.split(separator: ":")[0]) == true)
      #expect(error?.description.contains("s3cret") == false)
    }
    let error = try await findings("mongodb+srv://me:s3cret@db.no-such-host.invalid/").last?.error
    #expect(error?.code == "mongo.unreachable" && error?.description.contains("s3cret") == false)
  }

  @Test func aCertificateThatDoesNotVerifyIsNamed() async throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "nebula-mongo-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let openssl = Process()
    openssl.executableURL = URL(filePath: "/usr/bin/env")
    openssl.arguments = [
      "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
      "subjectAltName=IP:127.0.0.1", "-keyout", folder + "/key.pem", "-out", folder + "/cert.pem",
    ]
    openssl.standardError = FileHandle.nullDevice
    try openssl.run()
    openssl.waitUntilExit()
    let trusting = "&tls=true&tlsCAFile=\(folder)/cert.pem"
    let standin = try Standin(
      "--tls-cert", folder + "/cert.pem", "--tls-key", folder + "/key.pem", options: trusting)
    defer { standin.stop() }
    #expect(try await findings(standin.uri).allSatisfy(\.passed))
    let distrusting = standin.uri.replacing(trusting, with: "&tls=true&serverSelectionTimeoutMS=600")
    let error = try await findings(distrusting).last?.error
    #expect(error?.code == "mongo.certificate_refused", "\(String(describing: error))")
  }
}
