"""Change streams: a cursor over the event log, with scope, options and the stages behind $changeStream."""
import struct
import threading
import time

from bson import Timestamp

from .eventlog import EVENT, HIGH_WATER, INVALIDATE, Event, Token, event_head, make_token, token_document
from .failures import NOT_RESUMABLE_LABEL, CommandError, HistoryLost
from .matching import matches, project
from .store import Store, one_element
from .values import MAX_INTERNAL_BYTES, MAX_USER_BYTES, decode, document, encode, elements

OPTIONS = {"fullDocument", "fullDocumentBeforeChange", "resumeAfter", "startAfter", "startAtOperationTime",
           "allChangesForCluster", "allowToRunOnConfigDB", "showExpandedEvents", "showMigrationEvents",
           "showSystemEvents", "showRawUpdateDescription"}
FULL_DOCUMENT = ("default", "updateLookup", "whenAvailable", "required")
BEFORE_CHANGE = ("off", "whenAvailable", "required")
STAGES = {"$match", "$project", "$unset", "$addFields", "$set", "$replaceRoot", "$replaceWith", "$redact"}
PASS, SKIP, LOOK = 1, 2, 3
EVENT_NAME_FIELDS = {"operationType", "ns", "ns.db", "ns.coll", "to", "to.db", "to.coll"}


class Lookups:
    """Which document versions were served for which event: pairs of (place, version), 0 for none."""

    def __init__(self):
        self.served: list[tuple[int, int]] = []

    def add(self, place: int, version: int) -> None:
        self.served.append((place, version))


class Scope:
    def __init__(self, db: str, target, whole_deployment: bool):
        if whole_deployment and (db != "admin" or target != 1):
            raise CommandError(72, "A $changeStream with 'allChangesForCluster:true' may only be opened on the 'admin' "
                               "database, and with no collection name")
        if not whole_deployment and db in ("admin", "local", "config"):
            raise CommandError(73, f"$changeStream may not be opened on the internal {db} database")
        self.kind = "deployment" if whole_deployment else "database" if target == 1 else "collection"
        self.db, self.coll = db, target
        self.namespace = f"{db}.{target}" if self.kind == "collection" else f"{db}.$cmd.aggregate"

    def covers(self, event: Event) -> bool:
        if self.kind == "deployment":
            return event.db not in ("admin", "local", "config")
        if event.db == self.db and (self.kind == "database" or event.coll == self.coll):
            return True
        return event.to is not None and self._is(event.to)

    def _is(self, namespace: tuple) -> bool:
        return namespace[0] == self.db and (self.kind == "database" or namespace[1] == self.coll)

    def ends_with(self, event: Event) -> bool:
        """Whether the event invalidates a stream of this scope."""
        if self.kind == "collection":
            return event.operation in ("drop", "rename") and self.covers(event)
        return self.kind == "database" and event.operation == "dropDatabase" and event.db == self.db


