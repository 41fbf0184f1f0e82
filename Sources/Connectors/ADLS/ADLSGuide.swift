/// What the docs page says beside the properties.
let adlsGuide = #"""
  ### Example

  Changes of one collection, hour by hour, compressed:

  ```yaml
  name: orders-lake
  source:
    type: mongo
    properties:
      uri: ${MONGO_URI}
      database: shop
      collection: orders
  destination:
    type: adls
    properties:
      account_url: https://acme.dfs.core.windows.net
      filesystem: raw
      compression: gzip
  ```

  `nebula-swift validate orders-lake.yaml` asks the account; `nebula-swift run orders-lake.yaml` starts with a copy of the
  collection and goes on with its changes. It writes

  ```
  raw/shop/orders/year=2026/month=11/day=21/hour=09/events-20261121-09.jsonl.gz
  raw/shop/orders/year=2026/month=11/day=21/hour=09/events-20261121-09-part-2.jsonl.gz
  raw/_nebula/orders-lake/fence
  ```

  A line of a file (here on several):

  ```json
  {"_meta":{"operationType":"update","clusterTime":{"t":1795252391,"i":3},"wallTime":"2026-11-21T09:13:11.402Z",
   "ns":{"db":"shop","coll":"orders"},"txnNumber":null,"lsid":null,"resumeToken":"826A1F…"},
   "documentKey":{"_id":"6a1f00000000000000000001"},
   "fullDocument":{"_id":"6a1f00000000000000000001","status":"paid","total":19.9},
   "updateDescription":{"updatedFields":{"status":"paid"},"removedFields":[],"truncatedArrays":[]},
   "fullDocumentBeforeChange":null}
  ```

  A row of the copy has `"operationType":"snapshot"` and the cluster time at which the copy began. Records of a file source
  are written as they are.

  ### Layouts

  | layout | what a reader sees | use it when |
  |---|---|---|
  | `rolling` | a file an hour and collection, growing by whole lines; closed once its hour has passed and nothing came for `close_after` | few, large files, and the newest events after `flush_interval` |
  | `files` | complete files only, under the names that never change | readers must never see a growing file, or want CSV |
  | `per_event` | one small file an event, named by the event | something reacts to each event; costs one write each |

  The hour is that of the event: its cluster time, else its wall time, else the time in its ObjectId; of a copied row that of
  its ObjectId, else the time at which the copy began; always UTC. An event for an hour whose file is closed goes into that
  hour's next part. Names never depend on when the program ran.

  The copy of an old collection makes a file for every hour in which one of its ObjectIds was made, a few requests each: where
  that is too many, leave `{hh}` out of `path` and `file_name`, and there is one a day.

  A closing flush is what Event Grid tells its listeners of (`BlobCreated`, `FlushWithClose`); each file gets exactly one.

  ### Exactly once

  Readers see a flush, not an append: an epoch's lines are appended first, then written down in the state, then flushed.
  After a crash the length of each file says what became of it, and what was not flushed is flushed or thrown away before
  anything is read again. Each growing file is held by an infinite lease, and `_nebula/PIPELINE/fence` says which run of
  the pipeline is the newest: an older one that wakes up finds both taken, writes nothing, and ends with `state.fenced`.
  Beside the state the pipeline keeps `adls-files.jsonl`, the list of files that it still has to close: move both together.

  Let nobody else write into the pipeline's files; one that has another length or another end than this pipeline left stops
  it with the reason. Moving or deleting *closed* files is fine.

  ### Permissions

  The role *Storage Blob Data Contributor* on the file system, or a shared access signature with `racwdl` (`sr=c`, or an
  account's with `ss=b` and `srt=co`). Hierarchical namespace must be on. Give a `shared_key`, or a `sas` (it may also
  stand behind `account_url`), or neither: then the first of these that is set is used, and one that fails is never a reason
  to try the next: `client_secret` (with `tenant_id` and `client_id`), `federated_token_file` (likewise),
  `identity_endpoint` (App Service sets it), the machine's managed identity.

  ### Reading it from Snowflake

  Once, by an administrator (Snowflake's own `DESC INTEGRATION` says whom to grant *Storage Blob Data Reader*):

  ```sql
  CREATE STORAGE INTEGRATION lake TYPE = EXTERNAL_STAGE STORAGE_PROVIDER = 'AZURE' ENABLED = TRUE
    AZURE_TENANT_ID = '<tenant>' STORAGE_ALLOWED_LOCATIONS = ('azure://acme.blob.core.windows.net/raw/');
  DESC INTEGRATION lake;
  CREATE STAGE raw.lake URL = 'azure://acme.blob.core.windows.net/raw/' STORAGE_INTEGRATION = lake
    FILE_FORMAT = (TYPE = JSON);
  ```

  As an external table, partitioned by the folders (layout `files`, or closed hours of `rolling`):

  ```sql
  CREATE EXTERNAL TABLE raw.orders_events (
    day DATE AS TO_DATE(
      REGEXP_SUBSTR(METADATA$FILENAME, 'year=(\\d+)', 1, 1, 'e') || '-' ||
      REGEXP_SUBSTR(METADATA$FILENAME, 'month=(\\d+)', 1, 1, 'e') || '-' ||
      REGEXP_SUBSTR(METADATA$FILENAME, 'day=(\\d+)', 1, 1, 'e')),
    hour NUMBER AS REGEXP_SUBSTR(METADATA$FILENAME, 'hour=(\\d+)', 1, 1, 'e')::NUMBER,
    operation TEXT AS VALUE:_meta.operationType::TEXT,
    document VARIANT AS VALUE:fullDocument)
  PARTITION BY (day, hour)
  LOCATION = @raw.lake/shop/orders/ AUTO_REFRESH = FALSE FILE_FORMAT = (TYPE = JSON);
  ALTER EXTERNAL TABLE raw.orders_events REFRESH;
  ```

  Or loaded into a table:

  ```sql
  CREATE TABLE raw.orders_landing (file TEXT, row_number NUMBER, hour NUMBER, event VARIANT);
  COPY INTO raw.orders_landing FROM (
    SELECT METADATA$FILENAME, METADATA$FILE_ROW_NUMBER,
      REGEXP_SUBSTR(METADATA$FILENAME, 'hour=(\\d+)', 1, 1, 'e')::NUMBER, $1
    FROM @raw.lake/shop/orders/)
  PATTERN = '.*/day=21/.*[.]jsonl([.]gz)?' FILE_FORMAT = (TYPE = JSON);
  ```

  COPY remembers a file by its name and content, so one that grew since is loaded *again as a whole*: load only hours that
  are closed, or use layout `files`. These statements were checked against Snowflake's documentation, not against an account.
  """#
