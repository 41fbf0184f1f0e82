internal import NebulaCore
internal import NebulaHTTP

extension AzureDataLakeStore: RenamingStore {
  /// Gives a file another name, in one step.
  public func rename(_ rename: ObjectRename) async throws -> RenameOutcome {
    let etag = try await sourceETag(rename)
    let call = try renaming(rename, etag: etag)
    var answer = try await session.send(call) { RenameRule.step($0) != .refused }
    if RenameRule.step(answer) == .makeFolder {
      try await makeFolder(above: rename.target)
      answer = try await session.send(call) { ![.refused, .makeFolder].contains(RenameRule.step($0)) }
    }
    switch RenameRule.step(answer) {
    case .done: return .renamed
    case .changed: throw Refusal.changed(rename.source)
    default: return try await resolve(rename, etag, isSourceGone: answer.isMissing)
    }
  }

  private func sourceETag(_ rename: ObjectRename) async throws -> String {
    if let etag = rename.sourceETag { return etag }
    guard let etag = try await file(rename.source)?.etag else { throw Refusal.notFound(rename.source) }
    return etag
  }

  private func resolve(_ rename: ObjectRename, _ etag: String, isSourceGone: Bool) async throws -> RenameOutcome {
    let target = try await file(rename.target)?.etag
    switch RenameRule.outcome(expected: etag, isSourceGone: isSourceGone, target: target) {
    case .renamed: return .renamed
    case .targetExists: return .targetExists
    case .sourceMissing: throw Refusal.notFound(rename.source)
    case .changed: throw Refusal.changed(rename.source)
    }
  }

  private func renaming(_ rename: ObjectRename, etag: String) throws(NebulaError) -> AzureCall {
    try Self.check(rename.source)
    try Self.check(rename.target)
    var call = AzureCall(
      operation: "Renaming \(rename.source) to \(rename.target)", service: .dfs, method: "PUT", key: rename.target,
      query: [("mode", "legacy")])
    let source = PercentEncoding.encodePath(rename.source)
    call.headers["x-ms-rename-source"] =
      "/\(PercentEncoding.encodePath(location.fileSystem))/\(source)\(session.sourceSignature)"
    call.headers["x-ms-source-if-match"] = etag
    if !rename.replaces { call.headers["If-None-Match"] = "*" }
    if let id = rename.sourceLeaseID { call.headers["x-ms-source-lease-id"] = id }
    return call
  }

  /// Renames don't make folders. One that is there stays as it is.
  private func makeFolder(above key: String) async throws {
    guard let slash = key.lastIndex(of: "/") else { return }
    let folder = String(key[..<slash])
    var call = AzureCall(
      operation: "Making the folder \(folder)", service: .dfs, method: "PUT", key: folder,
      query: [("resource", "directory")])
    call.headers["If-None-Match"] = "*"
    _ = try await session.send(call) { $0.status == 201 || $0.isConditionFailed }
  }
}
