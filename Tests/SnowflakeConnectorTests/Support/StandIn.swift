import Foundation
import NebulaCore
import NebulaHTTP

/// Sandbox's Snowflake, as a child process of the test. Ends with the object.
final class StandIn: @unchecked Sendable {  // everything is set in init
  let process = Process()
  let folder: String
  let port: Int
  private let http = HTTPClient()
  var url: String { "http://127.0.0.1:\(port)" }

  /// The repository: where `Sandbox` and `.venv` lie.
  static let root: String = {
    if let given = ProcessInfo.processInfo.environment["NEBULA_SANDBOX_ROOT"] { return given }
    return URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent().path
  }()
  /// Tests that need it are left out, loudly, where there is no Python environment.
  static let isAvailable =
    FileManager.default.fileExists(atPath: root + "/.venv/bin/python")
    && FileManager.default.fileExists(atPath: root + "/Sandbox/snowflake/__main__.py")

  init(_ arguments: [String] = []) throws {
    folder = NSTemporaryDirectory() + "nebula-snow-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder + "/data", withIntermediateDirectories: true)
    let portFile = folder + "/port"
    process.executableURL = URL(fileURLWithPath: Self.root + "/.venv/bin/python")
    process.currentDirectoryURL = URL(fileURLWithPath: Self.root)
    process.arguments =
      [
        "-m", "Sandbox.snowflake", "--port", "0", "--port-file", portFile, "--data", folder + "/data",
        "--user", "LOADER", "--password", "secret-of-the-test", "--database", "RAW.SHOP", "--threads", "2",
      ] + arguments
    _ = FileManager.default.createFile(atPath: folder + "/log", contents: nil)
    let log = FileHandle(forWritingAtPath: folder + "/log")
    process.standardOutput = log
    process.standardError = log
    try process.run()
    let deadline = Date().addingTimeInterval(30)
    while true {
      if let text = try? String(contentsOfFile: portFile, encoding: .utf8), let number = Int(text.filter(\.isNumber)) {
        port = number
        break
      }
      guard process.isRunning, Date() < deadline else {
        throw NebulaError(
          "test.standin",
          "The stand-in did not start: \((try? String(contentsOfFile: folder + "/log", encoding: .utf8)) ?? "")",
          remedy: "")
      }
      usleep(20_000)
    }
  }

  deinit {
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
    try? FileManager.default.removeItem(atPath: folder)
  }

  // MARK: control

  @discardableResult
  func control(_ name: String, _ body: JSONValue = [:], method: String = "POST") async throws -> JSONValue {
    let response = try await http.perform(
      HTTPRequest(
        method: method, url: "\(url)/sandbox/\(name)", headers: ["Content-Type": "application/json"],
        body: .bytes(body.bytes), maxResponseBytes: 256 << 20))
    guard response.isSuccess else { throw NebulaError("test.control", "\(name): \(response.text)", remedy: "") }
    return try JSONValue(parsing: response.body)
  }

  func faults(_ rules: JSONValue...) async throws { try await control("faults", ["faults": .array(rules)]) }

  /// The fault rules with their counts; how often all of them acted.
  func faultsDone() async throws -> Int64 {
    try await control("faults", method: "GET")["faults"]?.array?.reduce(0) { $0 + ($1["done"]?.integer ?? 0) } ?? 0
  }

  /// How often each fault rule acted, in their order.
  func faultCounts() async throws -> [Int64] {
    try await control("faults", method: "GET")["faults"]?.array?.map { $0["done"]?.integer ?? 0 } ?? []
  }

  /// Lets go what fault rules with this gate hold back.
  func open(gate: String) async throws { try await control("open-gate", ["gate": .string(gate)]) }

  /// Asks again and again until it is so; each look is an exchange, nothing sleeps.
  func until(_ isSo: () async throws -> Bool) async throws {
    let deadline = Date().addingTimeInterval(60)
    while try await !isSo() {
      guard Date() < deadline else { throw NebulaError("test.never", "It never came to that.", remedy: "") }
    }
  }

  /// The sessions that live.
  func sessions() async throws -> [Int64] {
    try await control("sessions", method: "GET")["sessions"]?.array?.compactMap { $0["session"]?.integer } ?? []
  }

  /// What became of a statement, each time that it was carried out.
  func fates(of sql: String) async throws -> [String] {
    try await control("queries?last=5000", method: "GET")["queries"]?.array?
      .filter { $0["sql"]?.string == sql }.compactMap { $0["status"]?.string } ?? []
  }

  /// The statements that were carried out, and are of interest.
  func statements(_ isWanted: (String) -> Bool) async throws -> [String] {
    try await control("queries?last=5000", method: "GET")["queries"]?.array?.compactMap { $0["sql"]?.string }
      .filter(isWanted) ?? []
  }

  /// All tables, as `DB.SCHEMA.NAME`.
  func tables() async throws -> [String] {
    try await control("dump", method: "GET")["tables"]?.object?.map(\.name) ?? []
  }

  /// Committed rows of a table, read by DuckDB.
  func rows(_ table: String, order: String? = nil) async throws -> [JSONValue] {
    let path = folder + "/export-\(UUID().uuidString).jsonl"
    var query = "export?table=\(table)&format=jsonl&path=\(path)"
    if let order { query += "&order=\(order)" }
    try await control(query, method: "GET")
    let text = try String(contentsOfFile: path, encoding: .utf8)
    return try text.split(separator: "\n").map { try JSONValue(parsing: String($0)) }
  }

  func stagedFiles(_ stage: String = "RAW.SHOP.NEBULA_STAGE") async throws -> [String] {
    try await control("dump", method: "GET")["stages"]?[stage]?.array?.compactMap(\.string) ?? []
  }

  func statements() async throws -> [String] {
    try await control("queries?last=5000", method: "GET")["queries"]?.array?.compactMap { $0["sql"]?.string } ?? []
  }
}
