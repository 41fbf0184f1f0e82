"""`find`: a live scan in `_id` order where the filter and sort allow it, else a sorted list made at once."""
import json
import threading
from dataclasses import dataclass, field
from itertools import islice

from bson import MaxKey, MinKey, json_util

from .failures import CommandError
from .matching import MISSING, matches, project, walk
from .store import Collection, Store
from .values import MAX_USER_BYTES, NUMBER, decode, encode, key

COMPARISONS = {"$gt", "$gte", "$lt", "$lte", "$eq"}


@dataclass
class Range:
    """Keys between two ends; None is open."""
    low: tuple | None = None
    high: tuple | None = None
    low_inclusive: bool = True
    high_inclusive: bool = True

    def raise_low(self, value: tuple, inclusive: bool) -> None:
        if self.low is None or value > self.low or value == self.low and not inclusive:
            self.low, self.low_inclusive = value, inclusive

    def lower_high(self, value: tuple, inclusive: bool) -> None:
        if self.high is None or value < self.high or value == self.high and not inclusive:
            self.high, self.high_inclusive = value, inclusive

    def narrow(self, operator: str, operand) -> None:
        """One comparison on `_id`: never leaves the operand's type bracket (except for MinKey and MaxKey)."""
        place = key(operand)
        if not isinstance(operand, (MinKey, MaxKey)):
            low, high = (place[0],), (place[0] + 1,)
            if place[0] == NUMBER:                          # NaN, (NUMBER, 0), lies beside the number line
                low, high = ((NUMBER, 0), (NUMBER, 1)) if len(place) == 2 else ((NUMBER, 1), high)
            self.raise_low(low, True)
            self.lower_high(high, False)
        if operator in ("$gt", "$gte", "$eq"):
            self.raise_low(place, operator != "$gt")
        if operator in ("$lt", "$lte", "$eq"):
            self.lower_high(place, operator != "$lt")


def id_range(query: dict) -> tuple[Range, bool]:
    """The range of `_id`s outside of which nothing can match, and whether everything inside it does."""
    found, exact = Range(), True
    for name, condition in query.items():
        if name == "$and":
            for part in condition:
                exact = narrow_by(found, part) and exact
        else:
            exact = narrow_by(found, {name: condition}) and exact
    return found, exact


def narrow_by(found: Range, query: dict) -> bool:
    """Applies what the query says of `_id` by comparison; False if it says more than that."""
    if "_id" not in query:
        return not query
    exact, condition = len(query) == 1, query["_id"]
    operators = isinstance(condition, dict) and condition and next(iter(condition)).startswith("$")
    for operator, operand in (condition if operators else {"$eq": condition}).items():
        if operator not in COMPARISONS or hasattr(operand, "pattern") or isinstance(operand, list):
            exact = False
        else:
            found.narrow(operator, operand)
    return exact


@dataclass
class ScanRecord:
    """What the truth dump says of a scan: each batch with the place in the log at which it was read."""
    number: int
    namespace: tuple
    question: str
    batches: list = field(default_factory=list)      # (place, low key, inclusive?, high key, inclusive?, count)


