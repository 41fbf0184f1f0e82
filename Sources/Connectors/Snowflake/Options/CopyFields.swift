internal import NebulaCore

extension SnowflakeOptions {
  /// How COPY loads, and how long what it loaded stays in the stage.
  static let copying: [Field<SnowflakeOptions>] = [
    Field(
      "copy_options", \.copyOptions, example: "{ON_ERROR: CONTINUE}",
      "Options added to COPY: ON_ERROR, and ENFORCE_LENGTH or TRUNCATECOLUMNS where rows are appended from CSV or JSON without a "
        + "contract. ABORT_STATEMENT (the default) stops at a row "
        + "that can't be loaded; CONTINUE leaves the row out and SKIP_FILE its whole file, and what is left out becomes "
        + "rejected records, counted by pipeline.max_rejected."),
    Field(
      "async_copy", \.asyncCopy,
      "Submits COPY and asks for its state until it has ended: no connection is held open by a long load."),
    Field(
      "stage_retention", \.stageRetention, range: Duration.zero...Duration.seconds(60 * 60 * 24 * 60),
      "How long loaded files stay in the stage; 0s removes them at once. Later runs remove what is older."),
  ]
}
