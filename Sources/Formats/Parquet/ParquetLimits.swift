/// The format counts the bytes of a page in 32 bits with a sign; half of that leaves room for what compression may add.
struct ParquetLimits {
  /// The largest single value.
  static let largestValue = 1 << 30
  /// The largest page, so also what a row may put into one column.
  var page = 1 << 30
  /// Entries of a page at most, however small: what is held for one, and what a reader unpacks at once, stays small.
  var entries = 1 << 17
  /// A dictionary that would be larger is given up, and what follows is written as it is.
  var dictionary = 1 << 20
}
