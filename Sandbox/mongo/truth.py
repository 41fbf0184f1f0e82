"""The truth dump: one SQLite file with all that the stand-in did, for a reader outside to compute what was owed.

A *place* is a position in the log: the number of events before it. All documents and keys are BSON.

    event(place, token, operation, db, coll, document_key, update_description, seconds, increment, wall_ms, version)
        every event in order; place is 1-based: event `p` lies between the places p-1 and p. version: the document that
        an insert, replace or update left behind (see below), else NULL.
    version(version, db, coll, rank, document_key, from_place, to_place, hash, bson)
        every document version and the places between which it lived: at a place p it was the current one if
        from_place <= p and (to_place IS NULL or p < to_place). rank: place of the key in MongoDB's `_id` order among all
        keys the namespace ever had. hash: BLAKE2b-128 of the BSON. bson is NULL if dumped with documents: false.
        (A renamed collection's documents appear once more, under the new name.)
    served(place, version, times)
        for each update event (place) that a stream delivered with fullDocument updateLookup: the versions that were
        looked up for it; version 0: null, the document was gone.
    stream(number, opened, scope, db, coll, options, token, place)
        each change stream opened: the token its aggregate reply carried (T0 of a copy) and that token's place.
    scan(number, db, coll, question)
    scan_batch(number, batch, place, from_rank, to_rank, count)
        each reply of a find: it covered the keys with from_rank <= rank <= to_rank, and read them at `place`.
    meta(name, value): places (events in the log), floor, operation_time.

What a copy owes, T0 = stream.place and E = the place at which the key's range was read for the last time:
  a snapshot row for each key that had a version alive at all places from T0 to E; for others it is allowed once.
  The row that a scan batch carried for a key is the version alive at scan_batch.place.
  An event row for each event with place > T0; an update's document must be one of `served` for its place.
  The last state of a collection: the versions with to_place NULL.
"""
import os
import sqlite3
from bisect import bisect_left, bisect_right
from collections import Counter
from hashlib import blake2b

from bson import json_util

from .eventlog import Token
from .generator import GeneratedCollection
from .store import Load
from .values import key_of_document_key, with_id_first

SCHEMA = """
CREATE TABLE meta(name TEXT PRIMARY KEY, value);
CREATE TABLE event(place INTEGER PRIMARY KEY, token TEXT, operation TEXT, db TEXT, coll TEXT, document_key BLOB,
  update_description BLOB, seconds INTEGER, increment INTEGER, wall_ms INTEGER, version INTEGER);
CREATE TABLE version(version INTEGER, db TEXT, coll TEXT, rank INTEGER, document_key BLOB, from_place INTEGER,
  to_place INTEGER, hash BLOB, bson BLOB);
CREATE TABLE served(place INTEGER, version INTEGER, times INTEGER, PRIMARY KEY(place, version)) WITHOUT ROWID;
CREATE TABLE stream(number INTEGER PRIMARY KEY, opened REAL, scope TEXT, db TEXT, coll TEXT, options TEXT, token TEXT,
  place INTEGER);
CREATE TABLE scan(number INTEGER PRIMARY KEY, db TEXT, coll TEXT, question TEXT);
CREATE TABLE scan_batch(number INTEGER, batch INTEGER, place INTEGER, from_rank INTEGER, to_rank INTEGER, count INTEGER);
"""
INDEXES = """
CREATE INDEX version_number ON version(version);
CREATE INDEX version_rank ON version(db, coll, rank);
CREATE INDEX scan_batch_number ON scan_batch(number);
"""


class History:
    """Replays loads and events into versions with the places between which they lived."""

    def __init__(self, documents: bool):
        self.documents = documents
        self.living: dict = {}                 # (db, coll) -> key -> [version, document key, from place, raw]
        self.rows: list[tuple] = []            # (version, namespace, key, document key, from, to, hash, bson)

    def born(self, namespace: tuple, key: tuple, version: int, document_key: bytes, place: int, raw: bytes) -> None:
        kept = raw if self.documents else None
        self.living.setdefault(namespace, {})[key] = (version, document_key, place,
                                                      blake2b(raw, digest_size=16).digest(), kept)

    def died(self, namespace: tuple, key: tuple, place: int | None) -> None:
        lived = self.living[namespace].pop(key, None)
        if lived:
            version, document_key, since, digest, raw = lived
            self.rows.append((version, namespace, key, document_key, since, place, digest, raw))

    def load(self, load: Load) -> None:
        namespace, base = (load.db, load.name), load.collection
        if load.documents is not None:
            for key, (raw, version) in load.documents:
                self.born(namespace, key, version, with_id_first(raw)[1], load.place, raw)
        elif isinstance(base, GeneratedCollection):
            for number in base.numbers:
                raw = base.base.document(number)
                self.born(namespace, base.base.key(number), base.first_version + number, with_id_first(raw)[1],
                          load.place, raw)

    def event(self, event) -> bytes | None:
        """Applies one event; its documentKey."""
        namespace, place = (event.db, event.coll), event.place
        if event.operation == "drop":
            for key in list(self.living.get(namespace, ())):
                self.died(namespace, key, place)
        elif event.operation == "rename":
            self._rename(namespace, event.to, place)
        elif event.operation in ("insert", "update", "replace"):
            raw = event.post_image()
            document_key = event.document_key or with_id_first(raw)[1]
            key = event.key or key_of_document_key(document_key)
            if event.operation != "insert":
                self.died(namespace, key, place)
            self.born(namespace, key, event.version, document_key, place, raw)
            return document_key
        elif event.operation == "delete":
            self.died(namespace, event.key, place)
        return event.document_key

    def _rename(self, source: tuple, target: tuple, place: int) -> None:
        moved = dict(self.living.get(source, {}))
        for key, (version, document_key, _, digest, raw) in moved.items():
            self.died(source, key, place)
            self.living.setdefault(target, {})[key] = (version, document_key, place, digest, raw)

    def end(self) -> None:
        for namespace, living in self.living.items():
            for key in list(living):
                self.died(namespace, key, None)