class ChangeStream:
    def __init__(self, store: Store, lookups: Lookups, db: str, command: dict, split_bytes: int):
        self.store, self.log, self.lookups = store, store.log, lookups
        self.busy = threading.Lock()
        stage, *rest = command["pipeline"]
        self.spec = checked_options(stage["$changeStream"])
        self.scope = Scope(db, command["aggregate"], bool(self.spec.get("allChangesForCluster")))
        self.namespace = self.scope.namespace
        self.expanded = bool(self.spec.get("showExpandedEvents"))
        self.full_document = self.spec.get("fullDocument", "default")
        self.before_change = self.spec.get("fullDocumentBeforeChange", "off")
        self.plain = self.full_document == "default" and self.before_change == "off" and not self.expanded
        self.split_bytes, self.splits = split_bytes, "$changeStreamSplitLargeEvent" in (rest[-1] if rest else {})
        self.stages = checked_stages(rest[:-1] if self.splits else rest)
        self.by_name, self.by_content = divide_stages(self.stages)
        self.named: dict = {}
        self.verdicts: dict = {}
        self.not_before = 0
        self.dead = False
        # Fragments or an invalidate still to be handed out; None for one that the pipeline leaves out.
        self.pending: list[tuple[str, bytes | None]] = []
        self.token, self.place = self._start()

    # --- where to begin ----------------------------------------------------------------------------------------------

    def _start(self) -> tuple[str, int]:
        given = [name for name in ("resumeAfter", "startAfter", "startAtOperationTime") if name in self.spec]
        if len(given) > 1:
            raise CommandError(40674, "Only one type of resume option is allowed, but multiple were found.")
        if not given:
            with self.log.lock:
                return self.log.high_water(), len(self.log.entries)
        if given[0] == "startAtOperationTime":
            return self._start_at(self.spec["startAtOperationTime"])
        return self._start_after(given[0], self.spec[given[0]])

    def _start_at(self, time: Timestamp) -> tuple[str, int]:
        stamp = (time.time << 32) | time.inc
        place = self.log.place_at_time(stamp)
        if place < self.log.floor or self.log.floor and stamp <= self.log.stamps[self.log.floor - 1]:
            raise HistoryLost()
        self.not_before = stamp
        return make_token(stamp, place, HIGH_WATER), place

    def _start_after(self, option: str, given) -> tuple[str, int]:
        if not isinstance(given, dict) or not isinstance(given.get("_data"), str):
            raise CommandError(40649, "Bad resume token: _data of missing or of wrong type")
        token = Token.parse(given["_data"])
        if token is None:
            raise CommandError(9, "resume token string was not a valid hex string")
        if token.kind == INVALIDATE and option == "resumeAfter":
            raise CommandError(260, "Attempting to resume a change stream using 'resumeAfter' is not allowed from an "
                               "invalidate notification.")
        if self.log.lost(token):
            raise HistoryLost()
        if not self.log.knows(token):
            raise CommandError(280, "cannot resume stream; the resume token was not found. " + str(given),
                               (NOT_RESUMABLE_LABEL,))
        if token.fragment is not None:
            self._resume_inside(token)
        elif token.kind == EVENT and self.scope.ends_with(self.log.entries[token.place - 1]):
            self.pending = [self._invalidate(self.log.entries[token.place - 1])]
        return given["_data"], token.place

    def _resume_inside(self, token: Token) -> None:
        fragments = self._shaped(self.log.entries[token.place - 1]) or []
        if len(fragments) <= token.fragment:
            raise CommandError(280, "cannot resume stream; the resume token was not found (split event changed)",
                               (NOT_RESUMABLE_LABEL,))
        self.pending = fragments[token.fragment + 1:]

    # --- reading -----------------------------------------------------------------------------------------------------

    def next_batch(self, limit: int, wait_seconds: float, cancelled=lambda: False) -> list[bytes]:
        """Up to `limit` events; waits for the first one. Sets `token` to the batch's postBatchResumeToken."""
        deadline = time.monotonic() + wait_seconds
        while True:
            batch = self._take(limit)
            left = deadline - time.monotonic()
            if batch or left <= 0 or self.dead or cancelled():
                return batch
            if not self.log.wait_beyond(self.place, left, cancelled):
                self.log.noop()

    def _take(self, limit: int) -> list[bytes]:
        if self.place < self.log.floor:
            raise HistoryLost()
        batch, size = [], 0
        entries, count = self.log.entries, len(self.log.entries)
        while len(batch) < limit:
            if self.pending:
                token, raw = self.pending[0]
                if raw is None:
                    self.pending.pop(0)
                    self.token = token
                    continue
                if batch and size + len(raw) > MAX_USER_BYTES:
                    return batch
                self.pending.pop(0)
                batch.append(raw)
                size += len(raw)
                self.token = token
                continue
            if self.dead or self.place >= count:
                break
            size = self._take_as_they_are(batch, limit, size)
            if size > MAX_USER_BYTES:
                return batch
            if self.place < count and len(batch) < limit:
                self._take_one(entries[self.place])
        self._settle(len(batch) >= limit)
        return batch

    def _take_as_they_are(self, batch: list, limit: int, size: int) -> int:
        """The fast path: events this stream passes or skips as their bytes stand, up to the first that needs a look.
        Returns the batch's size, over the limit if the next event does not fit."""
        verdicts, split_bytes = self.verdicts, self.split_bytes
        place, last = self.place, None
        for event in self.log.entries[place:place + limit - len(batch)]:
            verdict = verdicts.get((event.operation, event.db, event.coll)) or self._judge(event)
            if verdict == LOOK or event.stamp < self.not_before:
                break
            if verdict == PASS:
                raw = event.raw
                if len(raw) > split_bytes:
                    break
                size += len(raw)
                if size > MAX_USER_BYTES and batch:
                    break
                batch.append(raw)
                last = event
            place += 1
        self.place = place
        if last is not None:
            self.token = last
        return size

    def _judge(self, event: Event) -> int:
        kind, verdict = event.operation, LOOK
        if not self.by_content and not self.expanded and kind in ("insert", "update", "replace", "delete"):
            untouched = self.plain or kind == "insert" or self.before_change == "off" and kind != "update"
            if not (self.scope.covers(event) and self._passes_by_name(event)):
                verdict = SKIP
            elif untouched:
                verdict = PASS
        self.verdicts[(kind, event.db, event.coll)] = verdict
        return verdict

    def _take_one(self, event: Event) -> None:
        if self.scope.covers(event) and event.stamp >= self.not_before:
            self.pending = self._shaped(event)
            if self.scope.ends_with(event):
                self.pending.append(self._invalidate(event))
        self.place += 1

    def _settle(self, full: bool) -> None:
        """The token after a batch: the last event's, or when the log was read to its end the high-water mark."""
        if self.dead or self.pending:
            return
        if not full or self.place >= len(self.log.entries):
            mark = self.log.high_water(self.place)
            if self.not_before and int(mark[2:18], 16) < self.not_before:
                return
            self.token = mark

    def token_document(self) -> bytes:
        if isinstance(self.token, Event):
            self.token = self.token.token
        return token_document(self.token)

    @property
    def finished(self) -> bool:
        return self.dead and not self.pending

    # --- one event ---------------------------------------------------------------------------------------------------

    def _invalidate(self, event: Event) -> tuple[str, bytes | None]:
        """The stream ends in any case; what the pipeline leaves out shows in the last batch's token alone."""
        self.dead = True
        token = make_token(event.stamp, event.place, INVALIDATE)
        raw = document(event_head(token, "invalidate", event.stamp, int(time.time() * 1000)))
        if not all(matches({"operationType": "invalidate"}, query) for query in self.by_name):
            return token, None
        changed = run_stages(self.by_content, decode(raw))
        return token, None if changed is None else raw if not self.by_content else encode(changed)

    def _shaped(self, event: Event) -> list[tuple[str, bytes]]:
        """The event with this stream's options: none when filtered, several when split."""
        if event.expanded_only and not self.expanded or not self._passes_by_name(event):
            return []
        raw, looked_up = (event.raw, None) if self.plain else self._with_options(event)
        if self.by_content:
            changed = run_stages(self.by_content, decode(raw))
            if changed is None:
                return []
            if changed.get("_id") != {"_data": event.token}:
                raise CommandError(280, "Encountered an event whose _id field, which contains the resume token, was "
                                   "modified by the pipeline. Modifying the _id field of an event makes it impossible "
                                   "to resume the stream from that point. Only transformations that retain the "
                                   "unmodified _id field are allowed.", (NOT_RESUMABLE_LABEL,))
            raw = raw if all("$match" in stage for stage in self.by_content) else encode(changed)
        if looked_up is not None:
            self.lookups.add(event.place, looked_up)
        if len(raw) > self.split_bytes and self.splits:
            return split(event, raw, self.split_bytes)
        if len(raw) > MAX_INTERNAL_BYTES:
            size = len(raw)
            self.dead = True
            raise CommandError(10334, f"BSONObj size: {size} ({size:#X}) is invalid. Size must be between 0 and "
                               f"16793600(16MB) First element: _id: {{ _data: \"{event.token}\" }}",
                               (NOT_RESUMABLE_LABEL,))
        return [(event.token, raw)]

    def _passes_by_name(self, event: Event) -> bool:
        if not self.by_name:
            return True
        name = (event.operation, event.db, event.coll, event.to)
        if name not in self.named:
            ns = {"db": event.db} | ({"coll": event.coll} if event.coll else {})
            shell = {"operationType": event.operation, "ns": ns}
            if event.to is not None:
                shell["to"] = dict(zip(("db", "coll"), event.to, strict=True))
            self.named[name] = all(matches(shell, query) for query in self.by_name)
        return self.named[name]

    def _with_options(self, event: Event) -> tuple[bytes, int | None]:
        extra, looked_up, raw = [], None, event.raw
        if self.expanded and event.uuid is not None and not event.expanded_only:
            extra.append(b"\x05collectionUUID\0\x10\0\0\0\x04" + event.uuid.bytes)
        if event.operation == "update":
            if self.expanded:
                described = document(event.description[4:-1] + b"\x03disambiguatedPaths\0\x05\0\0\0\0")
                raw = raw[:-1 - len(event.description)] + described + b"\0"
            if self.full_document == "updateLookup":
                found = self._look_up(event)
                looked_up = found[1] if found else 0
                extra.append(one_element(b"fullDocument", found[0] if found else None))
            elif self.full_document != "default":
                extra.append(one_element(b"fullDocument", self._image(event, event.post, self.full_document, "post")))
        if self.before_change != "off" and event.operation in ("update", "replace", "delete"):
            extra.append(one_element(b"fullDocumentBeforeChange",
                                     self._image(event, event.pre, self.before_change, "pre")))
        if not extra and raw is event.raw:
            return raw, looked_up
        return document(b"".join((raw[4:event.cut], *extra, raw[event.cut:-1]))), looked_up

    def _look_up(self, event: Event) -> tuple[bytes, int] | None:
        """The document as it is now, in the collection that the event was about."""
        collection = self.store.collection(event.db, event.coll)
        return collection.get(event.key) if collection is not None and collection.uuid == event.uuid else None

    def _image(self, event: Event, raw: bytes | None, wanted: str, which: str) -> bytes | None:
        if event.images:
            return raw
        if wanted == "required":
            self.dead = True
            raise CommandError(47, f"Change stream was configured to require a {which}-image for all update, delete and "
                               f"replace events, but the {which}-image was not found for event: {event.token}",
                               (NOT_RESUMABLE_LABEL,))
        return None


