import Glibc
import NebulaCore
import Synchronization

extension CrashPoints {
  /// `NEBULA_CRASH_AT=<point>:<n>`: dies by signal 9 when `point` is passed for the n-th time, as a crash test wants.
  static func fromEnvironment(_ environment: [String: String]) throws(NebulaError) -> CrashPoints {
    guard let text = environment["NEBULA_CRASH_AT"], !text.isEmpty else { return .none }
    let parts = text.split(separator: ":").map(String.init)
    guard let point = parts.first, parts.count <= 2, let number = parts.count == 2 ? Int(parts[1]) : 1, number > 0 else {
      throw NebulaError(
        .usage, "NEBULA_CRASH_AT is not <point>:<n>.", remedy: "Write NEBULA_CRASH_AT=after-commit:1.",
        at: .init(path: "$NEBULA_CRASH_AT"), exit: .configuration)
    }
    let left = Counter(number)
    return CrashPoints { reached in
      if reached == point, left.countDown() == 0 { kill(getpid(), SIGKILL) }
    }
  }
}

private final class Counter: Sendable {
  private let value: Mutex<Int>
  init(_ value: Int) { self.value = Mutex(value) }
  func countDown() -> Int {
    value.withLock { value in
      value -= 1
      return value
    }
  }
}
