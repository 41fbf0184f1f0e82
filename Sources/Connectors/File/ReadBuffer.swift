import Glibc
import NebulaCore

/// The memory a batch is read into: within the budget, one owner until `freeze` hands it to the batch.
final class ReadBuffer {
  private var base: UnsafeMutableRawPointer
  private(set) var capacity: Int
  private(set) var count = 0
  private var reservation: MemoryBudget.Reservation?
  private let budget: MemoryBudget
  private var isFrozen = false

  init(_ capacity: Int, _ budget: MemoryBudget) async throws {
    self.capacity = max(64, capacity)
    self.budget = budget
    reservation = try await budget.reserve(self.capacity, for: .input)
    base = try Self.allocated(malloc(self.capacity))
  }
  deinit { if !isFrozen { free(base) } }

  var isFull: Bool { count == capacity }
  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }
  var spare: UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: base + count, count: capacity - count)
  }
  func add(_ written: Int) { count += written }
  func append(_ more: [UInt8]) {
    more.withUnsafeBytes { spare.copyMemory(from: $0) }
    count += more.count
  }

  /// Doubles the room. What is held is given back before more is asked for, so that a record as large as the whole
  /// share passes, alone.
  func grow(atMost limit: Int) async throws {
    let larger = min(capacity * 2, max(limit, capacity + 4096))
    reservation?.release()
    reservation = nil
    reservation = try await budget.reserve(larger, for: .input)
    base = try Self.allocated(realloc(base, larger))
    capacity = larger
  }

  private static func allocated(_ pointer: UnsafeMutableRawPointer?) throws(NebulaError) -> UnsafeMutableRawPointer {
    guard let pointer else { throw systemError(ENOMEM, "Finding memory for", "a batch") }
    return pointer
  }

  /// Drops the first bytes.
  func removeFirst(_ dropped: Int) {
    if dropped < count { memmove(base, base + dropped, count - dropped) }
    count -= dropped
  }

  /// The first `length` bytes as they are; the buffer must not be used after.
  func freeze(_ length: Int) -> SharedBytes {
    isFrozen = true
    nonisolated(unsafe) let block = base
    let held = reservation
    return SharedBytes(adopting: UnsafeRawBufferPointer(start: block, count: length)) {
      free(block)
      held?.release()
    }
  }
}
