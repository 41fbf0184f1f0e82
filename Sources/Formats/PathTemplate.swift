public import NebulaCore

/// A path made of texts and placeholders, as configurations write it. Nothing that a record says can leave the folder:
/// names are percent-encoded, and long ones are cut and told apart by a digest.
public struct PathTemplate: Sendable, Hashable {
  /// What may stand between braces.
  public enum Placeholder: String, Sendable, Hashable, CaseIterable {
    /// `database.collection`, either, or the pipeline's name.
    case namespace, database, collection, db, coll, pipeline
    /// The event time in UTC.
    case yyyy, mm, dd, hh
    /// Of one event: what happened, the document's `_id`, and what tells it from every other event.
    case op, id, event

    /// Those of every record.
    public static let ofRecords: Set<Placeholder> = [
      .namespace, .database, .collection, .pipeline, .yyyy, .mm, .dd, .hh,
    ]
  }
  /// The stretch of time that is the same for all records of one path.
  public enum Span: Int, Sendable, Hashable, Comparable {
    /// By the finest placeholder of time.
    case year, month, day, hour
    /// By length: a year is the longest.
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
  }
  private enum Part: Sendable, Hashable { case text(String), placeholder(Placeholder) }
  private var parts: [Part] = []

  /// Reads a template. `property` is where it was written; only `allowed` placeholders may stand in it.
  public init(
    _ template: String, property: String = "partition", allowing allowed: Set<Placeholder> = Placeholder.ofRecords,
    example: String = "{namespace}/year={yyyy}/month={mm}/day={dd}"
  ) throws(NebulaError) {
    let fault = Fault(template: template, property: property, example: example)
    var rest = template[...]
    while let open = rest.firstIndex(of: "{") {
      if open > rest.startIndex { parts.append(.text(String(rest[..<open]))) }
      guard let close = rest[open...].firstIndex(of: "}") else { throw fault.error("has a { without a }") }
      let name = String(rest[rest.index(after: open)..<close])
      guard let placeholder = Placeholder(rawValue: name), allowed.contains(placeholder) else {
        throw fault.unknown(name, allowed)
      }
      parts.append(.placeholder(placeholder))
      rest = rest[rest.index(after: close)...]
    }
    if !rest.isEmpty { parts.append(.text(String(rest))) }
    try check(template, fault)
  }

  private struct Fault {
    let template: String
    let property: String
    let example: String
    func error(_ problem: String, remedy: String? = nil) -> NebulaError {
      NebulaError(
        .badProperty, "\(property): '\(template)' \(problem).", remedy: remedy ?? "Example: \(example).",
        at: .init(path: property), exit: .configuration)
    }
    func unknown(_ name: String, _ allowed: Set<Placeholder>) -> NebulaError {
      let known = Placeholder.allCases.filter(allowed.contains).map { "{\($0.rawValue)}" }.joined(separator: " ")
      return error("has the unknown placeholder {\(name)}", remedy: "Known: \(known).")
    }
  }

  private func check(_ template: String, _ fault: Fault) throws(NebulaError) {
    guard !template.isEmpty else { return }
    if template.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) { throw fault.error("holds a control character") }
    if template.utf8.contains(UInt8(ascii: "\\")) { throw fault.error("holds a \\") }
    for segment in template.split(separator: "/", omittingEmptySubsequences: false) {
      if segment.isEmpty { throw fault.error("starts or ends with / or has two of them") }
      if segment == "." || segment == ".." { throw fault.error("leaves the folder") }
      if segment.hasPrefix(".") || segment.hasPrefix("_") {
        throw fault.error("has a folder that starts with . or _")
      }
      if segment.hasSuffix(".") { throw fault.error("has a part that ends with a dot") }
      if segment.utf8.count > 200 { throw fault.error("has a folder of more than 200 bytes") }
    }
    if template.contains("}") != template.contains("{") { throw fault.error("has a } without a {") }
    if longest > 900 { throw fault.error("may become longer than 900 bytes") }
  }

  /// The most bytes that a path made of it can have.
  public var longest: Int {
    parts.reduce(0) { sum, part in
      switch part {
      case .text(let text): sum + text.utf8.count
      case .placeholder(let name):
        switch name {
        case .yyyy: sum + 4
        case .mm, .dd, .hh: sum + 2
        default: sum + 150
        }
      }
    }
  }

  /// What it says of a placeholder.
  public func uses(_ placeholder: Placeholder) -> Bool { parts.contains(.placeholder(placeholder)) }

  /// How long the stretches are into which it divides time; nil when it does not.
  public var span: Span? {
    if uses(.hh) { return .hour }
    if uses(.dd) { return .day }
    if uses(.mm) { return .month }
    return uses(.yyyy) ? .year : nil
  }
  /// True when the path depends on the event's time.
  public var usesTime: Bool { span != nil }

  /// The path of records of a namespace at a time (milliseconds since 1970). `value` gives the texts of `op`, `id` and
  /// `event`.
  public func folder(
    _ namespace: Namespace, time: Int64, pipeline: String, _ value: (Placeholder) -> String = { _ in "" }
  ) -> String {
    guard !parts.isEmpty else { return "" }
    let stamp = OutputBuffer(capacity: 32)
    stamp.append(iso8601: min(max(time, 0), 253_402_300_799_999))
    let text = stamp.withBytes { String(decoding: $0, as: UTF8.self) }
    func digits(_ from: Int, _ count: Int) -> Substring { text.dropFirst(from).prefix(count) }
    return parts.reduce(into: "") { folder, part in
      switch part {
      // A file has no database: its folder is left out, not called by an empty name.
      case .placeholder(.db) where namespace.database == nil: break
      case .text(let text) where folder.isEmpty && text.hasPrefix("/"): folder += text.dropFirst()
      case .text(let text): folder += text
      case .placeholder(.namespace): folder += encodedName(namespace.description)
      case .placeholder(.database), .placeholder(.db): folder += encodedName(namespace.database ?? "")
      case .placeholder(.collection), .placeholder(.coll): folder += encodedName(namespace.collection)
      case .placeholder(.pipeline): folder += encodedName(pipeline)
      case .placeholder(.yyyy): folder += digits(0, 4)
      case .placeholder(.mm): folder += digits(5, 2)
      case .placeholder(.dd): folder += digits(8, 2)
      case .placeholder(.hh): folder += digits(11, 2)
      case .placeholder(let other): folder += encodedName(value(other))
      }
    }
  }
}

/// A name as one part of a path: letters, digits, `-`, `_` and `.` as they are (the last two not first), everything
/// else percent-encoded; never empty, never longer than 150 bytes, and different names stay different.
public func encodedName(_ name: String) -> String {
  var encoded = ""
  for byte in name.utf8 {
    let isPlain =
      byte &- UInt8(ascii: "0") < 10 || (byte | 0x20) &- UInt8(ascii: "a") < 26 || byte == UInt8(ascii: "-")
      || (!encoded.isEmpty && (byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")))
    if isPlain {
      encoded.unicodeScalars.append(Unicode.Scalar(byte))
    } else {
      encoded += "%" + String(byte >> 4, radix: 16, uppercase: true) + String(byte & 15, radix: 16, uppercase: true)
    }
  }
  if encoded.isEmpty { return "%" }
  guard encoded.utf8.count > 150 else { return encoded }
  return encoded.prefix(120) + "%~" + SHA256.hex(SHA256.digest(of: Array(name.utf8)).prefix(8))
}
