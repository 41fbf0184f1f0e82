/// Opaque bytes by which a source resumes right after a record. The encoding is the source's own and versioned by it.
public struct Position: Sendable, Hashable, Codable {
  /// The source's encoding.
  public let bytes: [UInt8]
  /// Wraps the source's encoding.
  public init(_ bytes: [UInt8]) { self.bytes = bytes }
}

/// The lease's generation, then a number that only grows: no name made from it is ever used for other data.
public struct EpochID: Sendable, Hashable, Comparable, Codable, CustomStringConvertible {
  /// The generation of the lease under which the epoch was read.
  public let generation: UInt64
  /// Rises by one with every epoch that is opened, also after an abort; never reused.
  public let sequence: UInt64
  /// Makes an id.
  public init(generation: UInt64, sequence: UInt64) {
    self.generation = generation
    self.sequence = sequence
  }
  /// Orders by generation, then sequence.
  public static func < (a: Self, b: Self) -> Bool { (a.generation, a.sequence) < (b.generation, b.sequence) }
  /// `generation-sequence`, each padded to ten digits so that names made from it sort in commit order.
  public var description: String { "\(padded(generation, to: 10))-\(padded(sequence, to: 10))" }
}

/// `number` in decimal with leading zeros up to `width`; longer numbers are not cut.
public func padded(_ number: some FixedWidthInteger & UnsignedInteger, to width: Int) -> String {
  let digits = String(number)
  return String(repeating: "0", count: max(0, width - digits.count)) + digits
}

/// The right to write a pipeline, held by one process at a time.
public struct Lease: Sendable, Hashable, Codable {
  /// The pipeline's name.
  public let pipeline: String
  /// Grows with every acquisition; a higher one supersedes a lower one.
  public let generation: UInt64
  /// The newest epoch that the state had ever stored an intent of when the lease was taken. A destination that has seen a
  /// later one is ahead of this state, which is then an older copy. Nil where the store can't tell.
  public let lastEpoch: EpochID?
  /// Makes a lease.
  public init(pipeline: String, generation: UInt64, lastEpoch: EpochID? = nil) {
    self.pipeline = pipeline
    self.generation = generation
    self.lastEpoch = lastEpoch
  }
}
