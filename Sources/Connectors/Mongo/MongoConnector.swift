public import NebulaCore

extension Connector {
  /// The source `mongo`.
  public static let mongo: Connector = .source(
    "mongo", "Copies MongoDB collections and follows their change streams.", errors: mongoErrors
  ) { (options: MongoOptions, context) in try MongoSource(options, context) }
}
