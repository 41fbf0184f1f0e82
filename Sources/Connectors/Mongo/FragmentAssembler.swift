internal import NebulaCore
internal import NebulaFormats

/// Puts the fragments of `$changeStreamSplitLargeEvent` together again. While some are pending, the position is that
/// of the last whole event.
struct FragmentAssembler {
  private var pending: [[UInt8]] = []
  private var expected = 0
  /// The position is never inside an event, but its last event, looked up anew, may be split into more fragments than
  /// before: then the server goes on with the rest of an event that was delivered whole.
  private var mayBeRest = true

  var isPending: Bool { !pending.isEmpty }
  /// Bytes held.
  var count: Int { pending.reduce(0) { $0 + $1.count } }

  mutating func reset() {
    pending = []
    expected = 0
    mayBeRest = true
  }

  /// An event came that is not split.
  mutating func pass() { mayBeRest = false }

  /// Takes fragment `number` (from 1) of `total`; the whole event once it is the last.
  mutating func add(_ fragment: UnsafeRawBufferPointer, number: Int, of total: Int) throws(MongoFailure) -> [UInt8]? {
    if mayBeRest, pending.isEmpty, number > 1, number <= total { return nil }
    mayBeRest = false
    guard number == pending.count + 1, number <= total, pending.isEmpty || total == expected else {
      let seen = pending.count
      reset()
      throw MongoFailure(
        origin: .reply, message: "fragment \(number) of \(total) of a split event came after \(seen) of its fragments")
    }
    expected = total
    pending.append(Array(fragment))
    guard number == total else { return nil }
    defer {
      reset()
      mayBeRest = false
    }
    return merged()
  }

  /// All fields but `splitEvent`; `_id` is the last fragment's, which is the one to resume after.
  private func merged() -> [UInt8] {
    var event = BSONBuilder()
    for (index, fragment) in pending.enumerated() {
      fragment.withUnsafeBytes { bytes in
        for element in elements(of: bytes) where !element.isNamed("splitEvent") {
          if element.isNamed("_id"), index != pending.count - 1 { continue }
          event.append(raw: element)
        }
      }
    }
    return event.document
  }
}

extension BSONBuilder {
  /// An element as it stands in another document.
  mutating func append(raw element: BSONElement) {
    append(raw: element.document[element.name.lowerBound - 1..<element.value.upperBound])
  }
}
