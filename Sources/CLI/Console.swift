import Glibc
import NebulaCore
import NebulaRuntime
import Synchronization

/// The only way to the outside: every text goes through redaction here.
///
/// Results go to standard output; log lines and progress to standard error. With `--json` both are JSON lines.
final class Console: Sendable {
  private struct State {
    var redactor = Redactor(secrets: [])
    var level = Logger.Level.info
    var hasProgressLine = false
    /// True after standard error took nothing for a while: the next line does not wait for it again.
    var isStalled = false
    var dropped = 0
  }
  private let state = Mutex(State())
  let isJSON: Bool
  let isTerminal = isatty(STDERR_FILENO) == 1

  init(isJSON: Bool) { self.isJSON = isJSON }

  func hide(_ redactor: Redactor) { state.withLock { $0.redactor = redactor } }
  func show(from level: Logger.Level) { state.withLock { $0.level = level } }

  /// A line of the result, for a person; nothing with `--json`.
  func line(_ text: String = "") {
    guard !isJSON else { return }
    state.withLock { state in
      clearProgress(&state)
      put(state.redactor(text) + "\n", STDOUT_FILENO)
    }
  }

  /// A line of the result, for a program; nothing without `--json`.
  func json(_ value: JSON) {
    guard isJSON else { return }
    state.withLock { state in put(value.mapTexts { state.redactor($0) }.written + "\n", STDOUT_FILENO) }
  }

  func log(_ level: Logger.Level, _ text: String) {
    state.withLock { state in
      guard level >= state.level else { return }
      clearProgress(&state)
      let message = state.redactor(text)
      let time = timestamp(Timekeeper.system.wall())
      let line =
        isJSON
        ? JSON.object([
          "type": .text("log"), "time": .text(time), "level": .text("\(level)"), "message": .text(message),
        ])
        .written : "\(time) \(level) \(message)"
      offer(line + "\n", &state)
    }
  }

  /// Writes over the last progress line.
  func progress(_ text: String) {
    state.withLock { state in
      offer("\r\u{1b}[2K" + state.redactor(text), &state)
      state.hasProgressLine = true
    }
  }

  func endProgress() { state.withLock { clearProgress(&$0) } }

  /// Errors: one paragraph each, or one JSON line with all.
  func fail(_ errors: [NebulaError]) {
    if isJSON {
      return json(.object(["type": .text("error"), "errors": .list(errors.map { $0.json })]))
    }
    state.withLock { state in
      clearProgress(&state)
      for error in errors { put(state.redactor(error.paragraph) + "\n", STDERR_FILENO) }
    }
  }

  var logger: Logger { Logger { [self] level, text in log(level, text) } }

  private func clearProgress(_ state: inout State) {
    guard state.hasProgressLine else { return }
    offer("\r\u{1b}[2K", &state)
    state.hasProgressLine = false
  }

  /// Writes a log or progress line, or drops it when nobody takes it (Ctrl-S, a log collector that hangs): moving data
  /// must not wait for that. How many were dropped is said as soon as there is room again.
  private func offer(_ text: String, _ state: inout State) {
    guard hasRoom(within: state.isStalled ? 0 : 1000) else {
      state.isStalled = true
      state.dropped += 1
      return
    }
    if state.dropped > 0 {
      let message = "\(state.dropped) lines before this one were dropped: nobody read them."
      put(
        (isJSON ? JSON.object(["type": .text("log"), "message": .text(message)]).written : message) + "\n",
        STDERR_FILENO)
    }
    (state.isStalled, state.dropped) = (false, 0)
    put(text, STDERR_FILENO)
  }

  /// True when standard error takes some bytes without blocking: 4 KiB for a pipe, which is more than a line.
  private func hasRoom(within milliseconds: Int32) -> Bool {
    var file = pollfd(fd: STDERR_FILENO, events: Int16(POLLOUT), revents: 0)
    return poll(&file, 1, milliseconds) != 0
  }

  /// Writes all of it, or gives up: a closed pipe is no reason to stop a pipeline.
  private func put(_ text: String, _ file: Int32) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return }
      rest = rest.dropFirst(count)
    }
  }
}

extension NebulaError {
  /// `place: error: message (code)` with the remedy on a line of its own, as compilers write.
  var paragraph: String {
    var text = "\(place.map { "\($0): " } ?? "")error: \(message) (\(code.rawValue))"
    if let native { text += " [\(native)]" }
    return text + "\n  \(remedy)"
  }
  var json: JSON {
    var members: [String: JSON] = [
      "code": .text(code.rawValue), "message": .text(message), "remedy": .text(remedy), "native": .text(native),
      "exit": .number(Int64(exit.rawValue)), "retryable": .bool(isRetryable),
    ]
    if let place {
      members["place"] = .object([
        "path": .text(place.path), "line": .number(place.line.map { Int64($0) }),
        "column": .number(place.column.map { Int64($0) }), "key": .text(place.key),
      ])
    }
    return .object(members)
  }
}
