import NebulaCore
import NebulaFormats
import Testing

@testable import MongoConnector

/// Documents and events that are not BSON: each is rejected once (Invariant 4).
@Suite(.serialized, .timeLimit(.minutes(2))) struct RejectTests {
  /// A text that is not UTF-8 behind a good `_id`.
  func bad(_ id: String) -> [UInt8] {
    var document = BSONBuilder {
      $0.append("_id", id)
      $0.append("v", "\u{7f}\u{7f}")
    }.document
    document[document.count - 4] = 0xFF
    return document
  }

  @Test(arguments: [1, 2, 3]) func aBadDocumentAtTheEndOfAPageIsRejectedOnce(batchSize: Int) async throws {
    let standin = try Standin()
    defer { standin.stop() }
    try standin.insert(0..<3)
    for id in ["bad", "bad too"] {
      try standin.run(
        #"{"sandboxPut": "shop.orders", "bson": {"$binary": {"base64": "\#(base64(bad(id)))", "subType": "00"}}}"#)
    }
    try standin.insert(#"{"_id": "good"}"#)
    let make = { try source(standin, context(.untilCaughtUp)) { $0.batchSize = batchSize } }
    let whole = try await read(make())
    #expect(whole.rows.count == 4 && whole.rejected.count == 2)
    var (rows, rejected) = (0, 0)
    for batch in whole.batches {
      rows += batch.count
      rejected += batch.rejected.count
      let rest = try await read(make(), from: batch.position)
      #expect(rest.rows.count == 4 - rows && rest.rejected.count == 2 - rejected)
    }
  }

  // MARK: events

  func token(_ number: Int) -> [UInt8] { BSONBuilder { $0.append("_data", "82\(number)") }.document }
  /// An event whose last field is a text; `isBad` makes it no UTF-8.
  func event(_ number: Int, fragment: Int? = nil, isBad: Bool = false) -> [UInt8] {
    var event = BSONBuilder {
      $0.append("_id", document: token(number))
      if let fragment {
        $0.append("splitEvent") {
          $0.append("fragment", Int32(fragment))
          $0.append("of", Int32(2))
        }
      }
      if fragment != 2 { $0.append("operationType", "insert") }
      $0.append("v\(fragment ?? 0)", "\u{7f}\u{7f}")
    }.document
    if isBad { event[event.count - 4] = 0xFF }
    return event
  }
  func take(_ reader: inout EventReader, _ events: [UInt8]..., end: StreamStart? = nil) throws -> [EventReader.Run] {
    let list = BSONBuilder { for (index, one) in events.enumerated() { $0.append(String(index), document: one) } }
    let bytes = list.document.withUnsafeBytes { SharedBytes(copying: $0) }
    return try reader.read(bytes, 0..<bytes.base.count, end: end, nil).runs
  }
  func reader() -> EventReader {
    EventReader(
      scope: Namespace(database: "shop", collection: "orders"), from: .token(token(0)),
      sequence: SequenceState(clusterTime: 1, next: 0))
  }

  @Test func aRejectedEventIsPassed() throws {
    var reader = reader()
    let runs = try take(&reader, event(1), event(2, isBad: true), event(3, fragment: 1))
    #expect(runs.map(\.draft.records.count) == [1] && runs.map(\.draft.rejected.count) == [1])
    #expect(reader.last == .token(token(2)) && runs.first?.through == reader.last)
    #expect(reader.pendingBytes > 0)
  }

  @Test func anEventWithoutAReadableTokenIsPassedByTheServersPlace() throws {
    var reader = reader()
    var bad = event(1)
    // The token's text: length of the event, type and `_id`, length of the token, type and `_data`, length, text.
    bad[4 + 5 + 4 + 7 + 4] = 0xFF
    _ = try take(&reader, bad)
    #expect(reader.last == .token(token(0)))
    let runs = try take(&reader, bad, end: .token(token(2)))
    #expect(reader.last == .token(token(2)) && runs.map(\.draft.rejected.count) == [1])
  }

  @Test(arguments: [1, 2]) func aSplitEventIsRejectedAsAWhole(bad: Int) throws {
    var reader = reader()
    var runs = try take(&reader, event(1, fragment: 1, isBad: bad == 1))
    #expect(runs.isEmpty)
    runs = try take(&reader, event(2, fragment: 2, isBad: bad == 2), event(3))
    #expect(runs.map(\.draft.rejected.count) == [1, 0] && runs.map(\.draft.records.count) == [0, 1])
    #expect(runs.map(\.through) == [.token(token(2)), .token(token(3))])
    #expect(runs.first?.draft.rejected.first?.error.code == "formats.malformed_bson")
  }
}
