"""What tests may turn, at start (`--set name=value`) or while running (`POST /sandbox/settings`)."""

from ..settings import Settings as Changeable


class Settings(Changeable):
    def __init__(self):
        self.session_validity_seconds = 3600      # then 390112
        self.master_validity_seconds = 14400      # then 390114
        self.sync_seconds = 45.0                  # a statement that takes longer is answered with 333333
        self.blocking_idle_seconds = 300.0        # an idle transaction that blocks somebody this long is aborted
        self.close_rolls_back = True              # closing a session rolls its transaction back
        self.aborted_transaction = "error"        # next statement after an abort: error | silent
        self.lock_timeout_seconds = 43200         # default of the session parameter LOCK_TIMEOUT
        self.result_format = "json"               # json | arrow
        self.chunk_rows = 10000                   # rows in the answer itself; the rest comes in chunks
        self.rows_per_chunk = 20000
        self.duplicates_within = 5000             # lines of a JSON file that are searched for names that an object has twice
        self.max_variant_bytes = 16777216         # larger VARIANT cells make COPY fail
        self.default_location = "S3"              # S3 | AZURE | GCS | LOCAL_FS
        self.default_encrypted = True             # SNOWFLAKE_FULL; False: SNOWFLAKE_SSE
        self.gcs_presigned = False                # GCS stages give a presigned URL per file
        self.key_bytes = 16                       # queryStageMasterKey: 16 or 32
        self.endpoint_style = "auto"              # url: http://127.0.0.1:port | tls: host:port of the TLS listeners |
                                                  # auto: tls for the official drivers when --tls, else url
        self.credential_validity_seconds = 3600.0
        self.threshold_bytes = 209715200          # multi-part threshold told to clients
        self.strict_digest = True                 # a staged file's digest must be that of its content. gosnowflake sends
                                                  # the digest of nothing when it uploads a stream (ADBC's bulk load)
        self.file_prefix = "stage"                # names in COPY results: stage (st/path) | none (path)