class Scan:
    def __init__(self, store: Store, collection: Collection | None, command: dict, record: ScanRecord | None):
        self.store, self.collection, self.record = store, collection, record
        self.busy = threading.Lock()
        self.namespace = f"{command['$db']}.{command.get('find', '')}"
        self.query = command.get("filter") or {}
        self.projection = command.get("projection") or {}
        self.left = abs(int(command.get("limit") or 0)) or None
        self.skip = int(command.get("skip") or 0)
        sort = command.get("sort") or {}
        self.reverse = list(sort.items()) == [("_id", -1)]
        self.range, exact = id_range(self.query)
        self.filters = not exact
        self._bounds(command)
        self.finished = collection is None
        self.sorted = None
        if sort and not self.finished and next(iter(sort)) not in ("_id", "$natural"):
            self.sorted = sort_documents(self._all_matching(), sort)

    def _bounds(self, command: dict) -> None:
        """`min` (inclusive) and `max` (exclusive) are places in the index: they know no type brackets."""
        low, high = command.get("min"), command.get("max")
        if not (low or high):
            return
        hint = command.get("hint")
        if hint not in ({"_id": 1}, "_id_"):
            raise CommandError(51173 if hint is None else 2, "When using min()/max() a hint of which index to use must be "
                               "provided" if hint is None else "min()/max() are served here on the _id index only")
        if low:
            self.range.raise_low(key(low["_id"]), True)
        if high:
            self.range.lower_high(key(high["_id"]), False)

    def _keys(self):
        bounds = self.range
        return self.collection.keys(bounds.low, bounds.high, (bounds.low_inclusive, bounds.high_inclusive), self.reverse)

    def _all_matching(self) -> list[bytes]:
        with self.store.lock:
            return [raw for raw in (self.collection.get(k)[0] for k in self._keys()) if self._wanted(raw)]

    def _wanted(self, raw: bytes) -> bool:
        return not self.filters or matches(decode(raw), self.query)

    def next_batch(self, limit: int | None) -> list[bytes]:
        if self.finished:
            return []
        if self.left is not None:
            limit = self.left if limit is None else min(limit, self.left)
        batch = self._from_sorted(limit) if self.sorted is not None else self._from_collection(limit)
        if self.left is not None:
            self.left -= len(batch)
            self.finished = self.finished or self.left == 0
        return [encode(project(decode(raw), self.projection)) for raw in batch] if self.projection else batch

    def _from_sorted(self, limit: int | None) -> list[bytes]:
        self.sorted, self.skip = self.sorted[self.skip:], 0
        count = fitting(self.sorted, limit)
        batch, self.sorted = self.sorted[:count], self.sorted[count:]
        self.finished = not self.sorted
        return batch

    def _from_collection(self, limit: int | None) -> list[bytes]:
        with self.store.lock:
            place = len(self.store.log.entries)
            batch, last, size = [], None, 0
            get = self.collection.get
            keys = self._keys() if limit is None or self.filters or self.skip else islice(self._keys(), limit)
            self.finished = True
            for at in keys:
                raw = get(at)[0]
                if self.filters and not self._wanted(raw):
                    continue
                if self.skip:
                    self.skip -= 1
                    continue
                if len(batch) == limit or size + len(raw) > MAX_USER_BYTES and batch:
                    self.finished = False
                    break
                batch.append(raw)
                size += len(raw)
                last = at
            else:
                self.finished = limit is None or len(batch) < limit
        if self.record is not None:
            self.record.batches.append((place, *self._covered(last), len(batch)))
        if last is not None:
            self._go_on_after(last)
        return batch

    def _covered(self, last: tuple | None) -> tuple:
        """The bounds of what a batch read: to the range's end if that was reached, else to its last key."""
        bounds = self.range
        low, high = (bounds.low, bounds.low_inclusive), (bounds.high, bounds.high_inclusive)
        if not self.finished and last is not None:
            low, high = ((last, True), high) if self.reverse else (low, (last, True))
        return *low, *high

    def _go_on_after(self, last: tuple) -> None:
        if self.reverse:
            self.range.high, self.range.high_inclusive = last, False
        else:
            self.range.low, self.range.low_inclusive = last, False


def fitting(documents: list[bytes], limit: int | None) -> int:
    size = 0
    for count, raw in enumerate(documents):
        size += len(raw)
        if count == limit or size > MAX_USER_BYTES and count:
            return count
    return len(documents)


def sort_documents(documents: list[bytes], sort: dict) -> list[bytes]:
    decoded = [(decode(raw), raw) for raw in documents]
    for path, direction in reversed(list(sort.items())):
        decoded.sort(key=lambda pair: sort_key(pair[0], path, direction), reverse=direction == -1)
    return [raw for _, raw in decoded]


def sort_key(doc: dict, path: str, direction: int) -> tuple:
    values = []
    for value in walk(doc, path.split(".")):
        members = value if isinstance(value, list) and value else [value]
        values += [key(None) if member is MISSING else key(member) for member in members]
    return max(values) if direction == -1 else min(values)


def question(command: dict) -> str:
    asked = {name: command[name] for name in ("filter", "min", "max", "sort", "limit", "skip") if command.get(name)}
    return json.dumps(asked, default=json_util.default)
