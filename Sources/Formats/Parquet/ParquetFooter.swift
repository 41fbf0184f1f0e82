internal import NebulaCore

/// What stands at the end of the file: the schema, and where each row group has its columns. Row groups are written down
/// as they end, so that a long file takes no more memory than its end has bytes.
final class ParquetFooter {
  private let groups = OutputBuffer(capacity: 1024)
  private var count = 0

  /// What a file begins and ends with.
  static func magic() -> OutputBuffer {
    let magic = OutputBuffer(capacity: 64)
    magic.append("PAR1")
    return magic
  }

  /// Starts a row group, whose columns the caller writes next.
  func beginGroup(columns: Int) -> ThriftWriter {
    var thrift = ThriftWriter(groups)
    thrift.begin()
    thrift.list(1, of: .structure, count: columns)
    return thrift
  }

  func endGroup(_ thrift: inout ThriftWriter, rows: Int, size: Int, packed: Int, at position: Int) {
    thrift.i64(2, Int64(size))
    thrift.i64(3, Int64(rows))
    thrift.i64(5, Int64(position))
    thrift.i64(6, Int64(packed))
    if let ordinal = Int16(exactly: count) { thrift.i16(7, ordinal) }
    thrift.end()
    count += 1
  }

  /// The end of the file, with the magic.
  func end(
    _ schema: ParquetSchema, rows: Int, metadata: [(key: String, value: String)]
  ) throws(NebulaError) -> OutputBuffer {
    let output = OutputBuffer(capacity: groups.count + 4096)
    var thrift = ThriftWriter(output)
    thrift.i32(1, 2)
    schema.write(2, to: &thrift)
    thrift.i64(3, Int64(rows))
    thrift.list(4, of: .structure, count: count)
    output.append(groups)
    if !metadata.isEmpty {
      thrift.list(5, of: .structure, count: metadata.count)
      for (key, value) in metadata {
        thrift.begin()
        thrift.text(1, key)
        thrift.text(2, value)
        thrift.end()
      }
    }
    thrift.text(6, "nebula-swift")
    // Each column in the order of its type: only then readers trust the smallest and largest values.
    thrift.list(7, of: .structure, count: schema.leaves.count)
    for _ in schema.leaves {
      thrift.begin()
      thrift.begin(1)
      thrift.end()
      thrift.end()
    }
    thrift.end()
    guard let size = Int32(exactly: output.count) else {
      throw NebulaError(
        .parquetTooLarge, "The end of the file has \(output.count) bytes; Parquet's have less than 2 GiB.",
        remedy: "Write smaller files, or larger row groups.")
    }
    withUnsafeBytes(of: UInt32(size).littleEndian) { output.append($0) }
    output.append("PAR1")
    return output
  }

  static func rowError(_ message: String) -> NebulaError {
    NebulaError(.parquetRow, message, remedy: "Report the defect.")
  }
}
