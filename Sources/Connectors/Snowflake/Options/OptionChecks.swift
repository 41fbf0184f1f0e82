public import NebulaCore

extension SnowflakeOptions {
  /// Checks what no single property shows.
  public func validate() throws(NebulaError) {
    try refuseWhatIsNotBuilt()
    try checkLogin()
    try checkNames()
    try checkFiles()
    try checkTables()
    let copy = try CopyOptions(copyOptions)
    if copy.cutsTexts, writeMode == .merge || schemaRule != nil || fileFormat == .parquet {
      throw contradiction(
        "copy_options",
        "TRUNCATECOLUMNS and ENFORCE_LENGTH have no effect with write_mode merge, a contract or PARQUET: there "
          + "texts that are too long are rejected records, or go to _OVERFLOW", "Leave them out, or widen the columns.")
    }
    let onError = copy.onError
    guard onError == .abort || fileFormat != .parquet else {
      throw contradiction(
        "copy_options", "ON_ERROR \(onError.rawValue) needs files whose rows can be read back one by one",
        "Use file_format JSON or CSV, or leave ON_ERROR out.")
    }
    try external.validate(isUsed: useExternalStage)
    _ = try Endpoint(self)
  }

  private func refuseWhatIsNotBuilt() throws(NebulaError) {
    let later = "It comes with a later version; leave it out."
    func refuse(_ when: Bool, _ name: String, _ what: String, _ remedy: String) throws(NebulaError) {
      guard when else { return }
      throw NebulaError(
        .notSupported, "\(name): \(what) not supported yet.", remedy: remedy, at: .init(path: name),
        exit: .configuration)
    }
    try refuse(enableStreaming, "enable_streaming", "Snowpipe Streaming is", later)
    switch authenticator {
    case .externalBrowser, .workloadIdentity:
      try refuse(
        true, "authenticator", "\(authenticator?.rawValue ?? "") is",
        "A loader runs without a person: use snowflake_jwt with a key, or a programmatic access token.")
    default: break
    }
  }

  func contradiction(_ name: String, _ message: String, _ remedy: String) -> NebulaError {
    NebulaError(.badProperty, "\(message).", remedy: remedy, at: .init(path: name), exit: .configuration)
  }

  private func checkNames() throws(NebulaError) {
    for (name, text) in [("database", database), ("schema", schema), ("control_schema", controlSchema ?? schema)] {
      _ = try Identifier(text, property: name)
    }
    for (name, text) in [("role", role), ("warehouse", warehouse)] {
      if let text { _ = try Identifier(text, property: name) }
    }
    _ = try Identifier(stageName, property: "stage_name")
    _ = try TableTemplate(table)
    let allowed = stagePrefix.utf8.allSatisfy { isPathSafe($0) || $0 == UInt8(ascii: "/") }
    guard allowed, !stagePrefix.split(separator: "/").contains("..") else {
      throw contradiction(
        "stage_prefix", "stage_prefix holds a character that does not belong in a stage's path",
        "Use letters, digits, '_', '-', '.' and '/'.")
    }
  }

  private func checkFiles() throws(NebulaError) {
    guard host == nil || accountURL == nil || host == accountURL else {
      throw contradiction("account_url", "host and account_url differ", "Set one of them.")
    }
    for (name, value, range) in [
      ("micro_batch_size", microBatchSize, 1...10_000_000),
      ("micro_batch_timeout_ms", microBatchTimeoutMilliseconds, 10...3_600_000),
    ] {
      guard let value, !range.contains(value) else { continue }
      throw contradiction(
        name, "\(name): '\(value)' is out of range (\(range.lowerBound) to \(range.upperBound))",
        "Choose one in that range.")
    }
    guard compressionType != .snappy || fileFormat == .parquet else {
      throw contradiction(
        "compression_type", "compression_type SNAPPY compresses inside Parquet; Snowflake reads no CSV or JSON in it",
        "Use GZIP, ZSTD or NONE, or set file_format: PARQUET.")
    }
    guard let level = compressionLevel else { return }
    guard let compression = compressionType else {
      throw contradiction(
        "compression_level", "compression_level needs compression_type", "Set compression_type to GZIP or ZSTD.")
    }
    let levels = compression == .zstd ? 1...19 : compression == .gzip ? 0...9 : 0...0
    guard levels.contains(level) else {
      throw contradiction(
        "compression_level",
        "compression_level \(level) is outside \(compression.rawValue)'s "
          + "\(levels.lowerBound) to \(levels.upperBound)", "Choose one in that range.")
    }
  }
}
