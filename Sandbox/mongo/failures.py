"""What a command raises to answer with an error."""

NAMES = {
    1: "InternalError", 2: "BadValue", 6: "HostUnreachable", 7: "HostNotFound", 9: "FailedToParse", 11: "UserNotFound",
    13: "Unauthorized", 14: "TypeMismatch", 18: "AuthenticationFailed", 20: "IllegalOperation", 26: "NamespaceNotFound",
    27: "IndexNotFound", 43: "CursorNotFound", 47: "NoMatchingDocument", 48: "NamespaceExists", 50: "MaxTimeMSExpired",
    59: "CommandNotFound", 63: "StaleShardVersion", 66: "ImmutableField", 72: "InvalidOptions",
    73: "InvalidNamespace", 89: "NetworkTimeout", 91: "ShutdownInProgress", 133: "FailedToSatisfyReadPreference",
    136: "CappedPositionLost", 150: "StaleEpoch", 189: "PrimarySteppedDown", 234: "RetryChangeStream",
    237: "CursorKilled", 251: "NoSuchTransaction", 260: "InvalidResumeToken", 262: "ExceededTimeLimit",
    280: "ChangeStreamFatalError", 286: "ChangeStreamHistoryLost", 9001: "SocketException",
    10107: "NotWritablePrimary", 10334: "BSONObjectTooLarge", 11000: "DuplicateKey", 11600: "InterruptedAtShutdown",
    11602: "InterruptedDueToReplStateChange", 12051: "CursorInUse", 13388: "StaleConfig",
    13435: "NotPrimaryNoSecondaryOk", 13436: "NotPrimaryOrSecondary",
}
RESUMABLE = {6, 7, 43, 63, 89, 91, 133, 150, 189, 234, 262, 9001, 10107, 11600, 11602, 13388, 13435, 13436}
RESUMABLE_LABEL = "ResumableChangeStreamError"
NOT_RESUMABLE_LABEL = "NonResumableChangeStreamError"


class CommandError(Exception):
    def __init__(self, code: int, message: str, labels: tuple = (), name: str | None = None, **extra):
        super().__init__(message)
        self.code, self.message, self.labels, self.extra = code, message, tuple(labels), extra
        self.name = name or NAMES.get(code) or f"Location{code}"

    def reply(self) -> dict:
        answer = {"ok": 0.0, "errmsg": self.message, "code": self.code, "codeName": self.name, **self.extra}
        if self.labels:
            answer["errorLabels"] = list(self.labels)
        return answer


class HistoryLost(CommandError):
    def __init__(self):
        super().__init__(286, "Resume of change stream was not possible, as the resume point may no longer be in the "
                         "oplog.", (NOT_RESUMABLE_LABEL,))


class Hangup(Exception):
    """Close the connection instead of answering."""
