"""What tests may turn, at start (`--set name=value`) or while running (`POST /sandbox/settings`)."""

from ..settings import Settings as Changeable


class Settings(Changeable):
    def __init__(self):
        self.clock_offset_seconds = 0.0       # the service's clock minus this machine's: x-ms-date, SAS and tokens are judged by it
        self.max_skew_seconds = 900.0         # x-ms-date may be off by this
        self.token_seconds = 3600.0           # lifetime of the tokens it issues
        self.hierarchy = True                 # what the account says of its namespace; nothing else changes
        self.https_only = False               # 400 AccountRequiresHttps to plain http
        self.shared_key_allowed = True        # else 403 KeyBasedAuthenticationNotPermitted
        self.max_appends = 50000              # blocks a file may have; then 409 BlockCountExceedsLimit
        self.max_append_bytes = 100 << 20     # a body of append; then 413
        self.list_page = 5000                 # paths a page at most
        self.delete_page = 5000               # paths that one call of a recursive, paginated delete removes
        self.newest_version = "2026-10-06"    # later versions of x-ms-version are refused
        self.segment_bytes = 256 << 20        # content is kept in files of about this size (at start only)
        self.kept_requests = 2000             # requests the operation log remembers one by one
