import Foundation
import NebulaCore
import NebulaHTTP
import Testing

@testable import SnowflakeConnector

@Suite(.enabled(if: StandIn.isAvailable), .serialized) struct LoginTests {
  private func openssl(_ arguments: [String]) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
    process.arguments = arguments
    process.standardError = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
  }

  @Test func keyPairs() async throws {
    let folder = NSTemporaryDirectory() + "nebula-keys-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try openssl(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "\(folder)/plain.p8"])
    try openssl([
      "pkcs8", "-topk8", "-in", "\(folder)/plain.p8", "-out", "\(folder)/locked.p8", "-passout", "pass:open sesame",
      "-v2", "aes-256-cbc",
    ])
    try openssl(["pkey", "-in", "\(folder)/plain.p8", "-pubout", "-out", "\(folder)/public.pem"])
    let standIn = try StandIn(["--public-key", "\(folder)/public.pem"])
    let pem = try String(contentsOfFile: "\(folder)/plain.p8", encoding: .utf8)
    let ways: [KeyValuePairs<String, String>] = [
      ["password": "", "private_key_path": "\(folder)/plain.p8"],
      ["password": "", "private_key_path": "\(folder)/locked.p8", "private_key_passphrase": "open sesame"],
      ["password": "", "private_key": pem],
      ["password": "", "private_key": pem.replacingOccurrences(of: "\n", with: "\\n")],
    ]
    for way in ways {
      let rig = try Rig(standIn, way)
      let findings = try await rig.destination.check()
      #expect(findings.filter { !$0.passed }.isEmpty)
      await rig.close()
    }
    let wrong = #expect(throws: NebulaError.self) {
      _ = try Rig(standIn, ["password": "", "private_key_path": "\(folder)/locked.p8", "private_key_passphrase": "no"])
    }
    #expect(wrong?.code == .badKey && wrong?.exit == .configuration)
    try openssl(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "\(folder)/other.p8"])
    let stranger = try Rig(standIn, ["password": "", "private_key_path": "\(folder)/other.p8"])
    let refused = await #expect(throws: NebulaError.self) { try await stranger.open() }
    #expect(refused?.code == .loginFailed && refused?.exit == .environment)
    await stranger.close()
  }

  @Test func wrongCredentialsAreClearAndSecret() async throws {
    let standIn = try StandIn(["--pat", "good-token"])
    let good = try Rig(standIn, ["password": "", "token": "good-token", "authenticator": "programmatic_access_token"])
    try await good.open()
    await good.close()
    for change in [["password": "planted-secret"], ["password": "", "token": "planted-secret"]]
      as [KeyValuePairs<String, String>]
    {
      let rig = try Rig(standIn, change)
      let error = await #expect(throws: NebulaError.self) { try await rig.open() }
      #expect(error?.code == .loginFailed && error?.exit == .environment && error?.disposition == .stop)
      #expect(!"\(error as Any) \(rig.log.all)".contains("planted-secret"))
      await rig.close()
    }
  }

  @Test func missingRightsPrintTheGrant() async throws {
    let standIn = try StandIn()
    for denied in ["CREATE TABLE", "CREATE STAGE"] {
      try await standIn.control(
        "user", ["name": "POOR", "password": "secret-of-the-test", "deny": [.string(denied)]])
      let rig = try Rig(standIn, ["user": "POOR", "stage_name": denied == "CREATE STAGE" ? "ANOTHER" : "FIRST"])
      let error = await #expect(throws: NebulaError.self) { try await rig.open() }
      #expect(
        error?.code == .notPermitted && error?.remedy.contains("GRANT \(denied) ON SCHEMA") == true,
        "\(denied): \(error as Any)")
      #expect(error?.native?.contains("query") == true)
      await rig.close()
    }
  }

  @Test func unreachableHosts() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, ["host": "http://127.0.0.1:1"])
    let error = await #expect(throws: NebulaError.self) { try await rig.open() }
    #expect(error?.code == "http.refused" && error?.exit == .environment)
    await rig.close()
  }
}
