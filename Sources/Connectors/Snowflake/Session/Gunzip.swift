internal import NebulaCore
internal import NebulaFormats

/// Chunks may be gzip whatever their headers say.
enum Gunzip {
  static func ifNeeded(_ bytes: [UInt8]) throws(NebulaError) -> [UInt8] {
    guard bytes.count > 2, bytes[0] == 0x1F, bytes[1] == 0x8B else { return bytes }
    let output = OutputBuffer(capacity: bytes.count * 4)
    let codec = Decompressor(.gzip)
    let input = OutputBuffer(capacity: bytes.count)
    input.append(bytes)
    try input.withBytes { (raw) throws(NebulaError) in
      var rest = raw
      while !rest.isEmpty {
        try codec.write(UnsafeRawBufferPointer(rebasing: rest.prefix(64 << 10)), into: output)
        guard output.count <= 512 << 20 else {
          throw NebulaError(.badAnswer, "A chunk of a result is larger than 512 MiB.", remedy: "Report the defect.")
        }
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(64 << 10))
      }
    }
    try codec.finish()
    return output.array
  }
}
