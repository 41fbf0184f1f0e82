internal import NebulaHTTP

/// The id of a lease: a GUID made from pipeline, generation and the session in the process, so that a later one knows
/// the ids of those before it, and requests of an ended session, still on their way, are refused.
struct LeaseName: Sendable, Hashable {
  let pipeline: String
  let generation: UInt64
  /// Counts the times that the destination was opened in this process, from 0.
  let session: UInt64

  var id: String {
    let digest = Crypto.sha256("nebula-swift\n\(pipeline)\n\(generation)\n\(session)")
    var bytes = Array(digest.prefix(16))
    bytes[6] = bytes[6] & 0x0F | 0x80  // a GUID of version 8: made by its own rule
    bytes[8] = bytes[8] & 0x3F | 0x80
    let hex = Crypto.hex(bytes)
    var text = ""
    for (index, digit) in hex.enumerated() {
      if [8, 12, 16, 20].contains(index) { text += "-" }
      text.append(digit)
    }
    return text
  }
}
