"""The fault script: rules that spoil chosen commands.

A rule is a JSON object. Which commands it meets:
    "command"      a command's name, "changeStream" (an aggregate that opens one), "streamGetMore" (a getMore on one),
                   "scanGetMore" (a getMore on a find), or "*"
    "collection"   only commands on this collection (optional)
    "at"           the occurrence, counted from 1 when the rule is installed; default 1
    "times"        how many occurrences in a row from there; default 1; -1: all from there
    "seconds"      instead of times: all occurrences for so long after the first hit
What it does (one of, `delay_ms` may stand with any):
    "code"         answer with this error; with "message", "name", "labels" ([…]; default: the label a real server
                   would give; "labels": [] gives none), "kill_cursor": true (the cursor is gone as well)
    "close"        "before" the command is applied, or "after"
    "partial"      true: applied, half of the reply is sent, then the connection closes
    "kill_cursor"  true: the cursor vanishes; the client sees 43
    "stepdown"     true: error 189 with the resumable label, then every open connection closes
    "delay_ms"     wait so long before applying
    "stall"        true: do not answer until told (sandboxStall: false)
"""
import socket
import threading
import time

from .changestreams import ChangeStream
from .failures import NOT_RESUMABLE_LABEL, RESUMABLE, RESUMABLE_LABEL, CommandError, Hangup

FIELDS = {"command", "collection", "at", "times", "seconds", "code", "message", "name", "labels", "kill_cursor", "close",
          "partial", "stepdown", "delay_ms", "stall"}
NEVER_STALLED = {"hello", "ismaster", "saslstart", "saslcontinue", "ping", "buildinfo"}


class Rule:
    def __init__(self, spec: dict):
        unknown = set(spec) - FIELDS
        if unknown or "command" not in spec:
            raise CommandError(9, f"fault rule: unknown {sorted(unknown)}" if unknown else "fault rule without a command")
        self.spec, self.seen, self.hits, self.first_hit = spec, 0, 0, None

    def wants(self, request, name: str, stream: bool) -> bool:
        wanted = self.spec["command"].lower()
        if "collection" in self.spec and self.spec["collection"] not in (
                request.body.get("collection"), next(iter(request.body.values()))):
            return False
        if wanted == "changestream":
            pipeline = request.body.get("pipeline") or [{}]
            return name == "aggregate" and "$changeStream" in pipeline[0]
        if wanted in ("streamgetmore", "scangetmore"):
            return name == "getmore" and stream == (wanted == "streamgetmore")
        return wanted in ("*", name)

    def strikes(self) -> bool:
        """Counts one occurrence."""
        self.seen += 1
        at, times = int(self.spec.get("at", 1)), int(self.spec.get("times", 1))
        if self.seen < at:
            return False
        if "seconds" in self.spec:
            self.first_hit = self.first_hit or time.monotonic()
            hit = time.monotonic() - self.first_hit < self.spec["seconds"]
        else:
            hit = times < 0 or self.seen < at + times
        self.hits += hit
        return hit

    def before(self, server, connection, request) -> None:
        spec = self.spec
        if spec.get("delay_ms"):
            time.sleep(spec["delay_ms"] / 1000)
        if spec.get("stall"):
            server.faults.stall(True)
            server.faults.wait()
        if spec.get("kill_cursor"):
            server.cursors.kill(request.body.get("getMore"))
        if spec.get("close") == "before":
            raise Hangup
        if spec.get("stepdown"):
            for other in list(server.connections.values()):
                if other is not connection:
                    hang_up(other)
            raise CommandError(189, "Executor error during getMore :: caused by :: operation was interrupted",
                               (RESUMABLE_LABEL,))
        if "code" in spec:
            raise CommandError(spec["code"], spec.get("message", "scripted error"), spec.get("labels", usual(
                spec["code"], next(iter(request.body)))), spec.get("name"))

    def after(self, connection) -> None:
        if self.spec.get("close") == "after":
            raise Hangup
        if self.spec.get("partial"):
            connection.cut = True


def usual(code: int, name: str) -> tuple:
    """The labels a 4.4+ server puts on an error; only getMore is resumable."""
    if name == "getMore" and code in RESUMABLE:
        return (RESUMABLE_LABEL,)
    return (NOT_RESUMABLE_LABEL,) if code in (286, 280) else ()


def hang_up(connection) -> None:
    try:
        connection.socket.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


class Faults:
    def __init__(self):
        self.lock, self.rules = threading.Lock(), []
        self.going = threading.Event()
        self.going.set()

    def install(self, specs: list, keep: bool = False) -> None:
        rules = [Rule(spec) for spec in specs]
        with self.lock:
            self.rules = (self.rules if keep else []) + rules

    def stall(self, on: bool) -> None:
        self.going.clear() if on else self.going.set()

    def wait(self) -> None:
        self.going.wait()

    def next(self, server, request, name: str) -> Rule | None:
        if name.startswith("sandbox"):
            return None
        if not self.going.is_set() and name not in NEVER_STALLED:
            self.wait()
        if not self.rules:
            return None
        cursor = server.cursors.open.get(request.body.get("getMore")) if name == "getmore" else None
        stream = cursor is not None and isinstance(cursor.reader, ChangeStream)
        struck = None
        with self.lock:
            for rule in self.rules:
                if rule.wants(request, name, stream) and rule.strikes():
                    struck = struck or rule
        return struck
