internal import NebulaCore

extension SnowflakeOptions {
  /// How rows come to their tables, and what the tables look like.
  static let tables: [Field<SnowflakeOptions>] = [
    Field(
      "write_mode", \.writeMode,
      "append: each change or record is a row. merge: one row a key, its current state; of several changes the last "
        + "one counts, in whichever order they come."),
    Field(
      "key", \.key, example: "[ID]",
      "The columns that tell plain records apart, for write_mode merge. Changes have their own key."),
    Field(
      "delete_mode", \.deleteMode,
      "What write_mode merge makes of a deleted key: soft keeps the row and sets _DELETED, hard removes it (while the "
        + "first copy is made, it is kept with _DELETED until the copy has ended)."),
    Field(
      "pack_mode", \.packMode,
      "How documents lie in the table: packed in one VARIANT column, or unpacked, with a column for each field of their "
        + "first level; then a contract must be chosen."),
    Field(
      "columns", \.columns, example: "{amount: 'NUMBER(12,2)', created: TIMESTAMP_NTZ}",
      "Types of fields for a table that is created; others are typed by what the first records hold."),
    Field(
      "schema_evolution", \.schemaEvolution,
      "Adds a column for a new field before the rows that need it are loaded: the same as contract evolve."),
    Field(
      "contract", \.contract,
      "What becomes of a field without a column and of a value that its column can't take. evolve: columns are added, "
        + "such values go to the column _OVERFLOW with the reason. freeze: both go to _OVERFLOW. reject: such records go "
        + "to the dead letters. When not set, a new field stops the pipeline, and such a value is a rejected record."),
    Field(
      "current_view", \.currentView,
      "With write_mode append: also makes a view TABLE_CURRENT, which shows the current state of each key."),
  ]
}
