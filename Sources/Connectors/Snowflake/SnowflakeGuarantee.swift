internal import NebulaCore

/// What a source and this destination, so configured, can promise.
struct SnowflakeGuarantee: Sendable {
  private let options: SnowflakeOptions
  private static let atomic =
    "the COPY statements of an epoch and its ledger row are one transaction, under this pipeline's fence"

  init(_ options: SnowflakeOptions) { self.options = options }

  func of(_ source: SourceTraits) throws(NebulaError) -> Guarantee {
    if options.currentView, !source.hasKeys || !source.hasWholeDocuments {
      throw refusal("current_view", "the view needs changes with keys and whole documents", source)
    }
    return try options.writeMode == .merge ? merged(source) : appended(source)
  }

  private func appended(_ source: SourceTraits) -> Guarantee {
    switch source.resume {
    case .exact: .exactlyOnce(because: "\(Self.atomic), and the source resumes right after its last record")
    case .inclusive:
      .atLeastOnce(because: "\(Self.atomic), but the source may read its last records again, and rows are appended")
    case .none: .none(because: "the source can't resume, so a restart loads everything again")
    }
  }

  private func merged(_ source: SourceTraits) throws(NebulaError) -> Guarantee {
    if source.hasKeys {
      guard options.key.isEmpty else {
        throw NebulaError(
          .badProperty, "key: this source's changes have keys of their own.", remedy: "Leave key out.",
          at: .init(path: "key"), exit: .configuration)
      }
      guard source.hasWholeDocuments else {
        throw refusal("write_mode", "a merge needs the whole document after each change", source)
      }
    } else if options.key.isEmpty {
      throw NebulaError(
        .missingProperty, "The property 'key' is missing: the records have no key of their own.",
        remedy: "Name the columns that tell the records apart.", at: .init(path: "key"), exit: .configuration)
    }
    let merge = "rows are merged by key, and of two states of a key the newer one stays"
    switch source.resume {
    case .exact:
      return .exactlyOnce(because: "\(Self.atomic), the source resumes right after its last record, and \(merge)")
    case .inclusive, .none:
      guard options.deleteMode == .soft else {
        throw NebulaError(
          .badProperty,
          "delete_mode hard can't be kept with a source that repeats records: one that comes again would "
            + "bring a deleted row back.", remedy: "Use delete_mode soft.", at: .init(path: "delete_mode"),
          exit: .configuration)
      }
      return .effectivelyOnce(by: "key", because: "\(merge), also when the source repeats records")
    }
  }

  private func refusal(_ property: String, _ reason: String, _ source: SourceTraits) -> NebulaError {
    NebulaError(
      .badProperty, "\(property): \(reason), which this source does not give.",
      remedy: source.hasKeys
        ? "Set the source's fullDocument to updateLookup or required." : "Use another source, or leave it out.",
      at: .init(path: property), exit: .configuration)
  }
}
