"""The fault script: what goes wrong, where, and at which occurrence.

A rule is {"path": regex, "sql": regex, "method": "PUT", "service": "api|s3|azure|gcs|metadata", "nth": 1, "times": 1, "action": …, …}.
All given conditions must match; the rule acts from its nth match on, `times` times (0: always). With {"gate": name} it
acts when the test opens that gate (a late statement is then applied at that moment), so nobody has to guess a time."""
import re
import threading
import time

from .errors import SnowflakeError

ACTIONS = {
    "status",            # {"status": 503, "retry_after": 1, "body": "…"}: answered before anything is applied
    "close",             # the connection is closed before anything is applied
    "apply_close",       # applied, then the connection is closed without an answer
    "apply_status",      # applied, then answered with {"status": 503, "body": "…"}: also S3's 200 with an error in its body
    "late",              # the connection is closed at once, applied {"delay_ms": n} later
    "slow",              # answered {"delay_ms": n} later, applied at once
    "slow_before",       # applied {"delay_ms": n} later, then answered
    "slow_execution",    # the statement itself takes {"delay_ms": n} longer, as {"state": "QUEUED"}, so the answer may be "still running"
    "fail_execution",    # the statement is taken, and fails {"delay_ms": n} later, with "code", "sqlstate", "message"
    "truncate",          # applied, answered with 200 and a body that ends early ({"keep": bytes})
    "expire",            # 390112 for this request (the session's token expires)
    "kill",              # the session is gone: 390111, its transaction stays open, detached
    "fail",              # the SQL failure {"code": "000603", "sqlstate": "XX000", "message": "…"}
    "stall",             # nothing is answered for {"delay_ms": n}, then the connection is closed; nothing is applied
}


class Rule:
    def __init__(self, given, gates):
        self.given = dict(given)
        self.action = given["action"]
        if self.action not in ACTIONS:
            raise ValueError(f"action {self.action}; there are: {', '.join(sorted(ACTIONS))}")
        unknown = set(given) - {"path", "sql", "method", "service", "nth", "times", "action", "status", "retry_after", "delay_ms", "keep", "body",
                                "code", "sqlstate", "message", "name", "gate", "state"}
        if unknown:
            raise ValueError(f"unknown in a fault: {', '.join(sorted(unknown))}")
        self.path = re.compile(given["path"]) if "path" in given else None
        self.sql = re.compile(given["sql"], re.I | re.S) if "sql" in given else None
        self.gate = gates.setdefault(given["gate"], threading.Event()) if "gate" in given else None
        self.nth, self.times, self.seen, self.done = int(given.get("nth", 1)), int(given.get("times", 1)), 0, 0

    def matches(self, service, method, path, sql):
        given = self.given
        return (given.get("service", service) == service and given.get("method", method) == method
                and (self.path is None or self.path.search(path) is not None)
                and (self.sql is None or sql is not None and self.sql.search(sql) is not None))

    def get(self, name, default=None):
        return self.given.get(name, default)

    def hold(self):
        """Waits for the gate, if there is one."""
        if self.gate is not None and not self.gate.wait(120):
            raise TimeoutError(f"nobody opened the gate {self.given['gate']}")

    def pause(self, query=None):
        """The wait of a statement that comes late, or runs long; a cancel ends it."""
        until = time.monotonic() + (120 if self.gate is not None else float(self.get("delay_ms", 1000)) / 1000)
        while not (query is not None and query.canceled):
            left = until - time.monotonic()
            if self.gate is None and left <= 0 or self.gate is not None and self.gate.wait(min(0.05, max(left, 0))):
                return
            if left <= 0:
                raise TimeoutError(f"nobody opened the gate {self.given['gate']}")
            if self.gate is None:
                time.sleep(min(0.02, left))

    @property
    def failure(self):
        return SnowflakeError(self.get("code", "000603"), self.get("sqlstate", "XX000"), self.get("message", "injected failure"))


class Faults:
    def __init__(self):
        self.lock, self.rules, self.gates = threading.Lock(), [], {}

    def set(self, rules):
        made = [Rule(r, self.gates) for r in rules]
        with self.lock:
            self.rules = made

    def add(self, rules):
        made = [Rule(r, self.gates) for r in rules]
        with self.lock:
            self.rules += made

    def open_gate(self, name):
        with self.lock:
            self.gates.setdefault(name, threading.Event()).set()

    def take(self, service, method, path, sql=None):
        """The rule that acts on this request, if any."""
        if not self.rules:
            return None
        with self.lock:
            for rule in self.rules:
                if rule.matches(service, method, path, sql):
                    rule.seen += 1
                    if rule.seen >= rule.nth and (rule.times == 0 or rule.done < rule.times):
                        rule.done += 1
                        return rule
        return None

    def report(self):
        with self.lock:
            return [{**r.given, "seen": r.seen, "done": r.done} for r in self.rules]
