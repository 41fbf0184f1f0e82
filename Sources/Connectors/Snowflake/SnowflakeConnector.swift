public import NebulaCore

extension Connector {
  /// `snowflake_optimized`: staged files, parallel uploads, one COPY transaction an epoch.
  public static let snowflakeOptimized: Connector = .destination(
    "snowflake_optimized",
    "Loads into Snowflake through a stage: compressed files uploaded in parallel, copied in one transaction.",
    errors: snowflakeErrors, guide: snowflakeGuide, complete: SnowflakeOptions.complete
  ) { (options: SnowflakeOptions, context) in try SnowflakeDestination(options, context) }
}
