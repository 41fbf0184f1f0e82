internal import NebulaHTTP

/// A name as a part of a stage's path: itself when every store takes it, else cleaned and told apart by a hash.
func pathName(_ name: String) -> String {
  let isSafe = name.utf8.allSatisfy(isPathSafe) && !name.hasPrefix(".") && !name.isEmpty && name.utf8.count <= 100
  if isSafe { return name }
  let clean = String(decoding: name.utf8.prefix(60).map { isPathSafe($0) ? $0 : UInt8(ascii: "_") }, as: UTF8.self)
  return "\(clean.drop { $0 == "." })-\(hexText(Crypto.sha256(name)).prefix(16))"
}

/// Lower-case hexadecimal.
func hexText(_ bytes: [UInt8]) -> String { Crypto.hex(bytes) }
