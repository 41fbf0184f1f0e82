internal import NebulaCore
internal import NebulaHTTP

/// How an object is cut into parts.
struct PartPlan: Sendable {
  struct Part: Sendable {
    /// Counted from 0.
    let index: Int
    let offset: Int
    let length: Int
  }
  let parts: [Part]

  /// Parts of `partSize`, or larger when there would be more than `maxParts`.
  init(size: Int, partSize: Int, maxParts: Int) {
    let needed = (size + maxParts - 1) / maxParts
    let length = max(partSize, needed, 1)
    parts = stride(from: 0, to: size, by: length).enumerated().map { index, offset in
      Part(index: index, offset: offset, length: min(length, size - offset))
    }
  }

  /// Uploads all parts, at most `parallel` at once; what each came to, in their order. The first failure cancels the
  /// others and is thrown.
  func upload<Result: Sendable>(
    parallel: Int, _ upload: @escaping @Sendable (Part) async throws -> Result
  ) async throws -> [Result] {
    try await withThrowingTaskGroup(of: (Int, Result).self) { group in
      var waiting = parts.makeIterator()
      var results: [Int: Result] = [:]
      for _ in 0..<parallel {
        guard let part = waiting.next() else { break }
        group.addTask { (part.index, try await upload(part)) }
      }
      while let (index, result) = try await group.next() {
        results[index] = result
        if let part = waiting.next() { group.addTask { (part.index, try await upload(part)) } }
      }
      return parts.compactMap { results[$0.index] }
    }
  }
}

extension HTTPBody {
  /// A piece of it, without a copy where the bytes are shared.
  func slice(_ part: PartPlan.Part) -> HTTPBody {
    let range = part.offset..<part.offset + part.length
    switch self {
    case .none: return .none
    case .bytes(let bytes): return .bytes(Array(bytes[range]))
    case .shared(let bytes):
      return .shared(SharedBytes(adopting: UnsafeRawBufferPointer(rebasing: bytes.base[range])) { _ = bytes })
    case .file(let path, let offset, _): return .file(path: path, offset: offset + part.offset, length: part.length)
    }
  }
}

extension ObjectUpload {
  /// What a part's request says of its body. A store verifies the checksum of what one request carries and of nothing
  /// more, so where checksums are asked for each part needs its own; else a damaged part would be taken.
  func headers(ofPart body: HTTPBody) throws(NebulaError) -> HTTPHeaders {
    contentMD5 == nil ? [:] : ["Content-MD5": Crypto.base64(try body.md5())]
  }
}
