internal import NebulaCore
internal import NebulaFormats

/// Turns the server's answers into batches: every event a slice of the answer's own buffer; only large events that
/// came in fragments are put together anew.
struct EventReader {
  /// A run of events that ends where one can resume.
  struct Run: Sendable {
    var draft: Draft
    var through: StreamStart
    var sequence: SequenceState
  }

  /// Continued from the position.
  private(set) var sequence: SequenceState
  /// The place right after the last whole event.
  private(set) var last: StreamStart
  /// The cluster time of the newest event seen.
  private(set) var newestTime: UInt64 = 0
  private var assembler = FragmentAssembler()
  /// For events without a namespace.
  private let scope: Namespace
  private var usualCount = 0

  init(scope: Namespace, from start: StreamStart, sequence: SequenceState) {
    self.scope = scope
    self.sequence = sequence
    last = start
  }

  /// Bytes of fragments that wait for their last one.
  var pendingBytes: Int { assembler.count }

  /// The cursor was opened anew after the last whole event: fragments come again from the first.
  mutating func reopened(at start: StreamStart) {
    assembler.reset()
    last = start
  }

  /// An answer without events still says where the server stands.
  mutating func settled(at end: StreamStart) { if !assembler.isPending { last = end } }

  /// The events in the array at `list` of `bytes`. `end` is where the server stands after them, if it says so.
  mutating func read(
    _ bytes: SharedBytes, _ list: Range<Int>, end: StreamStart?, _ reservation: MemoryBudget.Reservation?
  ) throws(MongoFailure) -> (runs: [Run], events: Int) {
    var runs: [Run] = []
    var draft = Draft(bytes)
    var token = ByteRange.absent
    var events = 0
    draft.reserve(min(usualCount, list.count / 100))
    let before = self
    do {
      var reader = try BSONReader(UnsafeRawBufferPointer(rebasing: bytes.base[list]))
      while let element = try reader.next() {
        events += 1
        let range = ByteRange(
          UInt32(list.lowerBound + element.value.lowerBound), UInt32(list.lowerBound + element.value.upperBound))
        let (event, isGood) = accept(range, into: &draft)
        if let fragment = event.fragment {
          guard isGood else { continue }
          let part = bytes.base.slice(range)
          guard let whole = try assembler.add(part, number: fragment.number, of: fragment.total) else { continue }
          close(&draft, token, &runs)
          runs.append(assembled(whole, reservation))
          token = .absent
        } else {
          assembler.pass()
          token = place(after: event, isGood, in: draft) ?? token
          if isGood { add(event, range, to: &draft) }
        }
      }
    } catch let failure as MongoFailure {
      self = before
      throw failure
    } catch {
      self = before
      throw MongoFailure(origin: .reply, message: "an answer can't be read: \((error as? NebulaError)?.message ?? "")")
    }
    usualCount = max(usualCount, draft.records.count)
    close(&draft, token, &runs)
    if let end, !assembler.isPending { settle(at: end, &runs) }
    return (runs, events)
  }

  /// The server's own place behind the last event is further on than the event's token.
  private mutating func settle(at end: StreamStart, _ runs: inout [Run]) {
    last = end
    if !runs.isEmpty { runs[runs.count - 1].through = end }
  }

  /// Ends a run at the event with `token`.
  private mutating func close(_ draft: inout Draft, _ token: ByteRange, _ runs: inout [Run]) {
    if !token.isEmpty { last = .token(Array(draft.bytes.base.slice(token))) }
    guard !draft.isEmpty else { return }
    runs.append(Run(draft: draft, through: last, sequence: sequence))
    draft = Draft(draft.bytes)
  }

  /// The token of an event, also of a rejected one where it can be read: that is not to be met again.
  private func place(after event: ChangeEvent, _ isGood: Bool, in draft: Draft) -> ByteRange? {
    guard !event.token.isEmpty, isGood || BSON.validate(draft.bytes.base.slice(event.token)) == nil else { return nil }
    return event.token
  }

  /// The event at `range`, and false when it was rejected.
  private func accept(_ range: ByteRange, into draft: inout Draft) -> (ChangeEvent, isGood: Bool) {
    var event = ChangeEvent()
    let bytes = draft.bytes.base
    let isReadable = (try? event.read(bytes, range)) != nil
    // The whole event is looked at once it is together: a part of one can't be rejected.
    if isReadable, event.fragment != nil { return (event, true) }
    if let problem = BSON.validate(bytes.slice(range)) {
      draft.reject(range, problem.error(at: place(of: event, in: bytes)))
      return (event, false)
    }
    guard !event.token.isEmpty, !event.operation.isEmpty else {
      let error = NebulaError.mongo(
        .mongoUnknownEvent, "A change event has no \(event.token.isEmpty ? "token" : "operation").",
        at: place(of: event, in: bytes), disposition: .reject)
      draft.reject(range, error)
      return (event, false)
    }
    return (event, true)
  }

  private func place(of event: ChangeEvent, in bytes: UnsafeRawBufferPointer) -> NebulaError.Place {
    let token = event.tokenText.isEmpty ? nil : String(decoding: bytes.slice(event.tokenText), as: UTF8.self)
    return NebulaError.Place(path: scope.description, key: token)
  }

  private mutating func add(_ event: ChangeEvent, _ range: ByteRange, to draft: inout Draft) {
    let bytes = draft.bytes.base
    guard let operation = Operation.read(bytes.slice(event.operation), &draft.changes.otherOperations) else {
      draft.reject(
        range,
        .mongo(
          .mongoUnknownEvent, "More than 128 unknown kinds of events in one answer.", at: place(of: event, in: bytes),
          disposition: .reject))
      return
    }
    newestTime = max(newestTime, event.clusterTime ?? 0)
    draft.records.append(range)
    draft.changes.operations.append(operation)
    draft.changes.namespaces.append(
      draft.namespaces.index(ofDocument: event.namespace, in: bytes) ?? draft.namespaces.index(of: scope))
    draft.changes.eventTimes.append(event.time)
    draft.changes.sequences.append(sequence.take(event.clusterTime))
    draft.changes.tokens.append(event.tokenText.isEmpty ? event.token : event.tokenText)
    draft.changes.keys.append(event.key)
    draft.changes.documents.append(event.document)
    draft.changes.befores.append(event.before)
    draft.changes.updates.append(operation.rawValue < 128 ? event.update : range)
  }

  /// A run of one event, in a buffer of its own.
  private mutating func assembled(_ whole: [UInt8], _ reservation: MemoryBudget.Reservation?) -> Run {
    var draft = Draft(whole.withUnsafeBytes { SharedBytes(copying: $0) }.keeping(reservation))
    let range = ByteRange(0, UInt32(whole.count))
    let (event, isGood) = accept(range, into: &draft)
    if let token = place(after: event, isGood, in: draft) { last = .token(Array(draft.bytes.base.slice(token))) }
    if isGood { add(event, range, to: &draft) }
    return Run(draft: draft, through: last, sequence: sequence)
  }
}

extension Draft {
  /// Sends the bytes at `range` to the dead letters.
  mutating func reject(_ range: ByteRange, _ error: NebulaError) {
    rejected.append(RejectedRecord(error, payload: Array(bytes.base.slice(range)), format: .bson))
  }
}

extension SharedBytes {
  /// The same bytes, holding `reservation` as long as they live.
  func keeping(_ reservation: MemoryBudget.Reservation?) -> SharedBytes {
    SharedBytes(adopting: base) { withExtendedLifetime((self, reservation)) {} }
  }
}
