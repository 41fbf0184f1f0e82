public import NebulaCore

extension Connector {
  /// `snowflake_optimized`: staged files, parallel uploads, one COPY transaction an epoch.
  public static let snowflakeOptimized: Connector = .destination(
    "snowflake_optimized",
    "Loads into Snowflake through an internal stage: compressed files uploaded in parallel, copied in one transaction.",
    errors: snowflakeErrors
  ) { (options: SnowflakeOptions, context) in try SnowflakeDestination(options, context) }
}
