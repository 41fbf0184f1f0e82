internal import NebulaCore
internal import NebulaFormats

/// Where a record's file is: folders and name, made from its namespace and time.
struct LakeTemplate: Sendable {
  let path: PathTemplate
  let name: PathTemplate
  /// As it would be written, to see whether it was changed.
  let text: String
  /// The stretch of time that one file covers; nil when files don't end by time.
  let span: PathTemplate.Span?

  init(_ options: ADLSOptions) throws(NebulaError) {
    let isPerEvent = options.layout == .perEvent
    let day = "{db}/{coll}/year={yyyy}/month={mm}/day={dd}"
    let path = options.path ?? (isPerEvent ? day : "\(day)/hour={hh}")
    let name = options.fileName ?? (isPerEvent ? "{op}-{id}-{event}" : "events-{yyyy}{mm}{dd}-{hh}")
    let ofRecords = PathTemplate.Placeholder.ofRecords.union([.db, .coll])
    self.path = try PathTemplate(path, property: "path", allowing: ofRecords, example: day)
    self.name = try PathTemplate(
      name, property: "file_name", allowing: isPerEvent ? ofRecords.union([.op, .id, .event]) : ofRecords,
      example: isPerEvent ? "{op}-{id}-{event}" : "events-{yyyy}{mm}{dd}-{hh}")
    text = "\(options.layout.rawValue) \(path)/\(name)"
    span = [self.path.span, self.name.span].compactMap(\.self).max()
    try check(path, name, isPerEvent)
  }

  private func check(_ path: String, _ name: String, _ isPerEvent: Bool) throws(NebulaError) {
    func bad(_ problem: String) -> NebulaError {
      NebulaError(
        .badProperty, "file_name: '\(name)' \(problem).", remedy: "Example: events-{yyyy}{mm}{dd}-{hh}.",
        at: .init(path: "file_name"), exit: .configuration)
    }
    guard !name.isEmpty else { throw bad("is empty") }
    guard !name.contains("/") else { throw bad("holds a /: folders stand in `path`") }
    guard !isPerEvent || self.name.uses(.event) else { throw bad("lacks {event}, so two events could have one name") }
    guard self.path.longest + self.name.longest <= 950 else { throw bad("may become too long with `path`") }
  }

  /// The whole name without `-part-N` and extension.
  func base(
    _ namespace: Namespace, time: Int64, pipeline: String, _ value: (PathTemplate.Placeholder) -> String = { _ in "" }
  ) -> String {
    let folder = path.folder(namespace, time: time, pipeline: pipeline)
    let file = name.folder(namespace, time: time, pipeline: pipeline, value)
    return folder.isEmpty ? file : "\(folder)/\(file)"
  }

  /// When the stretch of time around `time` has surely ended, in milliseconds since 1970.
  func end(of time: Int64) -> Int64? {
    let (hour, day): (Int64, Int64) = (3_600_000, 86_400_000)
    func floor(_ step: Int64) -> Int64 { time - ((time % step) + step) % step }
    switch span {
    case nil: return nil
    case .hour: return floor(hour) + hour
    case .day: return floor(day) + day
    case .month: return floor(day) + 32 * day
    case .year: return floor(day) + 367 * day
    }
  }
}
