import Foundation
import NebulaHTTP

/// Runs the Python of `.venv`: servers and referees.
enum PythonHelper {
  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  static func process(_ script: String, _ arguments: [String] = []) -> Process {
    let process = Process()
    process.executableURL = root.appendingPathComponent(".venv/bin/python")
    process.arguments = [root.appendingPathComponent("Tests/RefereeTests/\(script)").path] + arguments
    process.standardError = FileHandle.standardError
    return process
  }

  /// Hands one JSON value to a script, and reads its answer.
  static func ask(_ script: String, _ question: JSONValue) throws -> JSONValue {
    let process = process(script)
    let input = Pipe()
    let output = Pipe()
    process.standardInput = input
    process.standardOutput = output
    try process.run()
    try input.fileHandleForWriting.write(contentsOf: Data(question.bytes))
    try input.fileHandleForWriting.close()
    let answer = try output.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return try JSONValue(parsing: Array(answer))
  }
}

/// A server as a child process: it says in its first line, in JSON, where it listens, and ends when its stdin does.
final class PythonServer: @unchecked Sendable {  // unchanged after init
  let told: JSONValue
  private let process: Process
  private let input = Pipe()

  init(_ script: String, _ arguments: [String] = []) throws {
    process = PythonHelper.process(script, arguments)
    let output = Pipe()
    process.standardInput = input
    process.standardOutput = output
    try process.run()
    var line = Data()
    while !line.contains(UInt8(ascii: "\n")) {
      let piece = output.fileHandleForReading.availableData
      if piece.isEmpty { break }
      line += piece
    }
    told = try JSONValue(parsing: Array(line))
  }

  deinit {
    try? input.fileHandleForWriting.close()
    process.waitUntilExit()
  }

  func port(_ name: String = "port") -> Int { Int(told[name]?.integer ?? 0) }
  func url(_ path: String) -> String { "http://127.0.0.1:\(port())\(path)" }
}
