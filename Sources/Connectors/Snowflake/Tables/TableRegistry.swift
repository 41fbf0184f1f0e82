internal import NebulaCore
internal import NebulaFormats

/// Where the rows of a lane go: one table in one layout.
struct LaneKey: Sendable, Hashable {
  let table: TableName
  /// Counts the layouts of a table; a layout itself may have a thousand columns.
  let version: Int
  let layout: TableLayout

  static func == (a: Self, b: Self) -> Bool { a.version == b.version && a.table == b.table }
  func hash(into hasher: inout Hasher) {
    hasher.combine(version)
    hasher.combine(table)
  }
}

/// Knows which tables there are and what they look like: resolves namespaces, chooses layouts, widens them, and makes
/// the tables fit before an epoch needs them.
actor TableRegistry {
  private let options: SnowflakeOptions
  private let schemas: SchemaReader
  private let maker: TableMaker
  private let layouts: LayoutPlanner
  private let database: Identifier
  private let schema: Identifier
  private var routes: TableRoutes
  private var csvLanes: [TableName: [RecordSchema: LaneKey]] = [:]
  private var lanes: [TableName: LaneKey] = [:]
  private var versions: [TableName: Int] = [:]
  private var verified: Set<LaneKey> = []
  /// Tables of which is known whether they hold rows of one copy alone: that copy's place in the order; nil when not.
  private var onlyCopied: [TableName: String?] = [:]
  /// One at a time: two batches must not make two layouts of one table.
  private let turn = Slots(1)

  init(
    _ options: SnowflakeOptions, pool: SessionPool, database: Identifier, schema: Identifier, pipeline: String
  ) throws(NebulaError) {
    self.options = options
    self.database = database
    self.schema = schema
    routes = TableRoutes(try TableTemplate(options.table))
    schemas = SchemaReader(pool: pool)
    maker = TableMaker(options: options, pool: pool, pipeline: pipeline)
    layouts = LayoutPlanner(options, pipeline: pipeline)
  }

  // MARK: lanes

  /// The lane of each of the batch's namespaces.
  func lanes(for batch: RecordBatch) async throws -> [LaneKey] {
    try await turn.wait()
    defer { turn.signal() }
    var lanes: [LaneKey] = []
    lanes.reserveCapacity(batch.namespaces.count)
    for namespace in batch.namespaces {
      let name = TableName(database: database, schema: schema, name: try routes.table(for: namespace))
      lanes.append(try await lane(name, batch))
    }
    return lanes
  }

  private func lane(_ table: TableName, _ batch: RecordBatch) async throws -> LaneKey {
    let isCSV = batch.format == .csv && batch.changes == nil
    if isCSV, let schema = batch.schema {
      if let known = csvLanes[table]?[schema] { return known }
      let lane = newLane(table, try layouts.records(schema, table, present: try await describe(table)))
      csvLanes[table, default: [:]][schema] = lane
      return lane
    }
    if let known = lanes[table] { return known }
    let isChanges = batch.changes != nil || batch.format == .bson
    let layout: TableLayout
    if isChanges, options.packMode == .packed {
      layout = try layouts.packed(table)
    } else {
      let present = try await describe(table)
      let observed = ObservedFields(batch, typed: options.schemaRule != nil || isChanges)
      layout =
        isChanges
        ? try layouts.unpacked(observed, table, present: present)
        : try layouts.records(observed, table, present: present)
    }
    let lane = newLane(table, layout)
    lanes[table] = lane
    return lane
  }

  private func newLane(_ table: TableName, _ layout: TableLayout) -> LaneKey {
    versions[table, default: 0] += 1
    return LaneKey(table: table, version: versions[table, default: 0], layout: layout)
  }

  /// A lane of the same table with columns for the batch's new fields; the given one when there is nothing to add.
  func widen(_ key: LaneKey, by batch: RecordBatch) async throws -> LaneKey {
    try await turn.wait()
    defer { turn.signal() }
    // Another worker may have met the same field before.
    if let latest = lanes[key.table], latest.version > key.version { return latest }
    let wider = try layouts.widened(
      key.layout, by: ObservedFields(batch, typed: true), present: try await describe(key.table))
    guard wider != key.layout else { return key }
    let lane = newLane(key.table, wider)
    lanes[key.table] = lane
    return lane
  }

  private func describe(_ table: TableName) async throws -> [TableColumn]? { try await schemas.columns(of: table) }

  // MARK: tables

  /// Creates what is missing, and looks that what is there fits. DDL commits by itself, so this is before the intent;
  /// a table that is there is changed only when no earlier epoch waits for its commit any more (`settled` returns).
  func ensure(_ lane: LaneKey, settled: @Sendable () async throws -> Void) async throws {
    try await turn.wait()
    defer { turn.signal() }
    guard !verified.contains(lane) else { return }
    let owner = routes.owner(of: lane.table.name)
    if let present = try await describe(lane.table) {
      let missing = lane.layout.columns.filter { column in !present.contains { $0.name == column.name } }
      if let first = missing.first {
        guard options.schemaRule == .evolve else { throw TableMaker.mismatch(lane.table, missing: first) }
        try await settled()
        try await maker.add(missing, to: lane.table)
        await schemas.forget(lane.table)
        try TableMaker.check(lane.layout, against: try await describe(lane.table) ?? [], lane.table)
      }
    } else {
      try await maker.create(lane, of: owner)
      await schemas.forget(lane.table)
    }
    if let owner { try await maker.claim(lane, for: owner) }
    try await ensureLanding(lane, settled)
    try await maker.ensureView(lane)
    verified.insert(lane)
  }

  private func ensureLanding(_ lane: LaneKey, _ settled: @Sendable () async throws -> Void) async throws {
    guard let landing = lane.layout.merge?.landing else { return }
    let present = try await describe(landing)
    if let present, LayoutPlanner.covers(present, lane.layout) { return }
    // It is empty outside of transactions, so it can be made anew once none of ours is under way.
    if present != nil { try await settled() }
    try await maker.createLanding(lane, keeping: present)
    await schemas.forget(landing)
    // Another lane's column may have another type now; of one that was not there no lane is verified.
    if present != nil { verified = verified.filter { $0.table != lane.table } }
  }

  // MARK: merges

  /// True when the table holds rows of the copy at `sequence` alone, so that more of them need no MERGE. Once it holds,
  /// or may hold, others, that stays so.
  func isOnlyCopied(_ table: TableName, at sequence: String?, unless hasSweeps: Bool) async throws -> Bool {
    guard let sequence, !hasSweeps else {
      onlyCopied[table] = .some(nil)
      return false
    }
    if let known = onlyCopied[table] {
      if known != sequence { onlyCopied[table] = .some(nil) }
      return known == sequence
    }
    let isSo = try await schemas.holdsOnly(sequence, table)
    onlyCopied[table] = .some(isSo ? sequence : nil)
    return isSo
  }

  /// All tables that this pipeline merges into, also those that earlier runs made.
  func mergedTables() async throws -> [LaneKey] {
    var found = lanes.values.filter { $0.layout.merge != nil }
    let known = try await maker.merged(in: database, schema) { [layouts] in layouts.landing($0) }
    let there = Set(found.map(\.table))
    for name in known where !there.contains(name) {
      guard let present = try await describe(name) else { continue }
      found.append(LaneKey(table: name, version: 0, layout: try layouts.merged(name, present)))
    }
    return found.sorted { $0.table.name.name < $1.table.name.name }
  }
}
