import NebulaCore
import NebulaHTTP
import Testing

@testable import SnowflakeConnector

/// What a user is told when the account, not the data, is in the way: a code, a remedy that helps, Snowflake's own number.
@Suite(.enabled(if: StandIn.isAvailable), .serialized) struct TroubleTests {
  struct Trouble: Sendable, CustomTestStringConvertible {
    let number: String
    let state: String
    let message: String
    let code: NebulaError.Code
    let remedy: String
    let isRetried: Bool
    var testDescription: String { "\(number) \(message)" }
  }

  static let troubles = [
    Trouble(
      number: "000606", state: "57P03",
      message:
        "No active warehouse selected in the current session.  Select an active warehouse with the 'use warehouse' command.",
      code: .noWarehouse, remedy: "ALTER WAREHOUSE <warehouse> SET AUTO_RESUME = TRUE", isRetried: false),
    Trouble(
      number: "090073", state: "22000",
      message: "Warehouse 'LOAD_WH' cannot be resumed because resource monitor 'LIMIT' has exceeded its quota.",
      code: .quotaExceeded, remedy: "ALTER RESOURCE MONITOR", isRetried: false),
    Trouble(
      number: "000630", state: "57014",
      message: "Statement reached its statement or warehouse timeout of 60 second(s) and was canceled.",
      code: .statementTimeout, remedy: "STATEMENT_TIMEOUT_IN_SECONDS", isRetried: true),
    Trouble(
      number: "000625", state: "57014",
      message: "Statement '01a' has locked table 'ORDERS' in transaction 17 and this lock has not yet been released.",
      code: .lockTimeout, remedy: "SHOW LOCKS IN ACCOUNT", isRetried: true),
    Trouble(
      number: "003001", state: "42501",
      message: "SQL access control error:\nInsufficient privileges to operate on table 'ORDERS'", code: .notPermitted,
      remedy: "GRANT INSERT, SELECT ON TABLE \"RAW\".\"SHOP\".\"ORDERS\" TO ROLE", isRetried: false),
    Trouble(
      number: "003001", state: "42501",
      message: "SQL access control error:\nInsufficient privileges to operate on stage 'NEBULA_STAGE'",
      code: .notPermitted, remedy: "GRANT READ, WRITE ON STAGE \"RAW\".\"SHOP\".\"NEBULA_STAGE\" TO ROLE",
      isRetried: false),
    Trouble(
      number: "000604", state: "57014", message: "SQL execution canceled", code: .statementFailed,
      remedy: "Somebody cancelled", isRetried: true),
    Trouble(
      number: "000709", state: "02000", message: "Statement 01a not found", code: .statementFailed,
      remedy: "found out first", isRetried: true),
  ]

  @Test(arguments: troubles, [false, true])
  func theErrorOfACopySaysWhatToDo(_ trouble: Trouble, _ isAsync: Bool) async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn, ["async_copy": "\(isAsync)"])
    try await rig.open()
    let prepared = try await rig.prepare(.at(1, 1), [ChangeBatch.orders(3)])
    // Refused at once, or taken and failing later.
    try await standIn.faults([
      "sql": "^COPY", "action": isAsync ? "fail_execution" : "fail", "delay_ms": 10, "code": .string(trouble.number),
      "sqlstate": .string(trouble.state), "message": .string(trouble.message),
    ])
    let error = try #require(await #expect(throws: NebulaError.self) { try await rig.commit(prepared) })
    #expect(error.code == trouble.code && error.remedy.contains(trouble.remedy), "\(error)")
    #expect(error.native?.contains("code \(trouble.number), SQLSTATE \(trouble.state)") == true)
    #expect(error.isRetryable == trouble.isRetried)
    #expect(error.message.hasPrefix("COPY into \"RAW\".\"SHOP\".\"ORDERS\" failed: "))
    #expect(snowflakeErrors.contains { $0.code == error.code })
    // Nothing is lost.
    #expect(try await rig.destination.recover(prepared) == .ready)
    #expect(try await rig.commit(prepared).rows == 3)
    await rig.close()
  }

  @Test func aWarehouseThatDoesNotResumeStopsTheStartClearly() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn)
    try await standIn.faults([
      "sql": "^UPDATE", "action": "fail", "code": "000606", "sqlstate": "57P03",
      "message": "No active warehouse selected in the current session.",
    ])
    let error = await #expect(throws: NebulaError.self) { try await rig.open() }
    #expect(error?.code == .noWarehouse && error?.exit == .environment)
    #expect(error?.message.hasPrefix("Taking the fence ") == true)
    await rig.close()
  }

  @Test func aStageThatRefusesOrIsFullIsNamed() async throws {
    let standIn = try StandIn()
    let rig = try Rig(standIn)
    try await rig.open()
    for (status, body, code) in [
      (403, "<Error><Code>AccessDenied</Code><Message>no</Message></Error>", NebulaError.Code.stageDenied),
      (507, "<Error><Code>InsufficientStorage</Code><Message>full</Message></Error>", .stageFull),
    ] as [(Int64, String, NebulaError.Code)] {
      try await standIn.faults([
        "service": "s3", "method": "PUT", "action": "status", "status": .integer(status), "body": .string(body),
        "times": 0,
      ])
      let error = try #require(
        await #expect(throws: NebulaError.self) { _ = try await rig.prepare(.at(1, 1), [ChangeBatch.orders(3)]) })
      #expect(error.code == code && error.exit == .environment, "\(error)")
      #expect(error.place?.path.hasPrefix("\"RAW\".\"SHOP\".\"NEBULA_STAGE\"/") == true)
      #expect(error.native?.hasPrefix("HTTP \(status)") == true && error.isRetryable == (status == 507))
      try await rig.destination.abort(.at(1, 1), nil)
    }
    await rig.close()
  }

  @Test func missingGrantsAreNamedAtTheStart() async throws {
    let standIn = try StandIn()
    func told(_ deny: String) async throws -> NebulaError? {
      try await standIn.control(
        "user", ["name": "LOADER", "password": "secret-of-the-test", "deny": [.string(deny)]])
      let rig = try Rig(standIn, pipeline: "p\(deny.count)")
      let error = await #expect(throws: NebulaError.self) { try await rig.open() }
      await rig.close()
      return error
    }
    let stage = try await told("CREATE STAGE")
    #expect(stage?.code == .notPermitted && stage?.remedy.contains("GRANT CREATE STAGE ON SCHEMA") == true)
    let table = try await told("CREATE TABLE")
    #expect(stage?.exit == .environment && table?.remedy.contains("GRANT CREATE") == true)
  }
}
