/// What the docs page says beside the properties.
let snowflakeGuide = #"""
  ### Formats and compression

  | comes | is staged as, when nothing is set | can be set |
  |---|---|---|
  | changes and documents (BSON, events) | JSON, ZSTD 1 | `file_format: PARQUET` |
  | plain records (CSV, JSON Lines) | CSV, GZIP 1 | `JSON`, `PARQUET` |

  SNAPPY exists inside Parquet only. What each costs, by the whole program (reading, checking, encoding, compressing,
  hashing, encrypting and uploading), with NONE for what remains without a codec; `make compression` measures it again:

  | input | format | compression | MB/s a core | ratio |
  |---|---|---|---|---|
  | CSV rows of 80 bytes | CSV | NONE | 156 | 1.0 |
  | CSV rows of 80 bytes | CSV | GZIP 1 | 164 | 2.4 |
  | CSV rows of 80 bytes | CSV | GZIP 6 | 36 | 2.5 |
  | CSV rows of 80 bytes | CSV | ZSTD 1 | 150 | 2.5 |
  | CSV rows of 80 bytes | CSV | ZSTD 3 | 104 | 3.5 |
  | CSV rows of 80 bytes | CSV | ZSTD 9 | 37 | 5.2 |
  | CSV rows of 80 bytes | PARQUET | SNAPPY | 39 | 1.9 |
  | CSV rows of 80 bytes | PARQUET | ZSTD 1 | 42 | 5.3 |
  | JSON documents of 500 bytes | JSON | NONE | 147 | 1.0 |
  | JSON documents of 500 bytes | JSON | GZIP 1 | 132 | 2.7 |
  | JSON documents of 500 bytes | JSON | GZIP 6 | 41 | 2.9 |
  | JSON documents of 500 bytes | JSON | ZSTD 1 | 139 | 3.0 |
  | JSON documents of 500 bytes | JSON | ZSTD 3 | 99 | 4.1 |
  | JSON documents of 500 bytes | JSON | ZSTD 9 | 41 | 5.7 |
  | JSON documents of 500 bytes | PARQUET | SNAPPY | 87 | 2.2 |
  | JSON documents of 500 bytes | PARQUET | ZSTD 1 | 90 | 3.9 |

  The first level costs about what no compression costs, since what is not staged need not be hashed, encrypted and sent;
  higher levels cost several times as much for little. So the defaults are the first levels: GZIP 1 for CSV, the fastest;
  ZSTD 1 for JSON, which is a tenth smaller for the same work. (The samples repeat after a few megabytes, which flatters
  the long memory of ZSTD 9 and Parquet.) Parquet costs four times as much as CSV, and for JSON documents half as much
  again: it pays where something else than the load reads the files, or where they must be small.

  ### Write modes

  `append` adds a row for each change or record. `merge` keeps one row a key, its current state: of several changes of a key
  in an epoch only the last is staged; the others go to a landing table first and from there by one `MERGE`. While a first
  copy is made its rows go by `COPY` alone, since none of them can meet a row of its key. `delete_mode: soft` keeps the row
  of a deleted key with `_DELETED`; `hard` removes it. `current_view: true` with `append` makes a view of the current state.
  The view tells documents apart by `_id` as `DOCUMENT_KEY` has it: with `json: plain` an ObjectId and a text that read alike
  are one there, and `json: canonical` keeps them apart, as `merge` always does.

  An epoch is one transaction over all its tables, in one session: one `COPY` for each table and `files_per_copy` files, with
  `merge` one `MERGE` and one `DELETE` more. So many tables make long commits, whatever their size.

  ### Schema contracts

  Without a contract a new field stops the pipeline, and a value that its column can't take is a rejected record.
  `contract: evolve` adds columns before the epoch that needs them; `freeze` keeps the columns; with both a value that does not
  fit its column goes to `_OVERFLOW` with the reason. `reject` makes a rejected record of either. Of an unpacked document a value
  fits only a column of its own kind, where nothing of it is lost: a number is no TIMESTAMP, `"01234"` no NUMBER, 1 no BOOLEAN,
  and a FLOAT takes no number that it would round; a VARCHAR takes everything, as its JSON text. Nor does a DATE take a time of
  day, or a TIMESTAMP_NTZ an offset from UTC, whatever the record: Snowflake would cut them off without a word (TIMESTAMP_TZ keeps
  the offset). Of two fields whose names fold to one column the first that a run meets has it, and the other goes to
  `_OVERFLOW`; another run may meet the other first, so rename one.

  ### External stages

  Files go to the internal stage unless `use_external_stage` is set; then to a bucket or container of yours, by this
  program's own clients.

  ### Asynchronous COPY

  `async_copy: true` submits each `COPY` and asks for its state until it has ended, so no request is held open by a long load.
  Its result is always read, commits stay in order, and after a crash the ledger says whether the epoch was committed.

  ### Errors in data

  With `ON_ERROR: ABORT_STATEMENT` (the default) a row that Snowflake refuses stops the run: file, line, column and value are
  in the error. `CONTINUE` and `SKIP_FILE` leave rows out: they are asked for, kept as rejected records and counted by
  `pipeline.max_rejected`. Rows above `max_row_bytes` are rejected one by one, with what names them.

  ### What only a real account proves

  Everything here was shown against a stand-in that Snowflake's own connector and ADBC driver accept. It can't show: how long
  a warehouse takes for a `COPY` or `MERGE`, how many small files it loads a second, what it costs, the exact bounds of types
  and texts of errors, and whether credentials of a stage end as documented.
  """#
