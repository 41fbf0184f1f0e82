internal import NebulaCore

extension RunReport {
  /// What a load into Snowflake has to say: a value of its metrics.
  init(_ metrics: Metrics, warehouse: WarehouseSize?) {
    self.init()
    let values = metrics.snapshot
    func value(_ name: String) -> Int64 { values["snowflake.\(name)"] ?? 0 }
    let copies = metrics.timing(Meter.copyTime)
    let files = value("files_uploaded")
    if value("copies") > 0 {
      lines.append(
        Line("loaded", "\(value("records_written")) rows by \(counted(value("copies"), "COPY statement"))"))
    }
    if let median = copies.quantile(0.5), let most = copies.quantile(0.95) {
      lines.append(
        Line(
          "COPY",
          "median \(seconds(median)), 95 of 100 within \(seconds(most)), last \(seconds(copies.last)), all "
            + seconds(copies.total)))
    }
    if files > 0, value("bytes_uploaded") > 0 {
      let ratio = Double(value("bytes_encoded")) / Double(value("bytes_uploaded"))
      self.values["compression_ratio"] = ratio
      lines.append(
        Line(
          "compressed",
          "\(tenths(ratio)) : 1 (\(megabytes(value("bytes_encoded"))) of rows uploaded as "
            + "\(megabytes(value("bytes_uploaded"))) in \(counted(files, "file")))"))
    }
    let reasons = values.filter { $0.key.hasPrefix(Meter.closed) && $0.value > 0 }
      .sorted { ($1.value, $0.key) < ($0.value, $1.key) }
    if !reasons.isEmpty {
      let written = reasons.map { "\($0.value) by \($0.key.dropFirst(Meter.closed.count))" }
      lines.append(Line("closed", "files: \(written.joined(separator: ", "))"))
    }
    estimate(.milliseconds(value("loading_ms")), warehouse)
  }

  private mutating func estimate(_ loading: Duration, _ warehouse: WarehouseSize?) {
    guard let warehouse, loading > .zero else { return }
    let credits = warehouse.credits(loading: loading)
    values["credits_estimate"] = credits
    lines.append(
      Line(
        "credits",
        "about \(digits(credits, 4)), an estimate: \(tenths(loading.seconds)) s of loading at "
          + "\(warehouse.creditsPerHour) an hour (\(warehouse.rawValue)), without the warehouse's idle time"))
  }
}

private func counted(_ number: Int64, _ what: String) -> String { "\(number) \(what)\(number == 1 ? "" : "s")" }

private func seconds(_ time: Duration) -> String {
  time < .seconds(1) ? "\(time.wholeMilliseconds) ms" : "\(tenths(time.seconds)) s"
}

private func megabytes(_ bytes: Int64) -> String {
  bytes < 100_000 ? "\(tenths(Double(bytes) / 1e3)) kB" : "\(tenths(Double(bytes) / 1e6)) MB"
}

private func tenths(_ value: Double) -> String { digits(value, 1) }

/// So many digits after the point, rounded; neither Foundation nor a locale.
private func digits(_ value: Double, _ count: Int) -> String {
  var scale: Int64 = 1
  for _ in 0..<count { scale *= 10 }
  let whole = Int64((max(0, value) * Double(scale)).rounded())
  let rest = String(whole % scale)
  return "\(whole / scale).\(String(repeating: "0", count: count - rest.count))\(rest)"
}
