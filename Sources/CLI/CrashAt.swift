import Glibc
import NebulaCore
import Synchronization

/// What the crash tests do to the real program, by the environment:
///
///     NEBULA_CRASH_AT=<point>:<n>    die by SIGKILL when `point` is passed for the n-th time
///     NEBULA_STOP_AT=<point>:<n>     stop by SIGSTOP there, to be woken later: a zombie
///     NEBULA_CRASH_TRACE=<file>      keep the name of the last point passed in this file
extension CrashPoints {
  static func fromEnvironment(_ environment: [String: String]) throws(NebulaError) -> CrashPoints {
    let signals = try [
      Trap("NEBULA_CRASH_AT", SIGKILL, environment), Trap("NEBULA_STOP_AT", SIGSTOP, environment),
    ].compactMap(\.self)
    let trace = environment["NEBULA_CRASH_TRACE"].map(Trace.init)
    guard trace != nil || !signals.isEmpty else { return .none }
    // One at a time: while a signal strikes one thread, no other passes a further point or writes over the trace.
    let passing = Mutex(())
    return CrashPoints { point in
      passing.withLock { _ in
        trace?.write(point)
        for trap in signals { trap.pass(point) }
      }
    }
  }
}

/// Sends this process a signal at the n-th pass of a point.
private final class Trap: Sendable {
  private let point: String
  private let signal: Int32
  private let left: Atomic<Int>

  init?(_ variable: String, _ signal: Int32, _ environment: [String: String]) throws(NebulaError) {
    guard let text = environment[variable], !text.isEmpty else { return nil }
    let parts = text.split(separator: ":").map(String.init)
    guard let point = parts.first, parts.count <= 2, let number = parts.count == 2 ? Int(parts[1]) : 1, number > 0
    else {
      throw NebulaError(
        .usage, "\(variable) is not <point>:<n>.", remedy: "Write \(variable)=after-commit:1.",
        at: .init(path: "$\(variable)"), exit: .configuration)
    }
    self.point = point
    self.signal = signal
    left = Atomic(number)
  }

  func pass(_ reached: String) {
    guard reached == point, left.subtract(1, ordering: .relaxed).newValue == 0 else { return }
    // To this very thread: sent to the process, SIGSTOP may let it run on past the point for a moment.
    raise(signal)
  }
}

/// A file that always holds the last point's name, padded, so that one write replaces another whole.
private final class Trace: Sendable {
  private let file: Int32
  private static let width = 40
  init(_ path: String) { file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600) }
  func write(_ point: String) {
    let line =
      point.utf8.prefix(Self.width - 1)
      + Array(repeating: UInt8(ascii: " "), count: max(0, Self.width - 1 - point.utf8.count))
    _ = Array(line + [UInt8(ascii: "\n")]).withUnsafeBytes { pwrite(file, $0.baseAddress, $0.count, 0) }
  }
}
