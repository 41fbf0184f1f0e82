public import NebulaCore

extension SnowflakeOptions {
  /// Checks what no single property shows.
  public func validate() throws(NebulaError) {
    try refuseWhatIsNotBuilt()
    try checkLogin()
    try checkNames()
    try checkFiles()
    _ = try CopyOptions(copyOptions)
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
    try refuse(useExternalStage, "use_external_stage", "external stages are", "Use the internal stage: \(later)")
    try refuse(externalStageType != nil, "external_stage_type", "external stages are", later)
    try refuse(externalStageURL != nil, "external_stage_url", "external stages are", later)
    try refuse(enableStreaming, "enable_streaming", "Snowpipe Streaming is", later)
    try refuse(asyncCopy, "async_copy", "COPY in the background is", later)
    try refuse(schemaEvolution, "schema_evolution", "adding columns is", later)
    try refuse(
      writeMode == .merge, "write_mode", "merge is", "Use append: every change is a row, SEQUENCE orders them.")
    try refuse(!key.isEmpty, "key", "a key belongs to write_mode merge, which is", later)
    try refuse(fileFormat == .parquet, "file_format", "PARQUET is", "Use JSON or CSV.")
    try refuse(
      compressionType == .snappy, "compression_type", "SNAPPY belongs to Parquet, which is", "Use GZIP or ZSTD.")
    switch authenticator {
    case .externalBrowser, .passwordWithMFA, .workloadIdentity:
      try refuse(
        true, "authenticator", "\(authenticator?.rawValue ?? "") is",
        "A loader runs without a person: use snowflake_jwt with a key, or a programmatic access token.")
    default: break
    }
  }

  /// The way to log in, given or implied.
  func loginMethod() throws(NebulaError) -> Authenticator {
    if let authenticator { return authenticator }
    let given: [(Authenticator, Bool)] = [
      (.keyPair, privateKey != nil || privateKeyPath != nil), (.accessToken, token != nil),
      (.password, password != nil),
    ]
    guard let first = given.first(where: \.1) else {
      throw missing(
        "private_key_path", "Nothing to log in with.",
        "Set private_key_path (best for programs), token or password; SNOWFLAKE_PRIVATE_KEY_PATH, SNOWFLAKE_TOKEN and "
          + "SNOWFLAKE_PASSWORD do it from the environment.")
    }
    return first.0
  }

  private func missing(_ name: String, _ message: String, _ remedy: String) -> NebulaError {
    NebulaError(.missingProperty, message, remedy: remedy, at: .init(path: name), exit: .configuration)
  }

  private func checkLogin() throws(NebulaError) {
    switch try loginMethod() {
    case .keyPair:
      guard privateKey != nil || privateKeyPath != nil else {
        throw missing("private_key_path", "Key pair login has no key.", "Set private_key_path or private_key.")
      }
      guard privateKey == nil || privateKeyPath == nil else {
        throw contradiction("private_key", "private_key and private_key_path are both set", "Set one of them.")
      }
    case .oauth, .accessToken:
      guard token != nil else {
        throw missing("token", "The authenticator needs a token.", "Set token or SNOWFLAKE_TOKEN.")
      }
    default:
      guard password != nil else {
        throw missing("password", "Password login has no password.", "Set password or SNOWFLAKE_PASSWORD.")
      }
    }
  }

  private func contradiction(_ name: String, _ message: String, _ remedy: String) -> NebulaError {
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
