"""Compares what a table holds with what the MongoDB stand-in's own log says was owed. Stands outside the program.

    python -m Sandbox.compare TRUTH.sqlite TABLE.parquet DATABASE COLLECTION

Values are equal when their types are too: 1, 1.0 and true are three. DOCUMENT_BEFORE is what stood there before the event
where a stream asked for it, else NULL. FILE and FILE_ROW name each row once.

Owed: a snapshot row for each document that lived from T0 until its range was last read (for other documents it is
allowed once); a row for each event after T0. A snapshot row's document must be one that a scan read; an update's must
be one that the stand-in looked up for its token; the last row of each key by SEQUENCE must be the collection's document.
A snapshot row's EVENT_ID must be `<T0>/<namespace>/<key in canonical Extended JSON>`, or, where a destination has no such
column, `<T0>`.
"""
import datetime
import json
import sqlite3
import sys
from collections import Counter
from dataclasses import dataclass, field

import bson
import duckdb
from bson import json_util

from .plain import OPTIONS, plain

COLUMNS = ("DOCUMENT", "DOCUMENT_BEFORE", "UPDATE_DESCRIPTION", "DOCUMENT_KEY", "OPERATION", "NAMESPACE", "EVENT_TIME",
           "SEQUENCE", "EVENT_ID", "FILE", "FILE_ROW")
CANONICAL = json_util.CANONICAL_JSON_OPTIONS
EPOCH = datetime.datetime(1970, 1, 1)


@dataclass
class Result:
    source: int = 0
    destination: int = 0
    lost: int = 0
    duplicated: int = 0
    differing: int = 0
    examples: list[str] = field(default_factory=list)

    def note(self, kind: str, what: str) -> None:
        setattr(self, kind, getattr(self, kind) + 1)
        if len(self.examples) < 20:
            self.examples.append(f"{kind}: {what}")

    def __str__(self) -> str:
        return (f"source {self.source} destination {self.destination} lost {self.lost} "
                f"duplicated {self.duplicated} differing {self.differing}")

    @property
    def is_equal(self) -> bool:
        return self.lost == self.duplicated == self.differing == 0


def decoded(raw: bytes | None) -> object:
    return None if raw is None else plain(bson.decode(raw, OPTIONS))


def parsed(text: str | None) -> object:
    return None if text is None else json.loads(text)


def copied_id_parts(event_id: str, namespace: str) -> tuple[str, object]:
    """T0's token, and the key of an EVENT_ID that names a copied row: `<T0>/<namespace>/<canonical key>`."""
    token, _, rest = (event_id or "").partition("/")
    name, key = rest[:len(namespace) + 1], rest[len(namespace) + 1:]
    return token, parsed(key) if name == f"{namespace}/" else None


def canonical(raw: bytes) -> object:
    return json.loads(json_util.dumps(bson.decode(raw, OPTIONS), json_options=CANONICAL))


def key_text(document_key: bytes) -> str:
    return json.dumps(decoded(document_key), sort_keys=True)


class Values(list):
    """JSON values; one is `in` it in its own type only, where Python's equality takes 1, 1.0 and True for one."""

    def __contains__(self, value: object) -> bool:
        wanted = json.dumps(value, sort_keys=True)
        return any(json.dumps(one, sort_keys=True) == wanted for one in self)


