internal import NebulaCore

extension Pipeline {
  /// Where a session starts reading.
  struct Start: Sendable {
    var position: Position?
    var tail: EpochID?
    var pin: Pin?
  }

  /// Gives every stored intent its receipt or drops it, oldest first; then tells the last receipt once more.
  func recover(_ state: PipelineState, _ lease: Lease) async throws -> Start {
    let letters = (state.intents + [state.last?.intent].compactMap(\.self)).compactMap(\.deadLetters)
    try await parts.deadLetters.sweep(keeping: letters + lettersInDoubt, through: lease.generation)
    var start = Start(position: state.last?.position, tail: state.last?.receipt.id, pin: state.pin)
    try await retell(state.last)
    for (index, intent) in state.intents.enumerated() {
      let settlement = try await settle(intent, askingFirst: true, lease)
      guard case .receipt(let receipt, let settled) = settlement else {
        start.pin = try await drop(state.intents[index...], settlement, lease) ?? start.pin
        break
      }
      try await finish(settled, receipt, lease)
      start = Start(position: intent.through, tail: intent.id, pin: nil)
    }
    if start.pin != nil, !parts.source.traits.rereadsExactly { throw Self.pinNeedsExactReread }
    return start
  }

  private static var pinNeedsExactReread: NebulaError {
    NebulaError(
      "pipeline.pin_needs_exact_reread",
      "Parts of an epoch are visible and the others are gone; this source can't read exactly that epoch again.",
      remedy: "Look at the destination, put back what is missing there, or `nebula-swift state reset` to start over.")
  }

  /// The process may have died between the receipt and what follows it: both may be done again.
  private func retell(_ last: Checkpoint?) async throws {
    guard let last else { return }
    if let file = last.intent.deadLetters { try await parts.deadLetters.publishAgain(file) }
    try await parts.source.acknowledge(through: DurablePosition(storing: last))
  }

  /// Drops an epoch that is gone, and all later ones with it: their records come again, in new epochs. Their staged
  /// data is destroyed first, so that nobody can commit them any more (Invariant 7b).
  private func drop(
    _ intents: ArraySlice<Intent>, _ settlement: Settlement, _ lease: Lease
  ) async throws -> Pin? {
    guard let first = intents.first else { return nil }
    for intent in intents.dropFirst() { try await destroy(intent, behind: first) }
    if first.prepared?.isEmpty == false { try await parts.destination.abort(first.id, first.prepared) }
    var done = first.done
    if case .partial(let units) = settlement { done.merge(units) { old, _ in old } }
    let pin = done.isEmpty ? nil : Pin(from: first.from, through: first.through, done: done)
    parts.crash.pass("dropping-intents")
    try await parts.store.drop(from: first.id, pin: pin, under: lease)
    if pin != nil { parts.crash.pass("after-pin") }
    for intent in intents { try await parts.deadLetters.discard(intent.id) }
    return pin
  }

  private func destroy(_ intent: Intent, behind first: Intent) async throws {
    guard let prepared = intent.prepared, !prepared.isEmpty else { return }
    if case .ready = try await parts.destination.recover(prepared) {
      try await parts.destination.abort(intent.id, prepared)
    }
    let fate = try await parts.destination.recover(prepared)
    guard fate == .gone else {
      throw NebulaError(
        .gap, "Epoch \(first.id) is gone, but epoch \(intent.id) behind it is not (\(fate)).",
        remedy:
          "Somebody changed the destination or its staged files. Look at both epochs there; `nebula-swift state show` lists them."
      )
    }
  }
}
