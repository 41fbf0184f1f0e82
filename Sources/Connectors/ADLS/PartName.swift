/// The names of one partition's growing files: `base.ext`, then `base-part-2.ext`, `base-part-3.ext` …
struct PartName: Sendable, Hashable {
  /// The whole name, folders included, without `-part-N` and extension.
  let base: String
  /// With its dot.
  let fileExtension: String

  /// The folder, and what names in it begin with.
  var folder: String { base.lastIndex(of: "/").map { String(base[..<$0]) } ?? "" }

  /// The name of a part, counted from 1.
  func key(_ part: Int) -> String { part == 1 ? base + fileExtension : "\(base)-part-\(part)\(fileExtension)" }

  /// The part that a name is; nil when it is none of this partition.
  func part(of key: String) -> Int? {
    guard key.hasPrefix(base), key.hasSuffix(fileExtension),
      key.utf8.count >= base.utf8.count + fileExtension.utf8.count
    else { return nil }
    let middle = key.dropFirst(base.count).dropLast(fileExtension.count)
    if middle.isEmpty { return 1 }
    guard middle.hasPrefix("-part-") else { return nil }
    let digits = middle.dropFirst("-part-".count)
    guard !digits.isEmpty, digits.allSatisfy({ $0.isASCII && $0.isNumber }), let part = Int(digits), part > 0 else {
      return nil
    }
    return part
  }

  /// The highest part among these names; 0 when there is none.
  func highest(in keys: some Sequence<String>) -> Int { keys.reduce(0) { max($0, part(of: $1) ?? 0) } }
}