class Truth:
    def __init__(self, path: str, database: str, collection: str):
        self.store = sqlite3.connect(path)
        self.namespace = (database, collection)
        self.versions: dict[str, list[tuple]] = {}     # key text -> (version, from, to, rank)
        self.ranks: dict[int, str] = {}
        self.keys: dict[str, bytes] = {}               # key text -> document key
        for version, rank, key, since, until in self.rows(
                "SELECT version, rank, document_key, from_place, to_place FROM version WHERE db=? AND coll=? "
                "ORDER BY from_place", *self.namespace):
            text = self.ranks.get(rank)
            if text is None:
                text = self.ranks[rank] = key_text(key)
                self.keys[text] = key
            self.versions.setdefault(text, []).append((version, since, until, rank))
        self.read_at: dict[int, list[int]] = {}        # rank -> places at which a scan read it
        for place, low, high in self.rows(
                "SELECT b.place, b.from_rank, b.to_rank FROM scan_batch b JOIN scan s USING (number) "
                "WHERE s.db=? AND s.coll=? AND b.count > 0", *self.namespace):
            for rank in range(low, high + 1):
                self.read_at.setdefault(rank, []).append(place)

        # What the streams asked for beside the events.
        self.before_images = {json.loads(options).get("fullDocumentBeforeChange", "off")
                              for options, in self.rows("SELECT options FROM stream")} - {"off"}

    def befores(self, key: str, place: int, operation: str) -> list[object]:
        """What may stand in DOCUMENT_BEFORE of the event at this place."""
        if not self.before_images or operation not in ("update", "replace", "delete"):
            return Values([None])
        ended = [self.document(version) for version, _, until, _ in self.versions.get(key, []) if until == place]
        return Values(ended if self.before_images == {"required"} else ended + [None])

    def rows(self, question: str, *given: object):
        return self.store.execute(question, given)

    def document(self, version: int) -> object:
        if version == 0:
            return None
        return decoded(self.rows("SELECT bson FROM version WHERE version=? LIMIT 1", version).fetchone()[0])

    def start(self, token: str) -> int:
        """The place of T0."""
        found = self.rows("SELECT place FROM stream WHERE token=? LIMIT 1", token).fetchone()
        if found is None:
            raise SystemExit(f"no stream was ever opened at the token {token}")
        return found[0]

    def owed_copies(self, start: int) -> tuple[set[str], set[str]]:
        """Keys whose snapshot row is owed, and keys that may have one."""
        owed, allowed = set(), set()
        for key, versions in self.versions.items():
            places = self.read_at.get(versions[0][3], [])
            last = max(places, default=None)
            if last is None:
                # No scan ever covered it: owed all the same when it lived at T0 and still lives.
                if any(since <= start and until is None for _, since, until, _ in versions):
                    owed.add(key)
                continue
            if any(self.alive(versions, place) for place in places):
                allowed.add(key)
            if self.lived_through(versions, start, last):
                owed.add(key)
        return owed, allowed

    @staticmethod
    def alive(versions: list[tuple], place: int) -> bool:
        return any(since <= place and (until is None or place < until) for _, since, until, _ in versions)

    @staticmethod
    def lived_through(versions: list[tuple], start: int, end: int) -> bool:
        at = start
        for _, since, until, _ in versions:
            if since <= at and (until is None or until > at):
                if until is None or until > end:
                    return True
                at = until
        return False

    def scanned_documents(self, key: str) -> list[object]:
        versions = self.versions[key]
        seen = {version for place in self.read_at.get(versions[0][3], []) for version, since, until, _ in versions
                if since <= place and (until is None or place < until)}
        return Values([self.document(version) for version in seen])


