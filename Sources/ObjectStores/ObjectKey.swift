internal import NebulaCore

/// What S3 and Google Cloud Storage take as a name.
enum ObjectKey {
  static func checked(_ key: String) throws(NebulaError) -> String {
    guard !key.isEmpty, key.utf8.count <= 1024, !key.unicodeScalars.contains(where: { $0.value < 0x20 }) else {
      throw NebulaError(
        .objectsBadName, "A key is empty, longer than 1024 bytes or holds a control character.",
        remedy: "Change the path or the name of the object.", at: .init(path: key))
    }
    return key
  }
}
