internal import NebulaCore
internal import NebulaFormats
internal import NebulaObjectStores

/// What this connector asks of a store: a lake, or a model of one in tests.
typealias LakeStore = AppendableFileStore & ConditionalObjectStore & LeasingStore & ListableObjectStore
  & ReadableObjectStore & RenamingStore

/// What all parts of an opened destination share.
struct LakeParts: Sendable {
  let options: ADLSOptions
  let context: ConnectorContext
  let template: LakeTemplate
  let store: any LakeStore
  let fence: FenceKeeper
  let journal: Journal
  /// Requests under way.
  let slots: Slots
  let names: PartitionNames

  /// The pipeline's own folder, which readers skip.
  var folder: String { Self.folder(context.pipeline) }
  static func folder(_ pipeline: String) -> String { "_nebula/\(encodedName(pipeline))" }

  /// Properties by which a file is known to be ours.
  static let pipelineProperty = "nebula_pipeline"
  static let eventProperty = "nebula_event"
  static let epochProperty = "nebula_epoch"
  /// Property values are kept in headers, so they are percent-encoded.
  var owner: String { encodedName(context.pipeline) }

  /// Runs `body` while holding one of the slots.
  func request<Value: Sendable>(_ body: () async throws -> Value) async throws -> Value {
    try await slots.wait()
    defer { slots.signal() }
    return try await body()
  }
}
