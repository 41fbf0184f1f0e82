import NebulaCore
import NebulaFormats

/// The folders below the destination's path: texts and placeholders. Nothing that a record says can leave the folder:
/// names are percent-encoded, and long ones are cut and told apart by a digest.
struct PartitionTemplate: Sendable {
  private enum Part { case text(String), placeholder(Placeholder) }
  private enum Placeholder: String, CaseIterable { case namespace, database, collection, pipeline, yyyy, mm, dd, hh }
  private var parts: [Part] = []

  init(_ template: String) throws(NebulaError) {
    var rest = template[...]
    while let open = rest.firstIndex(of: "{") {
      if open > rest.startIndex { parts.append(.text(String(rest[..<open]))) }
      guard let close = rest[open...].firstIndex(of: "}") else { throw Self.bad(template, "has a { without a }") }
      let name = String(rest[rest.index(after: open)..<close])
      guard let placeholder = Placeholder(rawValue: name) else { throw Self.unknown(name, in: template) }
      parts.append(.placeholder(placeholder))
      rest = rest[rest.index(after: close)...]
    }
    if !rest.isEmpty { parts.append(.text(String(rest))) }
    try Self.check(template)
  }

  private static func check(_ template: String) throws(NebulaError) {
    guard !template.isEmpty else { return }
    if template.utf8.contains(0) { throw bad(template, "holds a NUL") }
    for segment in template.split(separator: "/", omittingEmptySubsequences: false) {
      if segment.isEmpty { throw bad(template, "starts or ends with / or has two of them") }
      if segment == "." || segment == ".." { throw bad(template, "leaves the folder") }
      if segment.hasPrefix(".") || segment.hasPrefix("_") {
        throw bad(template, "has a folder that starts with . or _")
      }
      if segment.utf8.count > 200 { throw bad(template, "has a folder of more than 200 bytes") }
    }
    if template.contains("}") != template.contains("{") { throw bad(template, "has a } without a {") }
  }

  private static func unknown(_ name: String, in template: String) -> NebulaError {
    let known = Placeholder.allCases.map { "{\($0.rawValue)}" }.joined(separator: " ")
    return bad(template, "has the unknown placeholder {\(name)}", remedy: "Known: \(known).")
  }

  private static func bad(_ template: String, _ problem: String, remedy: String? = nil) -> NebulaError {
    NebulaError(
      .badProperty, "partition: '\(template)' \(problem).",
      remedy: remedy ?? "Example: {namespace}/year={yyyy}/month={mm}/day={dd}.", at: .init(path: "partition"),
      exit: .configuration)
  }

  /// True when the folder depends on the event's time.
  var usesTime: Bool {
    parts.contains { if case .placeholder(let p) = $0 { [.yyyy, .mm, .dd, .hh].contains(p) } else { false } }
  }

  /// The folder of records of a namespace at a time (milliseconds since 1970).
  func folder(_ namespace: Namespace, time: Int64, pipeline: String) -> String {
    guard !parts.isEmpty else { return "" }
    let stamp = OutputBuffer(capacity: 32)
    stamp.append(iso8601: min(max(time, 0), 253_402_300_799_999))
    let text = stamp.withBytes { String(decoding: $0, as: UTF8.self) }
    func digits(_ from: Int, _ count: Int) -> Substring { text.dropFirst(from).prefix(count) }
    return parts.reduce(into: "") { folder, part in
      switch part {
      case .text(let text): folder += text
      case .placeholder(.namespace): folder += encodedName(namespace.description)
      case .placeholder(.database): folder += encodedName(namespace.database ?? "")
      case .placeholder(.collection): folder += encodedName(namespace.collection)
      case .placeholder(.pipeline): folder += encodedName(pipeline)
      case .placeholder(.yyyy): folder += digits(0, 4)
      case .placeholder(.mm): folder += digits(5, 2)
      case .placeholder(.dd): folder += digits(8, 2)
      case .placeholder(.hh): folder += digits(11, 2)
      }
    }
  }
}

/// A name as one part of a path: letters, digits, `-`, `_` and `.` as they are (the last two not first), everything
/// else percent-encoded; never empty, never longer than 150 bytes, and different names stay different.
func encodedName(_ name: String) -> String {
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
