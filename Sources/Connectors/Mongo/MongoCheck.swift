public import NebulaCore
internal import NebulaFormats

extension MongoSource {
  /// Looks whether the cluster can be reached, is a replica set, and lets this user read what is configured.
  public func check() async throws -> [Finding] { try await look() }
}

extension MongoSettings {
  /// The findings in order; the first that did not pass is the last.
  func findings(_ log: Logger) -> [Finding] {
    var findings: [Finding] = []
    do throws(MongoFailure) {
      let client = try MongoClient(connection)
      try client.connect()
      _ = try client.run("admin") { $0.append("ping", Int32(1)) }
      let capabilities = try client.capabilities()
      let facts = client.facts
      let what = facts.isRouter ? "mongos" : "replica set \(facts.setName)"
      findings.append(.passed("reached \(connection.shown) (\(what))"))
      if let refusal = client.refusal { throw refusal }
      guard capabilities.startsAfter else { throw MongoFailure.tooOld }
      findings.append(try lookForCollection(client))
      guard findings.allSatisfy(\.passed) else { return findings }
      findings.append(try lookForStream(client, capabilities))
    } catch {
      findings.append(.failed(error.error("look at what is configured", connection)))
    }
    return findings
  }

  private func lookForCollection(_ client: MongoClient) throws(MongoFailure) -> Finding {
    guard scope == .collection else {
      return .passed(scope == .database ? "reads the database \(options.database)" : "reads the whole deployment")
    }
    let listed = try client.all(options.database) {
      $0.append("listCollections", Int32(1))
      $0.append("filter") { $0.append("name", options.collection) }
      $0.append("cursor") { _ in }
    }
    guard let listing = listed.first else {
      return .passed("\(namespace) does not exist yet; it is read once it does")
    }
    let kind = listing.withUnsafeBytes { BSON.find("type", in: $0)?.stringText } ?? "collection"
    guard kind != "collection" else { return .passed("\(namespace) exists") }
    return .failed(
      .mongo(.mongoNotReadable, "\(namespace) is a \(kind), which has no change stream.", exit: .configuration))
  }

  private func lookForStream(_ client: MongoClient, _ capabilities: Capabilities) throws(MongoFailure) -> Finding {
    let reply = try client.run(commandDatabase) { open(.now, capabilities, skim: false, into: &$0) }
    client.kill(reply.cursorID, commandDatabase, reply.cursorCollection ?? options.collection)
    let large = capabilities.splits ? "events over 16 MB are split" : "events over 16 MB are rejected (before 6.0.9)"
    return .passed("may open the change stream; \(large)")
  }
}
