internal import NebulaCore
internal import NebulaFormats
internal import NebulaHTTP

/// What an epoch wrote: all that is needed to commit or to undo it after any crash.
struct Manifest: Sendable, Hashable {
  static let version = 1

  /// Bytes of one epoch in one file.
  struct File: Sendable, Hashable {
    /// Its name as readers see it.
    var key: String
    /// Where it lies until it is published (layout files).
    var staged: String?
    var from: Int
    var to: Int
    var rows: UInt64
    /// Nothing will follow in this file: the flush closes it.
    var closes = false
    /// SHA-256 of the last bytes, the second witness beside the length, and of how many.
    var tail: Tail?
  }
  struct Tail: Sendable, Hashable {
    var bytes: Int
    var sha256: String
    static let length = 1024
  }
  /// The files of one partition in their order; the first decides for all.
  struct Unit: Sendable, Hashable {
    var base: String
    var files: [File]
    var rows: UInt64 { files.reduce(0) { $0 + $1.rows } }
    var bytes: Int { files.reduce(0) { $0 + $1.to - $1.from } }
  }
  var layout: Layout
  /// The lease under which it was appended.
  var lease: String
  /// The template, and the time that records without one were given: what a re-read under a pin must do alike.
  var template: String
  var time: Int64
  var units: [Unit]

  var rows: UInt64 { units.reduce(0) { $0 + $1.rows } }
  var bytes: Int { units.reduce(0) { $0 + $1.bytes } }
  var files: [File] { units.flatMap(\.files) }

  var encoded: [UInt8] {
    let output = OutputBuffer()
    output.append(utf8: "{\"version\":1,\"layout\":\"\(layout.rawValue)\",\"lease\":\"\(lease)\",\"template\":")
    JSONText.appendString(template, to: output)
    output.append(utf8: ",\"time\":\(time),\"units\":[")
    for (index, unit) in units.enumerated() {
      output.append(index == 0 ? "\n{\"base\":" : ",\n{\"base\":")
      JSONText.appendString(unit.base, to: output)
      output.append(",\"files\":[")
      for (number, file) in unit.files.enumerated() {
        if number > 0 { output.append(",") }
        Self.append(file, to: output)
      }
      output.append("]}")
    }
    output.append("]}\n")
    return output.array
  }

  private static func append(_ file: File, to output: OutputBuffer) {
    output.append("{\"key\":")
    JSONText.appendString(file.key, to: output)
    if let staged = file.staged {
      output.append(",\"staged\":")
      JSONText.appendString(staged, to: output)
    }
    output.append(utf8: ",\"from\":\(file.from),\"to\":\(file.to),\"rows\":\(file.rows)")
    if file.closes { output.append(",\"closes\":true") }
    if let tail = file.tail { output.append(utf8: ",\"tail\":\(tail.bytes),\"sha256\":\"\(tail.sha256)\"") }
    output.append("}")
  }
}

extension Manifest {
  init(_ prepared: PreparedEpoch) throws(NebulaError) {
    guard prepared.version == Self.version, let value = try? JSONValue(parsing: prepared.manifest),
      let layout = value["layout"]?.string.flatMap(Layout.init(rawValue:)), let lease = value["lease"]?.string,
      let template = value["template"]?.string, let time = value["time"]?.integer,
      let units = value["units"]?.array?.map(Unit.init), !units.contains(nil)
    else {
      throw NebulaError(
        .adlsBadManifest, "What epoch \(prepared.id) prepared can't be read.",
        remedy: "Use the version that wrote it; nothing is lost.")
    }
    self.init(layout: layout, lease: lease, template: template, time: time, units: units.compactMap(\.self))
  }
}

extension Manifest.Unit {
  fileprivate init?(_ value: JSONValue) {
    guard let base = value["base"]?.string, let files = value["files"]?.array?.map(Manifest.File.init),
      !files.contains(nil), !files.isEmpty
    else { return nil }
    self.init(base: base, files: files.compactMap(\.self))
  }
}

extension Manifest.File {
  fileprivate init?(_ value: JSONValue) {
    guard let key = value["key"]?.string, let from = value["from"]?.integer, let to = value["to"]?.integer,
      let rows = value["rows"]?.integer, from >= 0, to >= from, rows >= 0
    else { return nil }
    self.init(key: key, staged: value["staged"]?.string, from: Int(from), to: Int(to), rows: UInt64(rows))
    closes = value["closes"]?.bool ?? false
    if let bytes = value["tail"]?.integer, let sha256 = value["sha256"]?.string {
      tail = Manifest.Tail(bytes: Int(bytes), sha256: sha256)
    }
  }
}
