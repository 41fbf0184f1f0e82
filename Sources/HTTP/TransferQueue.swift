/// Which transfers run and which wait: at most so many at once to one host, each in the order of asking.
///
/// Waiting is done here and not inside curl, where a request's timeout would run meanwhile.
struct TransferQueue {
  let perHost: Int
  private var running: [UInt64: (transfer: Transfer, handle: UnsafeMutableRawPointer)] = [:]
  private var waiting: [Transfer] = []
  private var load: [String: Int] = [:]

  init(perHost: Int) { self.perHost = perHost }

  mutating func enqueue(_ transfer: Transfer) { waiting.append(transfer) }

  /// The first that may start; it counts as running from now on.
  mutating func next() -> Transfer? {
    guard let index = waiting.firstIndex(where: { load[$0.url.origin, default: 0] < perHost }) else { return nil }
    let transfer = waiting.remove(at: index)
    load[transfer.url.origin, default: 0] += 1
    return transfer
  }

  mutating func started(_ transfer: Transfer, _ handle: UnsafeMutableRawPointer) {
    running[transfer.id] = (transfer, handle)
  }

  mutating func failedToStart(_ transfer: Transfer) { leave(transfer) }

  /// Takes a transfer out, running or waiting.
  mutating func remove(_ id: UInt64) -> (Transfer, UnsafeMutableRawPointer?)? {
    if let (transfer, handle) = running.removeValue(forKey: id) {
      leave(transfer)
      return (transfer, handle)
    }
    guard let index = waiting.firstIndex(where: { $0.id == id }) else { return nil }
    return (waiting.remove(at: index), nil)
  }

  mutating func removeAll() -> [(Transfer, UnsafeMutableRawPointer?)] {
    let all = running.values.map { ($0.transfer, Optional($0.handle)) } + waiting.map { ($0, nil) }
    running = [:]
    waiting = []
    load = [:]
    return all
  }

  private mutating func leave(_ transfer: Transfer) {
    let left = load[transfer.url.origin, default: 1] - 1
    load[transfer.url.origin] = left > 0 ? left : nil
  }
}
