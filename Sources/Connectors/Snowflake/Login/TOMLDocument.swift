internal import CToml
internal import NebulaCore

/// One table or value of a TOML document, with its place.
struct TOMLEntry: Sendable, Hashable {
  enum Value: Sendable, Hashable {
    case table
    /// A string, or an integer or boolean as it is written.
    case text(String)
    /// A list, a date, a number with a fraction.
    case other
  }
  let path: [String]
  let value: Value
  let place: NebulaError.Place
}

/// A TOML document, flat: tables before what they hold.
enum TOMLDocument {
  private final class Collector {
    let file: String
    var entries: [TOMLEntry] = []
    init(_ file: String) { self.file = file }
  }

  static func read(_ bytes: [UInt8], file: String) throws(NebulaError) -> [TOMLEntry] {
    let collector = Collector(file)
    var problem = nebula_toml_error()
    // CChar's sign is the platform's matter, not TOML's
    let isRead = bytes.withUnsafeBytes { raw in
      nebula_toml_read(
        raw.bindMemory(to: CChar.self).baseAddress, raw.count, Unmanaged.passUnretained(collector).toOpaque(),
        { context, entry in
          guard let context, let entry = entry?.pointee else { return }
          let collector = Unmanaged<Collector>.fromOpaque(context).takeUnretainedValue()
          let path = UnsafeBufferPointer(start: entry.path, count: entry.depth).map { TOMLDocument.text($0) }
          let value: TOMLEntry.Value =
            switch entry.kind {
            case NEBULA_TOML_TABLE: .table
            case NEBULA_TOML_STRING, NEBULA_TOML_WORD: .text(TOMLDocument.text(entry.text))
            default: .other
            }
          collector.entries.append(
            TOMLEntry(
              path: path, value: value,
              place: .init(path: collector.file, line: Int(entry.line), column: Int(entry.column))))
        }, &problem)
    }
    guard isRead else { throw syntaxError(problem, file) }
    return collector.entries
  }

  private static func text(_ text: nebula_toml_text) -> String {
    guard let bytes = text.bytes else { return "" }
    return String(decoding: UnsafeRawBufferPointer(start: bytes, count: text.count), as: UTF8.self)
  }

  private static func syntaxError(_ problem: nebula_toml_error, _ file: String) -> NebulaError {
    let said = withUnsafeBytes(of: problem.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    return NebulaError(
      .badConnectionsFile, "\(file) is not valid TOML: \(withoutQuotes(said)).",
      remedy: "Mend that line; texts stand in double quotes.",
      at: .init(
        path: file, line: problem.line > 0 ? Int(problem.line) : nil,
        column: problem.column > 0 ? Int(problem.column) : nil),
      exit: .configuration)
  }

  /// What stands in quotes is a piece of the file, and may be one of a secret.
  static func withoutQuotes(_ text: String) -> String {
    let pieces = text.split(separator: "'", omittingEmptySubsequences: false)
    return pieces.enumerated().map { $0.offset % 2 == 0 ? String($0.element) : "'…'" }.joined()
  }
}
