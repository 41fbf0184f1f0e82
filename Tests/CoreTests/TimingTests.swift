import NebulaCore
import Testing

@Suite struct TimingTests {
  @Test func nothingHasNoQuantile() {
    let timing = Timing()
    #expect(timing.count == 0 && timing.quantile(0.5) == nil && timing.last == .zero)
  }

  @Test func oneTimeIsToldExactly() {
    var timing = Timing()
    timing.add(.milliseconds(1234))
    for share in [0.0, 0.5, 0.95, 1.0] { #expect(timing.quantile(share) == .milliseconds(1234)) }
  }

  /// Beside the sorted times themselves: never off by more than an eighth.
  @Test(arguments: [1, 7, 100, 4999]) func quantilesAreNearTheTrueOnes(_ count: Int) throws {
    var random = SystemRandomNumberGenerator()
    var timing = Timing()
    var times: [Int64] = []
    for _ in 0..<count {
      let time = Int64.random(in: 0...Int64.random(in: 1...100_000_000, using: &random), using: &random)
      times.append(time)
      timing.add(.microseconds(time))
    }
    #expect(timing.last == .microseconds(times[count - 1]) && timing.count == UInt64(count))
    #expect(timing.total == .microseconds(times.reduce(0, +)))
    times.sort()
    for share in [0.5, 0.95, 1] {
      let truth = times[max(0, Int((share * Double(count)).rounded(.up)) - 1)]
      let told = try #require(timing.quantile(share))
      #expect(told >= .microseconds(truth) && told <= .microseconds(truth + truth / 8 + 1))
    }
    #expect(timing.quantile(1) == timing.longest)
  }

  @Test func hugeAndNegativeTimesDoNoHarm() {
    var timing = Timing()
    timing.add(.seconds(Int64.max / 2))
    timing.add(.seconds(-5))
    #expect(timing.count == 2 && timing.last == .zero && timing.quantile(1) != nil)
  }

  @Test func metricsKeepThemByName() {
    let metrics = Metrics()
    metrics.note("copy", .seconds(1))
    metrics.note("copy", .seconds(3))
    metrics.add("files", 2)
    #expect(metrics.timing("copy").count == 2 && metrics.timing("none").count == 0)
    #expect(metrics.timings.keys.sorted() == ["copy"] && metrics.snapshot == ["files": 2])
  }
}