def dump(server, path: str, documents: bool = True) -> dict:
    """Writes the file (it appears when it is complete). The places up to the moment of the call are in it."""
    log, store = server.log, server.store
    with store.lock:
        places, loads = len(log.entries), list(store.loads)
        served, streams, scans = list(server.lookups.served), list(server.streams), list(server.scans)
        batches = [list(scan.batches) for scan in scans]
        meta = {"places": places, "floor": log.floor, "operation_time": f"{log.stamp >> 32}.{log.stamp & 0xFFFFFFFF}"}
    new = path + ".new"
    if os.path.exists(new):
        os.unlink(new)
    base = sqlite3.connect(new, isolation_level=None)
    try:
        base.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;" + SCHEMA)
        base.execute("BEGIN")
        history = History(documents)
        base.executemany("INSERT INTO event VALUES(?,?,?,?,?,?,?,?,?,?,?)", event_rows(log, places, loads, history))
        history.end()
        ranks = write_versions(base, history)
        base.executemany("INSERT INTO served VALUES(?,?,?)",
                         ((place, version, times) for (place, version), times in Counter(served).items()))
        base.executemany("INSERT INTO stream VALUES(?,?,?,?,?,?,?,?)", stream_rows(streams))
        write_scans(base, scans, batches, ranks)
        base.executemany("INSERT INTO meta VALUES(?,?)", meta.items())
        base.execute("COMMIT")
        base.executescript(INDEXES)
    finally:
        base.close()
    os.replace(new, path)
    return {"events": places, "versions": len(history.rows), "served": len(served), "path": path}


def event_rows(log, places: int, loads: list, history: History):
    pending = sorted(loads, key=lambda load: load.place)
    for event in log.entries[:places]:
        while pending and pending[0].place < event.place:
            history.load(pending.pop(0))
        document_key = history.event(event)
        wall = int.from_bytes(event.raw[event.cut - 8:event.cut], "little", signed=True)
        yield (event.place, event.token, event.operation, event.db, event.coll, document_key, event.description,
               event.stamp >> 32, event.stamp & 0xFFFFFFFF, wall, event.version or None)
    for load in pending:
        history.load(load)


def write_versions(base, history: History) -> dict:
    """Ranks: for each namespace its keys in order."""
    keys: dict = {}
    for row in history.rows:
        keys.setdefault(row[1], set()).add(row[2])
    ranks = {namespace: sorted(found) for namespace, found in keys.items()}
    places = {namespace: {key: rank for rank, key in enumerate(found)} for namespace, found in ranks.items()}
    base.executemany("INSERT INTO version VALUES(?,?,?,?,?,?,?,?,?)", (
        (version, *namespace, places[namespace][key], document_key, since, until, digest, raw)
        for version, namespace, key, document_key, since, until, digest, raw in history.rows))
    return ranks


def stream_rows(streams: list):
    for number, (opened, scope, options, token) in enumerate(streams, 1):
        parsed = Token.parse(token)
        yield (number, opened, scope.kind, scope.db, scope.coll if scope.kind == "collection" else None,
               json_util.dumps(options), token, parsed.place if parsed else None)


def write_scans(base, scans: list, batches: list, ranks: dict) -> None:
    base.executemany("INSERT INTO scan VALUES(?,?,?,?)", ((s.number, *s.namespace, s.question) for s in scans))
    rows = []
    for scan, covered in zip(scans, batches, strict=True):
        keys = ranks.get(scan.namespace, [])
        for index, (place, low, low_inclusive, high, high_inclusive, count) in enumerate(covered):
            first = 0 if low is None else (bisect_left if low_inclusive else bisect_right)(keys, low)
            last = len(keys) if high is None else (bisect_right if high_inclusive else bisect_left)(keys, high)
            rows.append((scan.number, index, place, first, last - 1, count))
    base.executemany("INSERT INTO scan_batch VALUES(?,?,?,?,?,?)", rows)