def checked_options(spec: dict) -> dict:
    for name, value in spec.items():
        if name not in OPTIONS:
            raise CommandError(40415, f"BSON field '$changeStream.{name}' is an unknown field.")
        if name == "fullDocument" and value not in FULL_DOCUMENT:
            raise CommandError(2, f"Enumeration value '{value}' for field '$changeStream.fullDocument' is not a valid "
                               "value.")
        if name == "fullDocumentBeforeChange" and value not in BEFORE_CHANGE:
            raise CommandError(2, f"Enumeration value '{value}' for field '$changeStream.fullDocumentBeforeChange' is "
                               "not a valid value.")
        if name == "startAtOperationTime" and not isinstance(value, Timestamp):
            raise CommandError(14, f"BSON field '$changeStream.startAtOperationTime' is the wrong type, expected type "
                               "'timestamp'")
    return spec


def checked_stages(stages: list) -> list:
    for stage in stages:
        name = next(iter(stage))
        if name == "$changeStreamSplitLargeEvent":
            raise CommandError(7182802, "$changeStreamSplitLargeEvent must be the last stage in the pipeline")
        if name not in STAGES:
            known = name in ("$sort", "$limit", "$group", "$lookup", "$out", "$merge", "$skip", "$sample", "$count",
                             "$unwind", "$bucketAuto", "$facet")
            raise CommandError(20, f"{name} is not permitted in a $changeStream pipeline") if known else CommandError(
                40324, f"Unrecognized pipeline stage name: '{name}'")
    return stages


