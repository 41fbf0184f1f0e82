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
}
