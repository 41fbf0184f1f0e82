internal import NebulaCore
internal import NebulaFormats
internal import NebulaHTTP

/// `_nebula/<pipeline>/fence`: the newest writer, and the last epoch whose commit was begun and ended. Changed by
/// compare-and-swap only.
struct Fence: Sendable, Hashable {
  var generation: UInt64
  /// Tells two processes of one generation apart: a state folder that was copied.
  var writer: String
  /// The last epoch whose commit was begun.
  var last: EpochID?
  /// The last epoch all of which is visible (layout files).
  var done: EpochID?

  var encoded: [UInt8] {
    let output = OutputBuffer()
    output.append(utf8: "{\"version\":1,\"generation\":\(generation),\"writer\":\"\(writer)\"")
    if let last { output.append(utf8: ",\"last_epoch\":\"\(last)\"") }
    if let done { output.append(utf8: ",\"done_epoch\":\"\(done)\"") }
    output.append("}\n")
    return output.array
  }

  init(generation: UInt64, writer: String, last: EpochID? = nil, done: EpochID? = nil) {
    (self.generation, self.writer, self.last, self.done) = (generation, writer, last, done)
  }

  init(_ bytes: [UInt8], at key: String) throws(NebulaError) {
    guard let value = try? JSONValue(parsing: bytes), value["version"]?.integer == 1,
      let generation = value["generation"]?.integer, generation >= 0, let writer = value["writer"]?.string
    else {
      throw NebulaError(
        .adlsBadFence, "The fence of the pipeline can't be read.",
        remedy: "Look at the file; find out who changed it.", at: .init(path: key))
    }
    self.generation = UInt64(generation)
    self.writer = writer
    last = value["last_epoch"]?.string.flatMap(EpochID.init(text:))
    done = value["done_epoch"]?.string.flatMap(EpochID.init(text:))
  }

  /// What `open` does about the fence that it found.
  enum Opening: Sendable, Hashable {
    /// Put this in its place.
    case take(Fence)
    /// It was changed by a writer that this state knows nothing of.
    case behind(String)
  }
  /// `known` is the last epoch whose commit this state folder knows to have been begun.
  static func opening(_ found: Fence?, as lease: Lease, writer: String, known: EpochID?) -> Opening {
    guard let found else { return .take(Fence(generation: lease.generation, writer: writer)) }
    if found.generation > lease.generation {
      return .behind("generation \(found.generation) has written, and the state is at \(lease.generation)")
    }
    if found.generation == lease.generation, found.writer != writer {
      return .behind("another process of generation \(found.generation) has written")
    }
    if let last = found.last, last > known ?? EpochID(generation: 0, sequence: 0) {
      return .behind("epoch \(last) was written, and the last that the state knows is \(known?.description ?? "none")")
    }
    var taken = found
    (taken.generation, taken.writer) = (lease.generation, writer)
    return .take(taken)
  }
}

extension EpochID {
  /// Reads its description.
  init?(text: String) {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 2, let generation = UInt64(parts[0]), let sequence = UInt64(parts[1]) else { return nil }
    self.init(generation: generation, sequence: sequence)
  }
}
