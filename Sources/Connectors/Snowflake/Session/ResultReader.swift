internal import NebulaCore
internal import NebulaHTTP

/// Reads a statement's rows, also those that lie in chunks at other addresses.
struct ResultReader: Sendable {
  let http: HTTPClient
  let clock: Timekeeper

  func read(_ envelope: Envelope) async throws -> QueryResult {
    let data = envelope.data
    let queryID = data["queryId"]?.string ?? ""
    let columns = (data["rowtype"]?.array ?? []).map { $0["name"]?.string ?? "" }
    guard let first = data["rowset"]?.array else {
      guard data["rowsetBase64"]?.string.map({ $0.isEmpty }) ?? true, data["queryResultFormat"]?.string != "arrow"
      else {
        throw NebulaError(
          .arrowResult, "Snowflake sent a result in Arrow format, which is not read here.",
          remedy: "ALTER USER … SET PYTHON_CONNECTOR_QUERY_RESULT_FORMAT = JSON, GO_QUERY_RESULT_FORMAT = JSON, "
            + "ODBC_QUERY_RESULT_FORMAT = JSON, JDBC_QUERY_RESULT_FORMAT = JSON.", native: "query \(queryID)")
      }
      return QueryResult(columns: columns, rows: [], queryID: queryID)
    }
    var rows = try first.map(Self.row)
    for chunk in data["chunks"]?.array ?? [] {
      let more = try await self.chunk(chunk, of: data)
      try Self.check(more.count, against: chunk["rowCount"], "A chunk of a result", queryID)
      rows += more
    }
    try Self.check(rows.count, against: data["returned"], "A result", queryID)
    return QueryResult(columns: columns, rows: rows, queryID: queryID)
  }

  /// Fewer rows than were announced must not pass for all.
  private static func check(
    _ count: Int, against announced: JSONValue?, _ what: String, _ queryID: String
  ) throws(NebulaError) {
    guard let announced = announced?.integer, announced != Int64(count) else { return }
    throw NebulaError(
      .badAnswer, "\(what) has \(count) rows, of which \(announced) were announced.",
      remedy: "It is asked for again; report it if it stays so.", native: "query \(queryID)",
      disposition: .retry(after: nil))
  }

  private static func row(_ value: JSONValue) throws(NebulaError) -> [String?] {
    guard let cells = value.array else {
      throw NebulaError(.badAnswer, "A row of a result is no list.", remedy: "Report the defect.")
    }
    return cells.map { $0.bool.map { $0 ? "true" : "false" } ?? $0.stringOrNumber }
  }

  /// Rows of one chunk: lists with commas between, without brackets around them.
  private func chunk(_ chunk: JSONValue, of data: JSONValue) async throws -> [[String?]] {
    guard let url = chunk["url"]?.string else {
      throw NebulaError(.badAnswer, "A chunk of a result has no address.", remedy: "Report the defect.")
    }
    var headers = HTTPHeaders()
    if let given = data["chunkHeaders"]?.object, !given.isEmpty {
      for header in given { headers.add(header.name, header.value.string ?? "") }
    } else if let key = data["qrmk"]?.string {
      headers.add("x-amz-server-side-encryption-customer-algorithm", "AES256")
      headers.add("x-amz-server-side-encryption-customer-key", key)
    }
    let body = try await fetch(HTTPRequest(url: url, headers: headers, acceptsGzip: true))
    let text = try Gunzip.ifNeeded(body)
    return try (try JSONValue(parsing: [UInt8(ascii: "[")] + text + [UInt8(ascii: "]")]).array ?? []).map(Self.row)
  }

  private func fetch(_ request: HTTPRequest) async throws -> [UInt8] {
    var attempt = 1
    while true {
      do {
        let response = try await http.perform(request)
        if response.isSuccess { return response.body }
        guard attempt < 5, RetryPolicy.Failure(status: response.status) != .permanent else {
          throw NebulaError(
            .badAnswer, "A chunk of a result can't be fetched: HTTP \(response.status).",
            remedy: "Run again; the address may have expired.", disposition: .retry(after: nil), exit: .environment)
        }
      } catch let error as NebulaError where error.isRetryable && attempt < 5 && error.code != .badAnswer {}
      try await clock.sleep(.milliseconds(500 << Int64(attempt)))
      attempt += 1
    }
  }
}
