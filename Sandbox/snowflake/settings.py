"""What tests may turn, at start (`--set name=value`) or while running (`POST /sandbox/settings`)."""

from ..settings import Settings as Changeable


class Settings(Changeable):
    def __init__(self):
        self.session_validity_seconds = 3600      # then 390112
        self.master_validity_seconds = 14400      # then 390114
        self.sync_seconds = 45.0                  # a statement that takes longer is answered with 333333
        self.blocking_idle_seconds = 300.0        # an idle transaction that blocks somebody this long is aborted
        self.close_rolls_back = True              # closing a session rolls its transaction back
        self.close_cancels = True                 # closing a session cancels what still runs in it
        self.cancel_delay_seconds = 0.0           # a cancel takes effect this much later; who aborts a transaction waits for it
        self.no_data_seconds = 0.0                # a statement so young is unknown to /monitoring (NO_DATA)
        self.aborted_transaction = "error"        # next statement after an abort: error | silent
        self.lock_timeout_seconds = 43200         # default of the session parameter LOCK_TIMEOUT
        self.result_format = "json"               # json | arrow
        self.chunk_rows = 10000                   # rows in the answer itself; the rest comes in chunks
        self.rows_per_chunk = 20000
        self.duplicates_within = 2000             # lines of a JSON file that are searched for names that an object has twice
        self.passcode_once = False                # a passcode is accepted only once
        self.oauth_seconds = 600.0                # lifetime of tokens from /oauth/token-request; then 390318
        self.validate_matched = False             # TABLE(VALIDATE(…)) of a COPY with MATCH_BY_COLUMN_NAME is answered, not refused
        self.missing_files = "silent"             # FILES that are not there, with ON_ERROR other than ABORT_STATEMENT: silent | row
        self.max_variant_bytes = 16777216         # larger VARIANT cells make COPY fail
        self.s3_region = "us-west-2"              # of every bucket
        self.buckets = ""                         # comma-separated: others are not there; empty: every name is a bucket or container
        self.list_page = 1000                     # names a page of a listing at most
        self.temporary_seconds = 3600.0           # lifetime of what STS, IMDS, ECS and Google's token endpoints hand out
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
