import NebulaCore
import NebulaFormats
import NebulaHTTP

/// What an epoch consists of. Its bytes are the prepared epoch's manifest and, once all is visible, the content of
/// `_manifest/<pipeline>/<epoch>.json`, which proves the commit.
struct FileManifest: Equatable {
  static let version = 1

  struct File: Equatable {
    /// Below the destination's path.
    var name: String
    var records: UInt64
    var bytes: UInt64
    var sha256: String
  }
  var pipeline: String
  var epoch: String
  var files: [File] = []

  var records: UInt64 { files.reduce(0) { $0 + $1.records } }
  var bytes: UInt64 { files.reduce(0) { $0 + $1.bytes } }

  var encoded: [UInt8] {
    let output = OutputBuffer()
    output.append("{\"version\":1,\"pipeline\":")
    JSONText.appendString(pipeline, to: output)
    output.append(utf8: ",\"epoch\":\"\(epoch)\",\"records\":\(records),\"bytes\":\(bytes),\"files\":[")
    for (index, file) in files.enumerated() {
      output.append(utf8: index == 0 ? "\n" : ",\n")
      output.append("{\"name\":")
      JSONText.appendString(file.name, to: output)
      output.append(utf8: ",\"records\":\(file.records),\"bytes\":\(file.bytes),\"sha256\":\"\(file.sha256)\"}")
    }
    output.append("]}\n")
    return output.array
  }

  init(pipeline: String, epoch: EpochID) {
    self.pipeline = pipeline
    self.epoch = epoch.description
  }

  init(_ prepared: PreparedEpoch) throws(NebulaError) {
    guard prepared.version == Self.version else { throw Self.bad(prepared.id.description) }
    try self.init(prepared.manifest, prepared.id.description)
    guard epoch == prepared.id.description else { throw Self.bad(prepared.id.description) }
  }

  private init(_ bytes: [UInt8], _ label: String) throws(NebulaError) {
    guard let value = try? JSONValue(parsing: bytes), value["version"]?.integer == 1,
      let pipeline = value["pipeline"]?.string, let epoch = value["epoch"]?.string, let files = value["files"]?.array
    else { throw Self.bad(label) }
    self.pipeline = pipeline
    self.epoch = epoch
    for file in files {
      guard let name = file["name"]?.string, let records = file["records"]?.integer,
        let bytes = file["bytes"]?.integer, let sha256 = file["sha256"]?.string, Self.isInside(name)
      else { throw Self.bad(label) }
      self.files.append(
        File(name: name, records: UInt64(clamping: records), bytes: UInt64(clamping: bytes), sha256: sha256))
    }
  }

  /// A name that can't leave the destination's folder.
  private static func isInside(_ name: String) -> Bool {
    !name.isEmpty && !name.utf8.contains(0)
      && name.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { !["", ".", ".."].contains($0) }
  }

  private static func bad(_ epoch: String) -> NebulaError {
    NebulaError(
      .fileBadManifest, "The manifest of epoch \(epoch) can't be read.",
      remedy: "Use the version that wrote it; nothing is lost.")
  }
}
