import NebulaCore
import NebulaFormats

/// Where the destination keeps what. Epochs and parts are padded, so that sorted names give input order.
struct FilePaths: Sendable {
  let root: String
  private let pipeline: String

  init(root: String, pipeline: String) {
    self.root = root.count > 1 && root.hasSuffix("/") ? String(root.dropLast()) : root
    self.pipeline = encodedName(pipeline)
  }

  var manifests: String { "\(root)/_manifest/\(pipeline)" }
  var staging: String { "\(root)/_staging/\(pipeline)" }
  var fence: String { "\(manifests)/fence" }
  func manifest(_ epoch: EpochID) -> String { "\(manifests)/\(epoch).json" }
  func staging(_ epoch: EpochID) -> String { "\(staging)/\(epoch)" }
  /// Says that the epoch's staged files are being destroyed: it can't be committed any more.
  func abandoned(_ epoch: EpochID) -> String { "\(staging)/\(epoch).abandoned" }
  func stagedManifest(_ epoch: EpochID) -> String { "\(staging)/\(epoch).manifest" }
  /// Where a file of the manifest is staged: its last part is unique in its epoch.
  func staged(_ name: String, _ epoch: EpochID) -> String { "\(staging(epoch))/\(Folder.name(of: name))" }
  func final(_ name: String) -> String { "\(root)/\(name)" }

  /// The epoch that a name in a manifest or staging folder belongs to.
  static func epoch(of name: String) -> EpochID? {
    let parts = name.prefix { $0 != "." }.split(separator: "-")
    guard parts.count == 2, let generation = UInt64(parts[0]), let sequence = UInt64(parts[1]) else { return nil }
    return EpochID(generation: generation, sequence: sequence)
  }
}
