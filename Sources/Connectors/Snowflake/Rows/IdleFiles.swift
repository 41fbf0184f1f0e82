internal import NebulaCore

/// What the files hold that are open and wait for more rows: with thousands of tables most of them hold a few rows each,
/// and closing one costs an upload and makes a file that loads slowly. So it is bytes that are bounded, and codecs.
struct IdleFiles {
  /// Rows in a file up to this are not reserved from the budget one file at a time, but bounded here.
  static let small = 64 << 10
  /// The rows of all of them together.
  static let mostBytes = 48 << 20
  /// Those with a codec, which has megabytes of its own.
  static let mostHeavy = 16
  /// What a file takes beside its rows, roughly: so about ten thousand may be open.
  static let overhead = 4 << 10

  private var bytes = 0
  private var heavy = 0

  mutating func add(_ file: FileWriter) { count(file, 1) }
  mutating func remove(_ file: FileWriter) { count(file, -1) }
  private mutating func count(_ file: FileWriter, _ sign: Int) {
    bytes += sign * (file.waitingBytes + Self.overhead)
    if file.isHeavy { heavy += sign }
  }

  /// Of what there is too much; nil when there is not.
  var surplus: Surplus? { heavy > Self.mostHeavy ? .heavy : bytes > Self.mostBytes ? .bytes : nil }

  enum Surplus {
    case heavy, bytes

    func takes(_ file: FileWriter) -> Bool { self == .bytes || file.isHeavy }
    /// The oldest heavy one goes first, or the one with the most rows: that makes the most room and the best file.
    func prefers(_ file: FileWriter, to other: FileWriter) -> Bool {
      switch self {
      case .heavy: file.isHeavy && file.opened < other.opened
      case .bytes: file.waitingBytes > other.waitingBytes
      }
    }
  }
}

/// The text of the namespace of the record at hand; records of one come together mostly.
struct NamespaceText {
  private var index = -1
  private var text: [UInt8] = []

  /// Another batch counts its namespaces otherwise.
  mutating func removeAll() { index = -1 }

  mutating func text(of record: Int, _ batch: RecordBatch) -> [UInt8] {
    let number = batch.changes.map { Int($0.namespaces[record]) } ?? 0
    if number != index {
      index = number
      text = Array(batch.namespaces[number].description.utf8)
    }
    return text
  }
}
