public import NebulaCore

extension Connector {
  /// Source `file`.
  public static let fileSource = Connector.source(
    "file", "Reads JSON Lines and CSV files, plain or compressed, once or as they grow.", errors: sourceErrors
  ) { (options: FileSourceOptions, context) in FileSource(options, context) }

  /// Destination `file`.
  public static let fileDestination = Connector.destination(
    "file", "Writes JSON Lines or CSV files, plain or compressed, in partitions.", errors: destinationErrors
  ) { (options: FileDestinationOptions, context) in try FileDestination(options, context) }
}
