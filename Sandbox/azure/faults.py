"""The fault script: what goes wrong, where, and at which occurrence.

A rule is {"path": regex, "query": regex, "method": "PATCH", "service": "dfs|blob|login", "operation": "append", "nth": 1, "times": 1,
"action": …, …}. `path` is searched in the request target (path and query), `query` in the query alone. All given conditions must
match; the rule acts from its nth match on, `times` times (0: always), and then only with probability `chance` if one is given
(drawn from the rule itself, `seed` in it, so that a run can be repeated)."""
import random
import re

ACTIONS = {
    "status",            # {"status": 503, "retry_after": 1, "code": "ServerBusy"}: answered before anything is applied
    "close",             # the connection is closed before anything is applied
    "apply_close",       # applied, then the connection is closed without an answer
    "apply_status",      # applied, then answered with {"status": 500, "code": "OperationTimedOut"}
    "late",              # the connection is closed at once, applied {"delay_ms": n} later
    "slow",              # answered {"delay_ms": n} later, applied at once
    "slow_before",       # applied {"delay_ms": n} later, then answered
    "truncate",          # applied, answered with a body that ends early ({"keep": bytes})
    "stall",             # nothing is answered for {"delay_ms": n}, then the connection is closed; nothing is applied
}
FIELDS = {"path", "query", "method", "service", "operation", "nth", "times", "chance", "seed", "action", "status", "code", "message", "retry_after",
          "delay_ms", "keep", "body", "name"}


class Rule:
    def __init__(self, given):
        self.given = dict(given)
        self.action = given["action"]
        if self.action not in ACTIONS:
            raise ValueError(f"action {self.action}; there are: {', '.join(sorted(ACTIONS))}")
        if unknown := set(given) - FIELDS:
            raise ValueError(f"unknown in a fault: {', '.join(sorted(unknown))}")
        self.path, self.query = (re.compile(given[name]) if name in given else None for name in ("path", "query"))
        self.nth, self.times, self.seen, self.done = int(given.get("nth", 1)), int(given.get("times", 1)), 0, 0
        self.chance = float(given.get("chance", 1))
        self.random = random.Random(repr(sorted(given.items())))     # of the whole rule: two rules must not strike in step

    def matches(self, service, operation, request):
        given = self.given
        return (given.get("service", service) == service and given.get("operation", operation) == operation
                and given.get("method", request.method) == request.method
                and (self.path is None or self.path.search(request.target) is not None)
                and (self.query is None or self.query.search(request.raw_query) is not None))

    def strikes(self):
        self.seen += 1
        if self.seen < self.nth or self.times and self.done >= self.times or self.chance < 1 and self.random.random() >= self.chance:
            return False
        self.done += 1
        return True

    def get(self, name, default=None):
        return self.given.get(name, default)


class Faults:
    def __init__(self):
        self.rules = []

    def set(self, rules):
        self.rules = [Rule(r) for r in rules]

    def add(self, rules):
        self.rules = self.rules + [Rule(r) for r in rules]

    def take(self, service, operation, request):
        """The rule that acts on this request, if any."""
        for rule in self.rules:
            if rule.matches(service, operation, request) and rule.strikes():
                return rule
        return None

    def report(self):
        return [{**r.given, "seen": r.seen, "done": r.done} for r in self.rules]
