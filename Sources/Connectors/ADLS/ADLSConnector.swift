public import NebulaCore

extension Connector {
  /// Destination `adls`.
  public static let adls = Connector.destination(
    "adls", "Writes change events and records into Azure Data Lake Storage Gen2, exactly once.", errors: adlsErrors,
    guide: adlsGuide
  ) { (options: ADLSOptions, context) in try ADLSDestination.connecting(options, context) }
}
