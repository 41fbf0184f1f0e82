internal import NebulaCore
internal import NebulaFormats

/// What every copied row has in common.
struct SnapshotStamp: Sendable {
  /// T0's token.
  var token: String
  var sequence: ChangeSequence
  /// What is read must not be older than this cluster time; 0: no such time is known.
  var readAfter: UInt64
  /// Milliseconds since 1970.
  var time: Int64 { Int64(sequence.clusterTime >> 32) * 1000 }
}

/// Turns an answer of `find` into a batch of copied rows. The keys `{_id: …}` and T0's token are no part of an answer,
/// so they are written behind it, into the same buffer.
struct SnapshotRows {
  private var rows: [(document: Range<Int>, id: Range<Int>)] = []
  private var bad: [(document: Range<Int>, problem: BSONProblem)] = []
  /// Where the last readable `_id` stands, of whichever document.
  private var last: Range<Int>?

  /// Finds the documents in the array at `list`. A document whose `_id` is `known` was delivered, or rejected, before.
  init(_ bytes: UnsafeRawBufferPointer, _ list: Range<Int>, known: [UInt8]?) throws(MongoFailure) {
    do {
      var reader = try BSONReader(UnsafeRawBufferPointer(rebasing: bytes[list]))
      while let element = try reader.next() {
        let document = list.lowerBound + element.value.lowerBound..<list.lowerBound + element.value.upperBound
        take(UnsafeRawBufferPointer(rebasing: bytes[document]), document, known)
      }
    } catch {
      throw MongoFailure(origin: .reply, message: "an answer can't be read: \(error.message)")
    }
  }

  private mutating func take(_ bytes: UnsafeRawBufferPointer, _ document: Range<Int>, _ known: [UInt8]?) {
    var problem = BSON.validate(bytes)
    let id = BSON.find("_id", in: bytes).map { $0.name.lowerBound - 1..<$0.value.upperBound }
    if let id, problem == nil || Self.key(bytes[id]).withUnsafeBytes({ BSON.validate($0) }) == nil {
      if let known, last == nil, known.dropFirst(4).dropLast().elementsEqual(bytes[id]) { return }
      last = document.lowerBound + id.lowerBound..<document.lowerBound + id.upperBound
    } else {
      problem = problem ?? BSONProblem(offset: 0, reason: "a stored document without _id")
    }
    if let problem {
      bad.append((document, problem))
    } else if let last {
      rows.append((document, last))
    }
  }

  /// The batch, and the last key in it: that of a rejected document too, so that it is not met again.
  func draft(
    _ buffer: OwnedBuffer, of namespace: Namespace, _ stamp: SnapshotStamp, _ reservation: MemoryBudget.Reservation?
  ) -> (draft: Draft, lastKey: [UInt8]?) {
    var buffer = buffer
    let keys = rows.reduce(0) { $0 + $1.id.count + 5 }
    let start = buffer.grow(by: keys + stamp.token.utf8.count)
    let whole = UnsafeMutableRawBufferPointer(start: buffer.base, count: buffer.count)
    var columns = Draft(SharedBytes(copying: []))
    columns.reserve(rows.count)
    let index = columns.namespaces.index(of: namespace)
    let token = ByteRange(UInt32(start + keys), UInt32(buffer.count))
    var end = start
    for row in rows {
      let key = ByteRange(UInt32(end), UInt32(end + row.id.count + 5))
      end = Self.writeKey(row.id, at: end, in: whole)
      columns.add(ByteRange(UInt32(row.document.lowerBound), UInt32(row.document.upperBound)), key, token, index, stamp)
    }
    UnsafeMutableRawBufferPointer(rebasing: whole[end...]).copyBytes(from: stamp.token.utf8)
    columns.bytes = buffer.share(reservation)
    for (document, problem) in bad {
      columns.reject(
        ByteRange(UInt32(document.lowerBound), UInt32(document.upperBound)),
        problem.error(at: .init(path: namespace.description)))
    }
    let lastKey = last.map { Self.key(columns.bytes.base[$0]) }
    return (columns, lastKey)
  }

  /// The document `{_id: …}`.
  private static func key(_ id: Slice<UnsafeRawBufferPointer>) -> [UInt8] {
    BSONBuilder { $0.append(raw: id) }.document
  }

  /// Writes the document `{_id: …}`; returns where it ends.
  private static func writeKey(_ id: Range<Int>, at start: Int, in bytes: UnsafeMutableRawBufferPointer) -> Int {
    let length = id.count + 5
    bytes.storeBytes(of: UInt32(length).littleEndian, toByteOffset: start, as: UInt32.self)
    UnsafeMutableRawBufferPointer(rebasing: bytes[(start + 4)...]).copyMemory(
      from: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[id]))
    bytes[start + length - 1] = 0
    return start + length
  }
}

extension Draft {
  /// Adds a copied row.
  fileprivate mutating func add(
    _ document: ByteRange, _ key: ByteRange, _ token: ByteRange, _ namespace: UInt32, _ stamp: SnapshotStamp
  ) {
    records.append(document)
    changes.operations.append(.snapshot)
    changes.namespaces.append(namespace)
    changes.eventTimes.append(stamp.time)
    changes.sequences.append(stamp.sequence)
    changes.tokens.append(token)
    changes.keys.append(key)
    changes.documents.append(document)
    changes.befores.append(.absent)
    changes.updates.append(.absent)
  }
}