class Comparison:
    def __init__(self, truth: Truth, table: str, copied_ids: bool):
        self.truth, self.result, self.copied_ids = truth, Result(), copied_ids
        self.rows = duckdb.connect().execute(
            f"SELECT {', '.join(COLUMNS)} FROM read_parquet(?)", [table])
        self.name = ".".join(truth.namespace)
        self.copies: Counter = Counter()
        self.events: Counter = Counter()
        self.last: dict[str, tuple[str, object]] = {}
        self.incomplete: set[str] = set()
        self.order: list[tuple[str, str]] = []
        self.start: int | None = None
        self.tokens: set[str] = set()
        # The row that each place in a file belongs to; one that came twice has its place twice.
        self.places: dict[tuple[str, int], tuple[str, str]] = {}

    def run(self) -> Result:
        copies, events = self.load()
        if len(self.tokens) > 1:
            self.result.note("differing", f"snapshot rows of {len(self.tokens)} different T0")
        if self.tokens:
            self.start = self.truth.start(next(iter(self.tokens)))
        else:
            self.start = min((place for place, in self.truth.rows("SELECT place FROM stream")), default=0)
        self.check_copies(copies)
        self.check_events(events)
        self.check_last()
        self.result.source += 0
        return self.result

    def load(self) -> tuple[dict, dict]:
        copies: dict[str, tuple] = {}
        events: dict[str, tuple] = {}
        while chunk := self.rows.fetchmany(20_000):
            for row in chunk:
                self.result.destination += 1
                row = dict(zip(COLUMNS, row))
                key = json.dumps(parsed(row["DOCUMENT_KEY"]), sort_keys=True)
                if row["OPERATION"] == "snapshot":
                    self.tokens.add(copied_id_parts(row["EVENT_ID"], self.name)[0])
                    self.copies[key] += 1
                    copies[key] = (row["DOCUMENT"], row["NAMESPACE"], row["SEQUENCE"], row["EVENT_ID"])
                else:
                    self.events[row["EVENT_ID"]] += 1
                    events[row["EVENT_ID"]] = row
                if row["SEQUENCE"] is None or len(row["SEQUENCE"]) != 24:
                    self.result.note("differing", f"SEQUENCE {row['SEQUENCE']}")
                elif key not in self.last or self.last[key][0] < row["SEQUENCE"]:
                    self.last[key] = (row["SEQUENCE"], row["DOCUMENT"], row["OPERATION"])
                self.check_place(row, key)
        return copies, events

    def check_place(self, row: dict, key: str) -> None:
        place, identity = (row["FILE"], row["FILE_ROW"]), (row["EVENT_ID"], key)
        if not row["FILE"] or (row["FILE_ROW"] or 0) < 1:
            self.result.note("differing", f"FILE and FILE_ROW {place} of {identity}")
        elif self.places.setdefault(place, identity) != identity:
            self.result.note("differing", f"{place} is the place of {self.places[place]} and of {identity}")
        if row["OPERATION"] == "snapshot" and (row["DOCUMENT_BEFORE"] or row["UPDATE_DESCRIPTION"]):
            self.result.note("differing", f"snapshot row {key} has DOCUMENT_BEFORE or UPDATE_DESCRIPTION")

    def check_copies(self, copies: dict) -> None:
        owed, allowed = self.truth.owed_copies(self.start)
        self.result.source += len(owed)
        self.highest_copy = max((sequence for _, _, sequence, _ in copies.values()), default="")
        for key, count in self.copies.items():
            if key not in owed:
                if key not in allowed:
                    self.result.note("differing", f"a snapshot row that nobody owed: {key}")
                    continue
                self.result.source += 1
            self.result.duplicated += count - 1
            if count > 1:
                self.result.examples.append(f"duplicated: snapshot row {key}, {count} times")
            text, namespace, _, event_id = copies[key]
            if self.copied_ids and copied_id_parts(event_id, self.name)[1] != canonical(self.truth.keys[key]):
                self.result.note("differing", f"snapshot row {key}, EVENT_ID {event_id}")
            if namespace != self.name or parsed(text) not in self.truth.scanned_documents(key):
                self.result.note("differing", f"snapshot row {key}")
        for key in owed - self.copies.keys():
            self.result.note("lost", f"snapshot row {key}")
            self.incomplete.add(key)

    def check_events(self, rows: dict) -> None:
        before = self.highest_copy
        for event in self.truth.rows(
                "SELECT place, token, operation, document_key, update_description, seconds, version FROM event "
                "WHERE place > ? AND db=? AND coll=? ORDER BY place", self.start, *self.truth.namespace):
            place, token, operation, document_key, update, seconds, version = event
            self.result.source += 1
            count = self.events.pop(token, 0)
            key = key_text(document_key) if document_key else "null"
            if count == 0:
                self.result.note("lost", f"{operation} {key}, token {token}")
                self.incomplete.add(key)
                continue
            if count > 1:
                self.result.duplicated += count - 1
                self.result.examples.append(f"duplicated: {operation} {key}, {count} times")
            row = rows[token]
            wrong = self.differences(row, place, operation, document_key, update, seconds, version)
            if not row["SEQUENCE"] > before:
                wrong.append("SEQUENCE")
            before = row["SEQUENCE"]
            if wrong:
                self.result.note("differing", f"{operation} {key}, token {token}: {', '.join(wrong)}")
        for token, count in self.events.items():
            self.result.note("differing", f"{count} rows of an event that nobody owed: {token}")

    def differences(self, row, place, operation, document_key, update, seconds, version) -> list[str]:
        wrong = []
        if row["OPERATION"] != operation or row["NAMESPACE"] != self.name:
            wrong.append("OPERATION or NAMESPACE")
        if parsed(row["DOCUMENT_KEY"]) not in Values([decoded(document_key)]):
            wrong.append("DOCUMENT_KEY")
        if row["EVENT_TIME"] != EPOCH + datetime.timedelta(seconds=seconds):
            wrong.append("EVENT_TIME")
        if operation in ("insert", "update", "replace", "delete"):
            if parsed(row["UPDATE_DESCRIPTION"]) not in Values([decoded(update) if operation == "update" else None]):
                wrong.append("UPDATE_DESCRIPTION")
            if parsed(row["DOCUMENT"]) not in self.documents(place, operation, version):
                wrong.append("DOCUMENT")
            if parsed(row["DOCUMENT_BEFORE"]) not in self.truth.befores(key_text(document_key), place, operation):
                wrong.append("DOCUMENT_BEFORE")
        return wrong

    def documents(self, place: int, operation: str, version: int | None) -> list[object]:
        if operation == "delete":
            return Values([None])
        if operation == "update":
            served = self.truth.rows("SELECT version FROM served WHERE place=?", place).fetchall()
            return Values([self.truth.document(one) for one, in served])
        return Values([self.truth.document(version)])

    def check_last(self) -> None:
        for key, versions in self.truth.versions.items():
            if key in self.incomplete:
                continue
            version, _, until, _ = versions[-1]
            expected = None if until is not None else self.truth.document(version)
            row = self.last.get(key)
            if row is None:
                # It died before T0, or between T0 and its range's scan with its delete event owed above.
                if expected is not None:
                    self.result.note("differing", f"no row at all of {key}, which lives")
            elif parsed(row[1]) not in Values([expected]) and (expected is not None or row[2] != "delete"):
                self.result.note("differing", f"the last row of {key} by SEQUENCE is not its document")


def compare(truth: str, table: str, database: str, collection: str, copied_ids: bool = True) -> Result:
    """`copied_ids` False: EVENT_ID of a snapshot row is T0 alone."""
    return Comparison(Truth(str(truth), database, collection), str(table), copied_ids).run()


def main() -> int:
    if len(sys.argv) != 5:
        print(__doc__, file=sys.stderr)
        return 2
    result = compare(*sys.argv[1:])
    for example in result.examples:
        print(example)
    print(result)
    return 0 if result.is_equal else 1


if __name__ == "__main__":
    sys.exit(main())
