internal import CMongoc
internal import NebulaCore
internal import NebulaFormats

/// A server's answer: one BSON document in a buffer of libbson's, freed with this object unless it is taken.
final class Reply {
  private(set) var base: UnsafeMutablePointer<UInt8>?
  let count: Int

  /// Takes the buffer over.
  init(_ base: UnsafeMutablePointer<UInt8>?, count: UInt32) {
    self.base = base
    self.count = base == nil ? 0 : Int(count)
  }
  deinit { bson_free(base) }

  /// The document; valid as long as this object lives and nobody took the buffer.
  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }

  /// Hands the buffer over.
  func share(_ reservation: MemoryBudget.Reservation?) -> SharedBytes { take().share(reservation) }

  /// Hands the buffer over to be grown.
  func take() -> OwnedBuffer {
    defer { base = nil }
    return OwnedBuffer(base: base, count: count)
  }

  /// Calls `body` with the element at `path`, which lives no longer than the call.
  func with<R>(_ path: StaticString..., body: (BSONElement) -> R?) -> R? {
    withExtendedLifetime(self) {
      var document = bytes
      for name in path.dropLast() {
        guard let inner = BSON.find(name, in: document)?.subdocument else { return nil }
        document = inner
      }
      return path.last.flatMap { BSON.find($0, in: document) }.flatMap(body)
    }
  }
  func text(_ name: StaticString) -> String? { with(name) { $0.stringText } }
  func texts(_ name: StaticString) -> [String]? {
    with(name) { $0.subdocument.map { list in elements(of: list).compactMap(\.stringText) } }
  }
  func integer(_ name: StaticString) -> Int64? { with(name) { $0.integer } }

  /// The time of the newest operation that the server knows of.
  var operationTime: UInt64? {
    with("operationTime") { $0.timestamp } ?? with("$clusterTime", "clusterTime") { $0.timestamp }
  }
  /// The cursor's id; 0 when it is exhausted.
  var cursorID: Int64 { with("cursor", "id") { $0.integer } ?? 0 }
  /// The collection to name in getMore.
  var cursorCollection: String? {
    with("cursor", "ns") { $0.stringText }.map { name in
      name.firstIndex(of: ".").map { String(name[name.index(after: $0)...]) } ?? name
    }
  }
  /// Where the array of documents stands in `bytes`; nil when the reply has none.
  var batch: Range<Int>? { with("cursor", "nextBatch", body: range) ?? with("cursor", "firstBatch", body: range) }
  /// The documents of the batch, copied.
  var documents: [[UInt8]] {
    batch.map { batch in
      withExtendedLifetime(self) {
        elements(of: UnsafeRawBufferPointer(rebasing: bytes[batch])).compactMap { $0.subdocument.map(Array.init) }
      }
    } ?? []
  }
  var postBatchResumeToken: [UInt8]? {
    with("cursor", "postBatchResumeToken") { $0.subdocument.map { Array($0) } }
  }

  private func range(of list: BSONElement) -> Range<Int>? {
    guard let inner = list.subdocument, let start = inner.baseAddress, let base = bytes.baseAddress else { return nil }
    return start - base..<start - base + inner.count
  }
}

/// A buffer of libbson's that somebody must free.
struct OwnedBuffer {
  var base: UnsafeMutablePointer<UInt8>?
  var count: Int

  /// Makes room for `extra` bytes at the end and returns where they start.
  mutating func grow(by extra: Int) -> Int {
    let start = count
    base = bson_realloc(base, start + extra)?.assumingMemoryBound(to: UInt8.self)
    count += extra
    return start
  }

  /// Makes it immutable; it is freed with the last reference. The reservation may be shared: it ends with the last
  /// buffer that holds it.
  func share(_ reservation: MemoryBudget.Reservation?) -> SharedBytes {
    nonisolated(unsafe) let base = base
    return SharedBytes(adopting: UnsafeRawBufferPointer(start: base, count: count)) {
      bson_free(base)
      withExtendedLifetime(reservation) {}
    }
  }
}

/// The elements of a small document, for replies; stops where it is malformed.
func elements(of document: UnsafeRawBufferPointer) -> [BSONElement] {
  guard var reader = try? BSONReader(document) else { return [] }
  var elements: [BSONElement] = []
  while let element = try? reader.next() { elements.append(element) }
  return elements
}
