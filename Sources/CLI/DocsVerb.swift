import FoundationEssentials
import NebulaCore

extension Verb {
  static var docs: Verb {
    Verb(
      name: "docs", summary: "Writes the pages of the docs that are made from the specifications.",
      usage: "docs DIR [--check]",
      options: [.init("--check", nil, "Write nothing; exit code 4 when a page is not what it should be.")], maxWords: 1,
      isHidden: true
    ) { arguments, console in
      guard let folder = arguments.words.first else { throw Arguments.error("Which folder?", "docs") }
      var stale: [String] = []
      for (path, text) in Documents.all(try ConnectorRegistry(builtinConnectors).all.map(\.specification)) {
        let file = "\(folder)/\(path)"
        guard (try? String(contentsOfFile: file, encoding: .utf8)) != text else { continue }
        stale.append(path)
        if arguments.has("--check") { continue }
        try FileManager.default.createDirectory(
          atPath: String(file[..<(file.lastIndex(of: "/") ?? file.startIndex)]), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: URL(filePath: file))
      }
      let isCheck = arguments.has("--check")
      for path in stale { console.line("\(isCheck ? "stale" : "written")  \(path)") }
      console.json(.object(["type": .text("docs"), "changed": .list(stale.map { .text($0) })]))
      return isCheck && !stale.isEmpty ? NebulaError.Exit.verification.rawValue : 0
    }
  }
}
