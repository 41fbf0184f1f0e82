internal import CIsal

/// gzip by isa-l. Zero bytes behind a member are padding (tape blocks), as gzip has it.
///
/// Headers are read here: isa-l 2.30 misreads one with a name that comes in pieces.
final class IsalInflate: DecompressionEngine {
  private let state = UnsafeMutablePointer<inflate_state>.allocate(capacity: 1)
  private enum Phase { case start, between, header, body }
  private var phase = Phase.start
  private var header = GzipHeader()
  private(set) var hasMore = false
  var isBetweenMembers: Bool { phase == .start || phase == .between }

  init() { isal_inflate_init(state) }
  deinit { state.deallocate() }

  func step(_ bytes: UnsafeRawBufferPointer, into output: OutputBuffer) throws(Damage) -> Int {
    var at = 0
    if phase == .between {
      while at < bytes.count, bytes[at] == 0 { at += 1 }
    }
    if isBetweenMembers, at < bytes.count {
      phase = .header
      header = GzipHeader()
    }
    while phase == .header, at < bytes.count {
      if let reason = header.take(bytes[at]) { throw Damage(reason: reason, taken: at) }
      at += 1
      guard header.isComplete else { continue }
      isal_inflate_reset(state)
      state.pointee.crc_flag = UInt32(ISAL_GZIP_NO_HDR_VER)
      phase = .body
    }
    guard phase == .body, at < bytes.count || hasMore else { return at }
    return at + (try inflate(UnsafeRawBufferPointer(rebasing: bytes[at...].prefix(1 << 30)), after: at, into: output))
  }

  private func inflate(
    _ input: UnsafeRawBufferPointer, after skipped: Int, into output: OutputBuffer
  ) throws(Damage) -> Int {
    state.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
    state.pointee.avail_in = UInt32(input.count)
    var status: Int32 = 0
    output.withSpare(minimum: codecRoom) { room in
      state.pointee.next_out = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
      state.pointee.avail_out = UInt32(codecRoom)
      status = isal_inflate(state)
      hasMore = state.pointee.avail_out == 0
      return codecRoom - Int(state.pointee.avail_out)
    }
    let taken = input.count - Int(state.pointee.avail_in)
    guard status >= 0, status != ISAL_NEED_DICT else { throw Damage(reason: reason(status), taken: skipped + taken) }
    if state.pointee.block_state == ISAL_BLOCK_FINISH {
      phase = .between
      hasMore = false
    }
    return taken
  }

  private func reason(_ status: Int32) -> String {
    switch status {
    case ISAL_INVALID_BLOCK: "an invalid deflate block"
    case ISAL_INVALID_SYMBOL: "an invalid deflate symbol"
    case ISAL_INVALID_LOOKBACK: "a deflate distance before the start"
    case ISAL_INCORRECT_CHECKSUM: "the checksum differs"
    default: "isa-l status \(status)"
    }
  }
}

/// Reads a gzip member's header (RFC 1952, 2.3) byte by byte; the name and the like are passed over.
struct GzipHeader {
  private enum Part { case fixed, extraLength, extra, name, comment, checksum, complete }
  private var part = Part.fixed
  /// Bytes of this part so far.
  private var seen = 0
  private var flags: UInt8 = 0
  private var extra = 0

  var isComplete: Bool { part == .complete }

  /// Takes the next byte; a reason when it can't stand there.
  mutating func take(_ byte: UInt8) -> String? {
    if part == .fixed, let reason = problem(byte) { return reason }
    seen += 1
    switch part {
    case .fixed: if seen == 10 { enter(.extraLength) }
    case .extraLength:
      extra |= Int(byte) << ((seen - 1) * 8)
      if seen == 2 { enter(.extra) }
    case .extra: if seen == extra { enter(.name) }
    case .name: if byte == 0 { enter(.comment) }
    case .comment: if byte == 0 { enter(.checksum) }
    case .checksum: if seen == 2 { enter(.complete) }
    case .complete: break
    }
    return nil
  }

  private mutating func problem(_ byte: UInt8) -> String? {
    switch seen {
    case 0 where byte != 0x1F, 1 where byte != 0x8B: return "no gzip header where one must stand"
    case 2 where byte != 8: return "a compression method other than deflate"
    case 3 where byte & 0xE0 != 0: return "a gzip header with unknown flags"
    case 3: flags = byte
    default: break
    }
    return nil
  }

  /// Goes to the first part from `next` on that this header has.
  private mutating func enter(_ next: Part) {
    seen = 0
    part = next
    switch next {
    case .extraLength: if flags & 4 == 0 { enter(.name) }
    case .extra: if extra == 0 { enter(.name) }
    case .name: if flags & 8 == 0 { enter(.comment) }
    case .comment: if flags & 16 == 0 { enter(.checksum) }
    case .checksum: if flags & 2 == 0 { part = .complete }
    case .fixed, .complete: break
    }
  }
}
