internal import NebulaCore
internal import Synchronization

/// Bytes of the budget that buffers hold together, given back from whichever reservation is the oldest.
final class HeldBytes: Sendable {
  private let held = Mutex<[MemoryBudget.Reservation]>([])

  func add(_ reservation: MemoryBudget.Reservation) { held.withLock { $0.append(reservation) } }

  /// Gives `bytes` back.
  func release(_ bytes: Int) {
    held.withLock { held in
      var left = bytes
      while left > 0, let first = held.first {
        let size = first.bytes
        first.shrink(to: max(0, size - left))
        left -= size
        if first.bytes == 0 { held.removeFirst() }
      }
    }
  }
  func releaseAll() {
    held.withLock { held in
      for reservation in held { reservation.release() }
      held = []
    }
  }
}
