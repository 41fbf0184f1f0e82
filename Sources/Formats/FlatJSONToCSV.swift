public import NebulaCore

/// Writes JSON objects as rows of a CSV: one column a member, in the order of the columns.
///
/// A text is written as it reads (unescaped), everything else as its JSON text, arrays and objects too. A member that
/// is missing is an empty field, `null` the null marker; an empty text is `""`, so that the three differ as far as the
/// marker allows. A text that equals the marker, or looks like an empty field, is quoted. In a CSV of one column an
/// empty field would be a blank line, over which readers pass: there a missing member is the null marker too, and what
/// is empty even so is `""`.
/// Members that are no columns are passed over and counted, unless the rules know a column for them; of a doubled member
/// the last counts.
///
/// A value holds its working memory by reference: give each worker one of its own.
public struct FlatJSONToCSV {
  /// A column: which member it takes, and how.
  public struct Column: Sendable, Hashable {
    /// The member's name; nil when none is known yet.
    public var name: String?
    /// True to write texts as JSON too, with their quotes, so that each value keeps its type.
    public var keepsJSON: Bool
    /// True when the rules judge each value.
    public var isChecked: Bool
    /// Describes a column.
    public init(_ name: String?, keepsJSON: Bool = false, isChecked: Bool = false) {
      self.name = name
      self.keepsJSON = keepsJSON
      self.isChecked = isChecked
    }
  }

  private let rows: CSVRows
  /// How many members were passed over because no column has their name.
  public var unknownMembers: Int { rows.unknownMembers }

  /// Writes the columns called `columns`.
  public init(columns: [String], dialect: CSVDialect = CSVDialect(), nullMarker: String = "") {
    self.init(columns.map { Column($0) }, dialect: dialect, nullMarker: nullMarker)
  }
  /// Writes these columns.
  public init(_ columns: [Column], dialect: CSVDialect = CSVDialect(), nullMarker: String = "") {
    rows = CSVRows(columns, dialect: dialect, nullMarker: nullMarker)
  }

  /// Appends the names as a row.
  public func appendHeader(to output: OutputBuffer) { rows.appendHeader(to: output) }

  /// Appends one object as a row with its line end. Throws, with nothing appended, when `object` is not one JSON object.
  public mutating func append(_ object: UnsafeRawBufferPointer, to output: OutputBuffer) throws(NebulaError) {
    if let problem = JSONText.validate(object) { throw problem.error() }
    try append(validated: object, to: output)
  }

  /// The same for an object that `JSONText.validate` has accepted, whose texts are not checked once more.
  public mutating func append(validated object: UnsafeRawBufferPointer, to output: OutputBuffer) throws(NebulaError) {
    try rows.append(object, to: output, NoRules())
  }

  /// The same with rules; nothing is appended either when they throw.
  public mutating func append(
    validated object: UnsafeRawBufferPointer, to output: OutputBuffer, rules: some ColumnRules
  ) throws(NebulaError) {
    try rows.append(object, to: output, rules)
  }
}

/// What rows of CSV have to know of their columns beyond the names.
public protocol ColumnRules {
  /// The column of a name that no column has; nil to pass over it. Asked once for a name that has one.
  func column(of name: String) throws(NebulaError) -> Int?
  /// Throws when the column can't take the text. Asked for each value but null of a column that is checked.
  func check(_ text: UnsafeRawBufferPointer, for column: Int) throws(NebulaError)
}

private struct NoRules: ColumnRules {
  func column(of name: String) -> Int? { nil }
  func check(_ text: UnsafeRawBufferPointer, for column: Int) {}
}
