internal import Glibc
public import NebulaCore

extension Timekeeper {
  /// The system's clocks.
  public static let system = Timekeeper(
    monotonic: { .nanoseconds(nanoseconds(CLOCK_MONOTONIC)) }, wall: { nanoseconds(CLOCK_REALTIME) / 1_000_000 },
    sleep: { try await Task.sleep(for: $0) })
}

private func nanoseconds(_ clock: clockid_t) -> Int64 {
  var now = timespec()
  clock_gettime(clock, &now)
  return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
}