def fields_of(query: dict) -> set:
    names = set()
    for name, condition in query.items():
        names |= set().union(*map(fields_of, condition)) if name in ("$and", "$or", "$nor") else {name}
    return names


def divide_stages(stages: list) -> tuple[list, list]:
    """Leading $match stages on the event's kind and namespace are answered without decoding the event."""
    by_name = []
    for index, stage in enumerate(stages):
        if "$match" not in stage or not fields_of(stage["$match"]) <= EVENT_NAME_FIELDS:
            return by_name, stages[index:]
        by_name.append(stage["$match"])
    return by_name, []


def run_stages(stages: list, event: dict) -> dict | None:
    for stage in stages:
        (name, operand), = stage.items()
        if name == "$match":
            if not matches(event, operand):
                return None
        elif name == "$project":
            event = project(event, operand)
        elif name == "$unset":
            event = project(event, {path: 0 for path in ([operand] if isinstance(operand, str) else operand)})
        elif name in ("$addFields", "$set"):
            event = event | operand
        else:
            raise CommandError(238, f"the stand-in does not run {name}", name="NotImplemented")
    return event


def split(event: Event, raw: bytes, limit: int) -> list[tuple[str, bytes]]:
    """Cuts between top-level fields, filling each fragment up to `limit`."""
    groups, size = [[]], 0
    for name, _, start, _, end in elements(raw):
        if name == b"_id":
            continue
        if groups[-1] and size + end - start > limit - 256:
            groups.append([])
            size = 0
        groups[-1].append(raw[start:end])
        size += end - start
    fragments = []
    for number, group in enumerate(groups):
        token = event.token + f"{number:02X}"
        place = document(struct.pack("<B9si", 0x10, b"fragment\0", number + 1)
                         + struct.pack("<B3si", 0x10, b"of\0", len(groups)))
        fragments.append((token, document(b"".join((b"\x03_id\0", token_document(token), b"\x03splitEvent\0", place,
                                                    *group)))))
    return fragments

