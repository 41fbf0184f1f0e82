import NebulaCore
import NebulaHTTP
import Testing

@testable import NebulaObjectStores

/// What each operation makes of an answer when an attempt before it may have been carried out.
@Suite struct AzureRuleTests {
  func answer(_ status: Int, _ code: String = "", mayBeDone: Bool = false) -> AzureAnswer {
    AzureAnswer(
      HTTPResponse(status: status, headers: code.isEmpty ? [:] : ["x-ms-error-code": code]), mayBeDone: mayBeDone)
  }
  func state(_ length: Int = 0, etag: String = "\"1\"") -> FileState { FileState(key: "k", length: length, etag: etag) }

  // MARK: Create

  @Test func createdAtOnce() { #expect(CreateFileRule.reading(answer(201), createOnly: true) == .done) }

  @Test(arguments: [(409, "PathAlreadyExists"), (412, "ConditionNotMet"), (409, "BlobAlreadyExists")])
  func aTakenNameIsLookedAt(status: Int, code: String) {
    #expect(CreateFileRule.reading(answer(status, code), createOnly: true) == .look)
    // emptying a file is not stopped by its name; by a lease it is
    #expect(CreateFileRule.reading(answer(status, code), createOnly: false) == .refused)
  }

  @Test(arguments: [
    (412, "LeaseIdMissing"), (404, "FilesystemNotFound"), (403, "AuthorizationPermissionMismatch"),
    (409, "PathConflict"), (409, "ResourceTypeMismatch"),
  ])
  func whatIsNoTakenName(status: Int, code: String) {
    #expect(CreateFileRule.reading(answer(status, code), createOnly: true) == .refused)
  }

  @Test func ourOwnFileIsKnownByItsMarkAndItsLength() {
    let ours = MarkedFile(state: state(), mark: "m")
    #expect(CreateFileRule.outcome(found: ours, mark: "m") == .created(etag: "\"1\""))
    #expect(CreateFileRule.outcome(found: ours, mark: "other") == .exists(state()))
    #expect(CreateFileRule.outcome(found: MarkedFile(state: state(5), mark: "m"), mark: "m") == .exists(state(5)))
    #expect(CreateFileRule.outcome(found: MarkedFile(state: state(), mark: nil), mark: "m") == .exists(state()))
    #expect(CreateFileRule.outcome(found: nil, mark: "m") == nil)
  }

  // MARK: Flush, and append with flush

  @Test func flushed() {
    #expect(FlushRule.reading(answer(200)) == .done && FlushRule.reading(answer(202, mayBeDone: true)) == .done)
  }

  @Test(arguments: [(400, "InvalidFlushPosition"), (400, "InvalidQueryParameterValue"), (412, "ConditionNotMet")])
  func aRefusedFlushIsLookedAtOnlyWhenOneBeforeMayHaveDoneIt(status: Int, code: String) {
    #expect(FlushRule.reading(answer(status, code, mayBeDone: true)) == .look)
    #expect(FlushRule.reading(answer(status, code)) == .refused)
  }

  @Test(arguments: [
    "LeaseIdMissing", "LeaseIdMismatchWithBlobOperation", "LeaseLost", "LeaseNotPresentWithBlobOperation",
  ])
  func aLostLeaseIsNeverTakenForSuccess(code: String) {
    #expect(FlushRule.reading(answer(412, code, mayBeDone: true)) == .refused)
  }

  @Test func onlyTheVeryLengthIsDone() {
    #expect(FlushRule.isDone(found: 10, wanted: 10))
    #expect(!FlushRule.isDone(found: 11, wanted: 10) && !FlushRule.isDone(found: 9, wanted: 10))
    #expect(!FlushRule.isDone(found: nil, wanted: 0))
  }

  // MARK: Rename

  @Test func steps() {
    #expect(RenameRule.step(answer(201)) == .done)
    #expect(RenameRule.step(answer(404, "SourcePathNotFound")) == .look)
    #expect(RenameRule.step(answer(404, "RenameDestinationParentPathNotFound")) == .makeFolder)
    #expect(RenameRule.step(answer(409, "PathAlreadyExists")) == .look)
    #expect(RenameRule.step(answer(412, "SourceConditionNotMet")) == .changed)
    #expect(RenameRule.step(answer(412, "ConditionNotMet")) == .look)
    #expect(RenameRule.step(answer(409, "InvalidRenameSourcePath")) == .refused)
    #expect(RenameRule.step(answer(404, "FilesystemNotFound")) == .refused)
    #expect(RenameRule.step(answer(412, "LeaseIdMissing")) == .refused)
  }

  @Test func theTargetIsOursByItsETag() {
    func outcome(_ gone: Bool, _ target: String?) -> RenameRule.Outcome {
      RenameRule.outcome(expected: "\"0x1\"", isSourceGone: gone, target: target)
    }
    #expect(outcome(true, "\"0x1\"") == .renamed && outcome(true, "0x1") == .renamed)
    #expect(outcome(true, "\"0x2\"") == .sourceMissing && outcome(true, nil) == .sourceMissing)
    #expect(outcome(false, "\"0x2\"") == .targetExists && outcome(false, nil) == .changed)
  }

  // MARK: Fence, properties

  @Test func conditionalWrites() {
    #expect(ConditionalWriteRule.reading(answer(201)) == .done)
    for (status, code) in [(409, "BlobAlreadyExists"), (412, "ConditionNotMet"), (404, "BlobNotFound")] {
      #expect(ConditionalWriteRule.reading(answer(status, code)) == .look)
    }
    for (status, code) in [(404, "ContainerNotFound"), (412, "LeaseIdMissing"), (403, "AuthenticationFailed")] {
      #expect(ConditionalWriteRule.reading(answer(status, code)) == .refused)
    }
    #expect(ConditionalWriteRule.isOurs(foundMark: "m", mark: "m"))
    #expect(!ConditionalWriteRule.isOurs(foundMark: nil, mark: "m"))
  }

  @Test func propertiesSetTwice() {
    #expect(PropertiesRule.reading(answer(200)) == .done)
    #expect(PropertiesRule.reading(answer(412, "ConditionNotMet", mayBeDone: true)) == .look)
    #expect(PropertiesRule.reading(answer(412, "ConditionNotMet")) == .refused)
    #expect(PropertiesRule.isDone(found: ["a": "1"], wanted: ["a": "1"]))
    #expect(!PropertiesRule.isDone(found: ["a": "2"], wanted: ["a": "1"]))
    #expect(!PropertiesRule.isDone(found: nil, wanted: ["a": "1"]))
  }

  // MARK: Leases

  @Test func leases() {
    #expect(LeaseRule.reading(.acquire, answer(201)) == .outcome(.held))
    #expect(LeaseRule.reading(.acquire, answer(409, "LeaseAlreadyPresent")) == .outcome(.heldByOther))
    #expect(LeaseRule.reading(.acquire, answer(404, "BlobNotFound")) == .outcome(.noFile))
    #expect(LeaseRule.reading(.acquire, answer(404, "ContainerNotFound")) == .refused)
    #expect(LeaseRule.reading(.renew, answer(409, "LeaseIdMismatchWithLeaseOperation")) == .outcome(.heldByOther))
    #expect(LeaseRule.reading(.break, answer(409, "LeaseNotPresentWithLeaseOperation")) == .outcome(.heldByOther))
    let mismatch = "LeaseIdMismatchWithLeaseOperation"
    #expect(LeaseRule.reading(.change, answer(409, mismatch)) == .outcome(.heldByOther))
    #expect(LeaseRule.reading(.change, answer(409, mismatch, mayBeDone: true)) == .tryNewID)
    for action in LeaseRule.Action.allCases {
      #expect(LeaseRule.reading(action, answer(403, "AuthorizationPermissionMismatch")) == .refused)
    }
  }

  // MARK: Listings

  @Test func listings() {
    let body = #"""
      {"paths":[{"name":"a","isDirectory":"true","etag":"1"},{"name":"a/b c.jsonl","contentLength":"17","etag":"2"},
      {"contentLength":5,"name":"c","etag":"3","owner":"$superuser"}]}
      """#
    #expect(
      AzureListing.entries(Array(body.utf8)) == [
        ListedObject(key: "a", size: 0, etag: "1", isFolder: true),
        ListedObject(key: "a/b c.jsonl", size: 17, etag: "2"),
        ListedObject(key: "c", size: 5, etag: "3"),
      ])
    for bad in ["", "{}", #"{"paths":[{"name":"a"}]}"#, #"{"paths":[{"contentLength":"1"}]}"#, #"{"paths":3}"#] {
      #expect(AzureListing.entries(Array(bad.utf8)) == nil)
    }
  }
}
