import NebulaCore
import NebulaFormats

/// What the destination `file` takes.
struct FileDestinationOptions: ConnectorOptions {
  var path = ""
  var format = OutputFormat.jsonl
  var compression = Codec.none
  var compressionLevel: Int?
  var partition = ""
  var maxFileSize = ByteCount.mebibytes(256)
  var maxFileRecords: Int?
  var maxFileAge: Duration?
  var json = BSONJSONMode.plain
  var columns: [String] = []
  var delimiter = ","
  var nullText = ""
  var maxOpenFiles = 64
  var fileMode = "0600"

  static let fields: [Field<Self>] = [
    Field(
      "path", \.path, required: true, environment: ["NEBULA_DESTINATION_PATH"], identity: true, example: "out",
      "The folder to write to; it is made when missing. Local file systems only: NFS keeps neither locks nor renames safe."
    ),
    Field("format", \.format, "jsonl: one JSON value a line; csv: RFC 4180 with a header in each file."),
    Field("compression", \.compression, "One gzip member or zstd frame a file."),
    Field("compression_level", \.compressionLevel, "gzip 0 to 9, zstd -7 to 19; when not set, 1."),
    Field(
      "partition", \.partition, example: "{namespace}/year={yyyy}/month={mm}/day={dd}",
      "Folders below path: {namespace} {database} {collection} {pipeline}, and {yyyy} {mm} {dd} {hh} of the event time in UTC; records without one take the time at which their epoch began."
    ),
    Field("max_file_size", \.maxFileSize, range: 1...ByteCount(1 << 40), "A file is closed at this size, as stored."),
    Field("max_file_records", \.maxFileRecords, "A file is closed at this many records."),
    Field("max_file_age", \.maxFileAge, "Files are published at least this often; no file outlives its epoch."),
    Field("json", \.json, "How BSON is written as JSON."),
    Field(
      "columns", \.columns,
      "CSV from JSON: the columns. When not set they are the keys of the first record that a run sees; a record with another key is rejected."
    ),
    Field("delimiter", \.delimiter, example: ";", "CSV: the byte between fields, or \\t."),
    Field("null_text", \.nullText, "CSV: what stands for null; an empty text is written \"\"."),
    Field(
      "max_open_files", \.maxOpenFiles, range: 1...10_000,
      "With many partitions: how many files are open at once; the one not written for longest is closed."),
    Field("file_mode", \.fileMode, example: "0640", "The mode of finished files, in octal; staged ones have 0600."),
  ]

  func validate() throws(NebulaError) {
    guard !path.isEmpty, !path.utf8.contains(0) else { throw bad("path", path, "is no path") }
    guard CSVDelimiter(delimiter) != nil else { throw bad("delimiter", delimiter, "is not one ASCII byte") }
    guard dialect.delimiter != dialect.quote else { throw bad("delimiter", delimiter, "is the quote as well") }
    if let level = compressionLevel, compression != .none, !compression.levels.contains(level) {
      throw bad("compression_level", "\(level)", "is out of range for \(compression.rawValue)")
    }
    if let records = maxFileRecords, records < 1 { throw bad("max_file_records", "\(records)", "is less than 1") }
    if let age = maxFileAge, age < .milliseconds(1) { throw bad("max_file_age", age.written ?? "", "is less than 1ms") }
    guard let mode = UInt32(fileMode, radix: 8), mode <= 0o777, mode & 0o400 != 0 else {
      throw bad("file_mode", fileMode, "is no octal mode that lets its owner read")
    }
    guard Set(columns).count == columns.count else { throw bad("columns", "", "names a column twice") }
    _ = try PathTemplate(partition)
  }

  private func bad(_ name: String, _ value: String, _ problem: String) -> NebulaError {
    NebulaError(
      .badProperty, "\(name): '\(value)' \(problem).", remedy: "Run `nebula-swift describe file`.",
      at: .init(path: name), exit: .configuration)
  }

  var dialect: CSVDialect { CSVDialect(delimiter: CSVDelimiter(delimiter)?.byte ?? UInt8(ascii: ",")) }
  var style: LineStyle { LineStyle(format: format, json: json, dialect: dialect, nullText: nullText) }
  var mode: UInt32 { UInt32(fileMode, radix: 8) ?? 0o600 }
  var fileExtension: String { ".\(format.rawValue)\(compression.fileExtension)" }
}

/// A delimiter or quote as it may be written.
struct CSVDelimiter {
  let byte: UInt8
  init?(_ text: String) {
    if text == "\\t" || text.lowercased() == "tab" {
      byte = UInt8(ascii: "\t")
      return
    }
    let bytes = Array(text.utf8)
    guard bytes.count == 1, bytes[0] < 0x80, bytes[0] != 0, bytes[0] != UInt8(ascii: "\n"),
      bytes[0] != UInt8(ascii: "\r")
    else { return nil }
    byte = bytes[0]
  }
}
