import NebulaCore
import NebulaHTTP
import Testing

@testable import SnowflakeConnector

@Suite struct LoadReportTests {
  @Test func nothingLoadedHasNothingToSay() {
    let report = RunReport(Metrics(), warehouse: .small)
    #expect(report.lines == [] && report.values == [:])
  }

  @Test func aLoadInAUsersWords() {
    let metrics = Metrics()
    for (name, value) in [
      ("records_written", 1_250_000), ("copies", 3), ("files_uploaded", 13), ("bytes_encoded", 530_000_000),
      ("bytes_uploaded", 100_000_000), ("loading_ms", 90_000), ("files_closed.size", 2), ("files_closed.age", 10),
      ("files_closed.of a kind of its own", 1),
    ] as [(String, Int64)] { metrics.add("snowflake.\(name)", value) }
    for time in [Duration.milliseconds(850), .seconds(4), .milliseconds(900)] {
      metrics.note(Meter.copyTime, time)
    }
    let report = RunReport(metrics, warehouse: .medium)
    let said = Dictionary(uniqueKeysWithValues: report.lines.map { ($0.label, $0.text) })
    #expect(said["loaded"] == "1250000 rows by 3 COPY statements")
    #expect(said["COPY"]?.hasPrefix("median 9") == true)
    #expect(said["COPY"]?.hasSuffix("95 of 100 within 4.0 s, last 900 ms, all 5.8 s") == true)
    #expect(said["compressed"] == "5.3 : 1 (530.0 MB of rows uploaded as 100.0 MB in 13 files)")
    #expect(said["closed"] == "files: 10 by age, 2 by size, 1 by of a kind of its own")
    #expect(
      said["credits"]
        == "about 0.1000, an estimate: 90.0 s of loading at 4 an hour (MEDIUM), without the warehouse's idle time")
    #expect(report.values == ["compression_ratio": 5.3, "credits_estimate": 0.1])
    #expect(RunReport(metrics, warehouse: nil).values["credits_estimate"] == nil)
    #expect(report.lines.allSatisfy { $0.label.count <= 10 })
  }

  @Test func sizesDoubleTheirPrice() {
    #expect(WarehouseSize.allCases.map(\.creditsPerHour) == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512])
    #expect(WarehouseSize.xsmall.credits(loading: .seconds(1800)) == 0.5)
  }

  @Test func aFullFileSaysWhatItIsFullOf() throws {
    var options = SnowflakeOptions()
    (options.microBatchSize, options.maxFileSize) = (10, ByteCount(1 << 20))
    let rule = RollRule(options)
    #expect(rule.whyFull(records: 9, bytes: 0) == nil && rule.whyFull(records: 10, bytes: 0) == .records)
    #expect(rule.whyFull(records: 1, bytes: 1 << 20) == .size)
  }
}

@Suite(.enabled(if: StandIn.isAvailable), .serialized) struct MeterTests {
  @Test func aLoadIsCounted() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, ["micro_batch_size": "40", "parallel_uploads": "2", "warehouse_size": "SMALL"])
    try await rig.open()
    let prepared = try await rig.prepare(.at(1, 1), [ChangeBatch.orders(100)])
    _ = try await rig.commit(prepared)
    let (seen, copies) = (rig.metrics.snapshot, rig.metrics.timing(Meter.copyTime))
    #expect(seen["snowflake.records_written"] == 100 && seen["snowflake.copies"] == 1)
    #expect(seen["snowflake.files_uploaded"] == 3 && copies.count == 1 && copies.last > .zero)
    #expect(seen["snowflake.files_closed.records"] == 2 && seen["snowflake.files_closed.end of epoch"] == 1)
    #expect((seen["snowflake.bytes_encoded"] ?? 0) > (seen["snowflake.bytes_uploaded"] ?? 0))
    // What goes up has come down again.
    for gauge in ["queue_depth", "upload_workers_busy", "sessions_in_use"] {
      #expect(seen["snowflake.\(gauge)"] == 0, "\(gauge)")
    }
    let report = await rig.destination.report()
    #expect(report.values["credits_estimate"] ?? 0 > 0 && report.values["compression_ratio"] ?? 0 > 1)
    #expect(rig.health.verdict(at: Timekeeper.quick.monotonic()) == Health())
    await rig.close()
  }

  @Test(arguments: [
    (#"{"service":"s3","method":"PUT","action":"status","status":503,"times":1000}"#, "uploads fail"),
    (#"{"path":"query-request","sql":"^PUT","action":"status","status":503,"times":1000}"#, "requests are tried again"),
  ]) func troubleIsSeenWhileItLastsAndOverAfterwards(_ fault: String, _ reason: String) async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn)
    try await rig.open()
    try await standIn.faults(try .init(parsing: fault))
    let load = Task { try await rig.prepare(.at(1, 1), [ChangeBatch.orders(10)]) }
    try await standIn.until {
      let health = rig.health.verdict(at: Timekeeper.quick.monotonic())
      _ = try await standIn.faultsDone()
      return health.state == .degraded && health.reasons.contains { $0.hasPrefix(reason) }
    }
    try await standIn.control("faults", ["faults": []])
    _ = try await load.value
    #expect(rig.health.verdict(at: Timekeeper.quick.monotonic()) == Health())
    await rig.close()
  }

  /// A warehouse must be able to suspend: for metrics alone nobody asks it anything.
  @Test func nothingToLoadSendsNoStatement() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, ["warehouse_size": "SMALL"])
    try await rig.open()
    let before = try await standIn.statements().count
    _ = await rig.destination.report()
    #expect(try await standIn.statements().count == before)
    await rig.close()
  }
}
