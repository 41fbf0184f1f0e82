internal import NebulaCore
internal import NebulaFormats

/// Fixes once which collections are copied, and in which ranges of `_id`.
struct SnapshotPlanner {
  /// A range smaller than this is not worth a thread.
  static let leastDocuments: Int64 = 5000
  /// Samples a range: the more there are, the more even the ranges.
  static let samples = 20

  let settings: MongoSettings
  let client: MongoClient
  let log: Logger

  func ranges() throws(MongoFailure) -> [Int32: SnapshotRange] {
    var ranges: [SnapshotRange] = []
    for namespace in try namespaces() { ranges += try self.ranges(of: namespace) }
    return Dictionary(uniqueKeysWithValues: zip(Int32(0)..., ranges))
  }

  /// The collections that exist now; later ones come by the stream.
  func namespaces() throws(MongoFailure) -> [Namespace] {
    switch settings.scope {
    case .collection: return [settings.namespace]
    case .database: return try collections(of: settings.options.database)
    case .deployment:
      let reply = try client.run("admin") {
        $0.append("listDatabases", Int32(1))
        $0.append("nameOnly", true)
      }
      let names = reply.with("databases") { $0.subdocument.map { elements(of: $0).compactMap(name) } } ?? []
      var found: [Namespace] = []
      for name in names.sorted() where !["admin", "local", "config"].contains(name) {
        found += try collections(of: name)
      }
      return found
    }
  }

  private func name(of database: BSONElement) -> String? {
    database.subdocument.flatMap { BSON.find("name", in: $0)?.stringText }
  }

  private func collections(of database: String) throws(MongoFailure) -> [Namespace] {
    let listed = try client.all(database) {
      $0.append("listCollections", Int32(1))
      $0.append("cursor") { _ in }
    }
    let found = listed.compactMap { $0.withUnsafeBytes { listing in wanted(listing, of: database) } }
    return found.sorted { $0.collection < $1.collection }
  }

  private func wanted(_ listing: UnsafeRawBufferPointer, of database: String) -> Namespace? {
    guard let name = BSON.find("name", in: listing)?.stringText, !name.hasPrefix("system.") else { return nil }
    let namespace = Namespace(database: database, collection: name)
    let kind = BSON.find("type", in: listing)?.stringText ?? "collection"
    guard kind == "collection" else {
      log.warning("mongo: \(namespace) is a \(kind), which has no change stream; it is left out")
      return nil
    }
    let list = settings.options.collections
    return list.isEmpty || list.contains(settings.scope == .database ? name : namespace.description) ? namespace : nil
  }

  private func ranges(of namespace: Namespace) throws(MongoFailure) -> [SnapshotRange] {
    let database = namespace.database ?? ""
    let count = try client.run(database) { $0.append("count", namespace.collection) }.with("n") {
      $0.integer ?? $0.double.map { Int64($0) }
    }
    let wanted = min(Int64(settings.options.snapshotRanges), (count ?? 0) / Self.leastDocuments)
    guard wanted > 1 else { return [SnapshotRange(namespace: namespace)] }
    do {
      // The server sorts, so that the order is its own, over all types and with the collection's collation.
      let sample = try client.all(database) {
        $0.append("aggregate", namespace.collection)
        $0.append("pipeline", array: Self.sampling(Int32(wanted) * Int32(Self.samples)))
        $0.append("cursor") { _ in }
      }
      return Self.split(namespace, sorted: sample, into: Int(wanted))
    } catch {
      log.warning("mongo: \(namespace) is copied in one range, for it can't be sampled: \(error.message)")
      return [SnapshotRange(namespace: namespace)]
    }
  }

  private static func sampling(_ size: Int32) -> [[UInt8]] {
    [
      BSONBuilder { $0.append("$sample") { $0.append("size", size) } }.document,
      BSONBuilder { $0.append("$project") { $0.append("_id", Int32(1)) } }.document,
      BSONBuilder { $0.append("$sort") { $0.append("_id", Int32(1)) } }.document,
    ]
  }

  /// Neighbouring ranges over the whole of a collection, with bounds at even steps of the sorted keys.
  static func split(_ namespace: Namespace, sorted keys: [[UInt8]], into count: Int) -> [SnapshotRange] {
    var bounds: [[UInt8]] = []
    for step in 1..<max(count, 2) where !keys.isEmpty {
      let key = keys[min(keys.count - 1, step * keys.count / count)]
      if bounds.last != key { bounds.append(key) }
    }
    let lowers = [nil] + bounds.map(Optional.some)
    let uppers = bounds.map(Optional.some) + [nil]
    return zip(lowers, uppers).map { SnapshotRange(namespace: namespace, lower: $0, upper: $1) }
  }
}
