internal import NebulaCore

/// The size of a warehouse, as `CREATE WAREHOUSE` calls it.
enum WarehouseSize: String, PropertyChoice, CaseIterable {
  case xsmall = "XSMALL"
  case small = "SMALL"
  case medium = "MEDIUM"
  case large = "LARGE"
  case xlarge = "XLARGE"
  case xxlarge = "XXLARGE"
  case xxxlarge = "XXXLARGE"
  case x4large = "X4LARGE"
  case x5large = "X5LARGE"
  case x6large = "X6LARGE"

  /// Doubled with each size.
  var creditsPerHour: Int { 1 << (Self.allCases.firstIndex(of: self) ?? 0) }

  /// What so long a time of loading takes. A running warehouse costs the same idle, and each start at least a minute.
  func credits(loading: Duration) -> Double { Double(creditsPerHour) * loading.seconds / 3600 }
}

extension SnowflakeOptions {
  /// What is only counted with.
  static let metering: [Field<SnowflakeOptions>] = [
    Field(
      "warehouse_size", \.warehouseSize, environment: ["SNOWFLAKE_WAREHOUSE_SIZE"], example: "SMALL",
      "For the estimate of credits in the summary: credits of that size an hour (XSMALL 1, doubled with each size) times "
        + "the hours in which a load was under way. The warehouse's idle time until it suspends, and its minimum of 60 "
        + "seconds a start, come on top. No statement is sent for it.")
  ]
}
