/// What one end of a pipeline says of a run when it is over: lines for a person, numbers for a program.
public struct RunReport: Sendable, Hashable {
  /// One line of the summary.
  public struct Line: Sendable, Hashable {
    /// One word, ten letters at most.
    public let label: String
    /// The rest, in a user's words.
    public let text: String
    /// Makes a line.
    public init(_ label: String, _ text: String) {
      self.label = label
      self.text = text
    }
  }
  /// In the order of the summary.
  public var lines: [Line] = []
  /// What is computed of the metrics: ratios, estimates.
  public var values: [String: Double] = [:]
  /// Nothing to say.
  public init() {}
}
