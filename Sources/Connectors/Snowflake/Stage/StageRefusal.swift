internal import NebulaCore
internal import NebulaObjectStores

/// What a store says against an upload, in words that fit a stage: whose right is missing, and what is full.
enum StageRefusal {
  /// Nil for what the store's own words explain well enough.
  static func error(_ error: NebulaError, stage: TableName, at place: NebulaError.Place) -> NebulaError? {
    switch error.code {
    case .objectsDenied:
      return NebulaError(
        .stageDenied, "The store of the stage \(stage.sql) does not let a file in: \(error.message)",
        remedy:
          "Snowflake gave the credentials, so its own rights are fine: look whether a network policy, a firewall or a "
          + "private endpoint is in between (SELECT SYSTEM$ALLOWLIST() names the hosts); for an external stage, whether "
          + "its credentials or the storage integration's role may write there. \(Grants.stage(stage)); is needed as well.",
        at: place, native: error.native, exit: .environment)
    case .objectsRefused, .objectsUnavailable, .objectsFile:
      guard isFull(error) else { return nil }
      return NebulaError(
        .stageFull, "There is no room left where the stage \(stage.sql) lies: \(error.message)",
        remedy:
          "Make room there: shorten stage_retention, REMOVE what nobody needs, or raise the quota. Nothing is lost.",
        at: place, native: error.native, disposition: .retry(after: nil), exit: .environment)
    default: return nil
    }
  }

  private static func isFull(_ error: NebulaError) -> Bool {
    let native = error.native ?? ""
    return ["HTTP 507", "errno 28", "errno 122"].contains { native.hasPrefix($0) }
      || ["QuotaExceeded", "InsufficientStorage", "InsufficientAccountCapacity", "StorageFull"].contains {
        native.contains($0)
      }
  }
}
