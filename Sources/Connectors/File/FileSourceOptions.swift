import NebulaCore
import NebulaFormats

/// How the records of a file are written.
enum FileFormat: String, PropertyChoice {
  /// By the file's name.
  case auto
  /// One JSON value a line.
  case jsonl
  /// RFC 4180.
  case csv
}

/// How a file's bytes are compressed, or `auto`: by its name.
enum FileCompression: String, PropertyChoice {
  case auto, none, gzip, zstd
  func codec(of path: String) -> Codec {
    switch self {
    case .auto: Codec.detect(path: path)
    case .none: .none
    case .gzip: .gzip
    case .zstd: .zstd
    }
  }
}

/// What the source `file` takes.
struct FileSourceOptions: ConnectorOptions {
  var path = ""
  var format = FileFormat.auto
  var compression = FileCompression.auto
  var delimiter = ""
  var quote = "\""
  var header = true
  var columns: [String: String] = [:]
  var follow = false
  var pollInterval = Duration.seconds(1)
  var maxLineBytes = ByteCount.mebibytes(128)
  var batchBytes = ByteCount.mebibytes(1)

  static let fields: [Field<Self>] = [
    Field(
      "path", \.path, required: true, environment: ["NEBULA_SOURCE_PATH"], identity: true, example: "data/*.jsonl.gz",
      "A file, a glob (* ? [a-z]) or a folder, which is read with its subfolders; names that start with . or _ are left out. A pipe or device, or a link to a folder that is read anyway, is an error."
    ),
    Field("format", \.format, "How records are written; auto goes by the name: .jsonl .ndjson .json .csv .tsv."),
    Field("compression", \.compression, "How files are compressed; auto goes by the name: .gz .gzip .zst .zstd."),
    Field(
      "delimiter", \.delimiter, example: ";",
      "CSV: the byte between fields, or \\t; when not set, a tab for .tsv and else a comma."),
    Field("quote", \.quote, "CSV: the byte around fields that hold delimiters, quotes or newlines."),
    Field("header", \.header, "CSV: true when the first row of each file names the columns; else they are column_1 …"),
    Field(
      "columns", \.columns, example: "{ id: integer, price: number, tags: json }",
      "CSV: types of columns: text, integer, number, boolean, date, timestamp or json; a value that does not fit is rejected. Undeclared columns are text; a declared one that a file lacks is an error."
    ),
    Field(
      "follow", \.follow,
      "True: goes on with lines and files that are added, until it is stopped; a last line waits for its line end."),
    Field(
      "poll_interval", \.pollInterval, range: .milliseconds(10) ... .seconds(3600),
      "With follow: how often to look for new data."),
    Field(
      "max_line_bytes", \.maxLineBytes, range: 1...ByteCount(1 << 30),
      "A longer line is rejected; the start of it goes to the dead letters."),
    Field("batch_bytes", \.batchBytes, range: 16...ByteCount(64 << 20), "About how much is read at once."),
  ]

  func validate() throws(NebulaError) {
    guard !path.isEmpty, !path.utf8.contains(0) else { throw bad("path", path, "is no path") }
    guard delimiter.isEmpty || byte(delimiter) != nil else {
      throw bad("delimiter", delimiter, "is not one ASCII byte")
    }
    guard byte(quote) != nil else { throw bad("quote", quote, "is not one ASCII byte") }
    let delimiters = delimiter.isEmpty ? [Self.comma, Self.tab] : [byte(delimiter)]
    guard !delimiters.contains(byte(quote)) else {
      throw bad("quote", quote, "is the delimiter as well\(delimiter.isEmpty ? ", when that is not set" : "")")
    }
    for (name, type) in columns where RecordSchema.ColumnType(rawValue: type) == nil {
      let known = RecordSchema.ColumnType.allCases.map(\.rawValue).joined(separator: ", ")
      throw bad("columns.\(name)", type, "is none of \(known)")
    }
  }

  private func bad(_ name: String, _ value: String, _ problem: String) -> NebulaError {
    NebulaError(
      .badProperty, "\(name): '\(value)' \(problem).", remedy: "Run `nebula-swift describe file`.",
      at: .init(path: name), exit: .configuration)
  }

  private static let comma = UInt8(ascii: ",")
  private static let tab = UInt8(ascii: "\t")
  private func byte(_ text: String) -> UInt8? { CSVDelimiter(text)?.byte }

  /// The format of one file; nil when its name does not tell.
  func format(of path: String) -> FileFormat? {
    guard format == .auto else { return format }
    switch FileName(path).format {
    case "jsonl", "ndjson", "json": return .jsonl
    case "csv", "tsv": return .csv
    default: return nil
    }
  }

  /// The dialect of one file.
  func dialect(of path: String) -> CSVDialect {
    let fallback = FileName(path).format == "tsv" ? Self.tab : Self.comma
    return CSVDialect(delimiter: byte(delimiter) ?? fallback, quote: byte(quote) ?? UInt8(ascii: "\""))
  }
}

/// A path's last part, taken apart.
struct FileName {
  /// Without folder and extensions: the namespace.
  let stem: String
  /// The extension that tells the format, in lower case.
  let format: String

  init(_ path: String) {
    var name = Folder.name(of: path)[...]
    if Codec.detect(path: String(name)) != .none, let dot = name.lastIndex(of: ".") { name = name[..<dot] }
    let dot = name.lastIndex(of: ".").flatMap { $0 == name.startIndex ? nil : $0 }
    format = dot.map { name[name.index(after: $0)...].lowercased() } ?? ""
    let known = ["jsonl", "ndjson", "json", "csv", "tsv"].contains(format)
    stem = String(known ? name[..<(dot ?? name.endIndex)] : name)
  }
}
