internal import CMongoc
internal import NebulaCore
internal import NebulaFormats

/// What the chosen server says of itself.
struct ServerFacts: Sendable, Hashable {
  var setName = ""
  var isRouter = false
  var wireVersion: Int32 = 0
  var hosts: [String] = []
}

/// One connection with one explicit session, for one thread. Commands are raw: what the driver's change streams and
/// cursors do is decided here (reference/mongodb.md §5.2 says why).
final class MongoClient {
  let connection: ConnectionString
  private let client: OpaquePointer
  private var session: OpaquePointer?
  private var server: UInt32 = 0
  private(set) var facts = ServerFacts()

  init(_ connection: ConnectionString) throws(MongoFailure) {
    MongoLibrary.start()
    self.connection = connection
    var problem = bson_error_t()
    // An SRV lookup that fails shows here.
    guard let uri = connection.uri() else { throw MongoFailure(origin: .selection, message: "the URI is not valid") }
    defer { mongoc_uri_destroy(uri) }
    guard let client = mongoc_client_new_from_uri_with_error(uri, &problem) else {
      throw MongoFailure(origin: .selection, message: connection.redacted(problem.text))
    }
    self.client = client
    mongoc_client_set_error_api(client, 2)
  }
  deinit {
    if let session { mongoc_client_session_destroy(session) }
    mongoc_client_destroy(client)
  }

  /// Chooses a server and opens a session on it. The driver's own error keeps the cause (TLS, name, refusal).
  func connect() throws(MongoFailure) {
    forget()
    var problem = bson_error_t()
    guard let chosen = mongoc_client_select_server(client, false, mongoc_client_get_read_prefs(client), &problem) else {
      throw MongoFailure(problem, reply: nil, connection)
    }
    defer { mongoc_server_description_destroy(chosen) }
    server = mongoc_server_description_id(chosen)
    var length: UInt32 = 0
    facts = ServerFacts(hello: Reply(nebula_mongo_hello(chosen, &length), count: length))
    guard let opened = nebula_mongo_session(client, &problem) else {
      throw MongoFailure(problem, reply: nil, connection)
    }
    session = opened
  }

  /// False before `connect` and after `forget`.
  var isConnected: Bool { session != nil }

  /// What the chosen server can do, by its version.
  func capabilities() throws(MongoFailure) -> Capabilities {
    let info = try run("admin") { $0.append("buildInfo", Int32(1)) }
    let version = info.with("versionArray") { list in
      list.subdocument.map { elements(of: $0).compactMap(\.integer).map(Int.init) }
    }
    return Capabilities(version: version ?? [], facts)
  }

  /// Lets session and server go, so that the next `connect` chooses anew.
  func forget() {
    if let session { mongoc_client_session_destroy(session) }
    session = nil
    server = 0
  }

  /// Runs one command on the chosen server, in the session.
  func run(_ database: String, _ command: (inout BSONBuilder) -> Void) throws(MongoFailure) -> Reply {
    let document = BSONBuilder(command).document
    var problem = bson_error_t()
    var buffer: UnsafeMutablePointer<UInt8>?
    var length: UInt32 = 0
    let succeeded = nebula_mongo_command(
      client, database, document, document.count, server, session, &buffer, &length, &problem)
    let reply = Reply(buffer, count: length)
    guard succeeded else { throw MongoFailure(problem, reply: reply, connection) }
    connection.login.succeed()
    return reply
  }

  /// All documents that a command with a cursor gives; for lists and samples.
  func all(_ database: String, _ command: (inout BSONBuilder) -> Void) throws(MongoFailure) -> [[UInt8]] {
    var reply = try run(database, command)
    var documents: [[UInt8]] = []
    while true {
      documents += reply.documents
      let id = reply.cursorID
      guard id != 0, let collection = reply.cursorCollection else { return documents }
      reply = try run(database) {
        $0.append("getMore", id)
        $0.append("collection", collection)
      }
    }
  }

  /// Ends a cursor on the server; what goes wrong does not matter, the server forgets it by itself.
  func kill(_ cursor: Int64, _ database: String, _ collection: String) {
    guard cursor != 0 else { return }
    _ = try? run(database) {
      $0.append("killCursors", collection)
      $0.append("cursors", int64s: [cursor])
    }
  }
}

extension ServerFacts {
  init(hello: Reply) {
    setName = hello.text("setName") ?? ""
    isRouter = hello.text("msg") == "isdbgrid"
    wireVersion = Int32(hello.integer("maxWireVersion") ?? 0)
    hosts = (hello.texts("hosts") ?? []).map { $0.lowercased() }.sorted()
  }
}
