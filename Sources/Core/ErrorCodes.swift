extension NebulaError.Code {
  /// Two connectors of one name.
  public static let duplicateConnector: Self = "config.duplicate_connector"
  /// No connector of that name.
  public static let unknownConnector: Self = "config.unknown_connector"
  /// No property of that name.
  public static let unknownProperty: Self = "config.unknown_property"
  /// A property that must be there is not.
  public static let missingProperty: Self = "config.missing_property"
  /// A property's value is of the wrong type or out of range.
  public static let badProperty: Self = "config.bad_property"
  /// A property whose meaning this version does not have yet.
  public static let notSupported: Self = "config.not_supported"
  /// A receipt came for another epoch.
  public static let receiptOutOfOrder: Self = "pipeline.receipt_out_of_order"
  /// Records read and records accounted for differ.
  public static let recordsUnaccounted: Self = "pipeline.records_unaccounted"
}

/// The errors of this room, for the docs.
public let coreErrors: [ErrorSpecification] = [
  .init(.duplicateConnector, "Two connectors have the same name and role.", remedy: "Rename the plugin's."),
  .init(.unknownConnector, "No connector has that name.", remedy: "Run `nebula-swift list`."),
  .init(
    .unknownProperty, "The connector has no property of that name.", remedy: "Run `nebula-swift describe CONNECTOR`."),
  .init(.missingProperty, "A required property is missing.", remedy: "Write it, or set its environment variable."),
  .init(
    .badProperty, "A value has the wrong type, is out of range or contradicts another.", remedy: "See the message."),
  .init(.notSupported, "The property is known, its meaning is not built yet.", remedy: "Leave it out."),
  .init(
    .receiptOutOfOrder, "A receipt came for another epoch than the one that was committed.",
    remedy: "Report the defect; nothing is lost."),
  .init(
    .recordsUnaccounted, "Not every record that was read has a fate.", remedy: "Report the defect; nothing is lost."),
  .init(
    "pipeline.pin_not_supported", "An epoch is to be finished in parts by a destination that has no parts.",
    remedy: "Report the defect; nothing is lost."),
]
