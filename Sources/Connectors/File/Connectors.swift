public import NebulaCore

extension Connector {
  /// Source `file`.
  public static let fileSource = Connector.source(
    "file", "Reads JSON Lines and CSV files, plain or compressed, once or as they grow.", errors: sourceErrors
  ) { (options: FileSourceOptions, context) in FileSource(options, context) }
}
