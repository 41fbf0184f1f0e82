import Glibc

/// The environment of this process, read once.
enum Environment {
  static let all: [String: String] = {
    var found: [String: String] = [:]
    var next = environ
    while let entry = next.pointee {
      let text = String(cString: entry)
      if let equals = text.firstIndex(of: "=") { found[String(text[..<equals])] = String(text[equals...].dropFirst()) }
      next += 1
    }
    return found
  }()
}
