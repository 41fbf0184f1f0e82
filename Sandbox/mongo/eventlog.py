"""The oplog: one append-only list of events, its clock, and the tokens that name places in it.

A place is the number of events before it. Token: hex text, sorts as its place does:

    82 SSSSSSSS IIIIIIII 2B NNNNNNNNNNNN 6E04        the event with number N (1-based), its cluster time S.I
                                         6E04FF      fragment FF (0-based) of that event, when it was split
                                         6FFF04      the invalidate that follows it
                                         7004        a high-water mark: N events read, cluster time S.I reached
"""
import re
import struct
import threading
import time
from array import array
from bisect import bisect_left
from dataclasses import dataclass

from .values import document, encode

EVENT, INVALIDATE, HIGH_WATER = "6E04", "6FFF04", "7004"
_shape = re.compile(r"82([0-9A-F]{8})([0-9A-F]{8})2B([0-9A-F]{12})(6E04|6FFF04|7004)([0-9A-F]{2})?")
_stamp = struct.Struct("<II")
_int32 = struct.Struct("<i")


def make_token(stamp: int, place: int, kind: str) -> str:
    return f"82{stamp:016X}2B{place:012X}{kind}"


@dataclass(frozen=True, slots=True)
class Token:
    stamp: int
    place: int
    kind: str
    fragment: int | None

    @staticmethod
    def parse(text: str) -> "Token | None":
        found = _shape.fullmatch(text)
        if not found:
            return None
        seconds, increment, place, kind, fragment = found.groups()
        return Token(int(seconds + increment, 16), int(place, 16), kind, int(fragment, 16) if fragment else None)


def token_document(text: str) -> bytes:
    raw = text.encode()
    return document(b"\x02_data\0" + _int32.pack(len(raw) + 1) + raw + b"\0")


class Event:
    """One entry. `raw` is the event as a plain stream gets it; what options add goes in at `cut`, before fullDocument."""
    __slots__ = ("place", "stamp", "operation", "db", "coll", "to", "uuid", "raw", "cut", "key", "document_key",
                 "version", "post", "pre", "images", "description", "expanded_only")

    def __init__(self, place, stamp, operation, db, coll, uuid, raw, cut):
        self.place, self.stamp, self.operation, self.db, self.coll, self.uuid = place, stamp, operation, db, coll, uuid
        self.raw, self.cut = raw, cut
        self.to = self.key = self.document_key = self.post = self.pre = self.description = None
        self.version, self.images, self.expanded_only = 0, False, False

    @property
    def token(self) -> str:
        return make_token(self.stamp, self.place, EVENT)

    def post_image(self) -> bytes | None:
        if self.operation in ("insert", "replace"):
            start = self.cut + len(b"\x03fullDocument\0")
            return self.raw[start:start + _int32.unpack_from(self.raw, start)[0]]
        return self.post


def event_head(token: str, operation: str, stamp: int, wall_ms: int) -> bytes:
    name, text = operation.encode(), token.encode()
    return b"".join((
        b"\x03_id\0", _int32.pack(len(text) + 17), b"\x02_data\0", _int32.pack(len(text) + 1), text, b"\0\0",
        b"\x02operationType\0", _int32.pack(len(name) + 1), name, b"\0",
        b"\x11clusterTime\0", _stamp.pack(stamp & 0xFFFFFFFF, stamp >> 32),
        b"\x09wallTime\0", struct.pack("<q", wall_ms)))


_namespaces: dict = {}


def namespace_element(db: str, coll: str | None) -> bytes:
    found = _namespaces.get((db, coll))
    if found is None:
        inner = {"db": db} if coll is None else {"db": db, "coll": coll}
        found = _namespaces[(db, coll)] = b"\x03ns\0" + encode(inner)
    return found


class EventLog:
    def __init__(self, first_second: int | None = None, noop_seconds: float = 10):
        self.entries: list[Event] = []
        self.stamps = array("Q")
        self.floor = 0                     # events before this place are gone from the oplog
        self.window = 0                    # keep this many events (0: all)
        self.noop_seconds = noop_seconds
        self.fixed_second = first_second
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.waiting = 0
        self.grouped = None                # the stamp that the events of an open group share
        self.stamp = ((first_second or int(time.time())) << 32) | 1

    # --- clock -------------------------------------------------------------------------------------------------------

    def tick(self) -> int:
        if self.grouped is not None:
            return self.grouped
        now = int(time.time()) << 32
        self.stamp = max(self.stamp + 1, now | 1) if self.fixed_second is None else self.stamp + 1
        return self.stamp

    def noop(self) -> None:
        """An idle primary writes a no-op now and then: high-water marks move although nothing happens."""
        with self.lock:
            if self.fixed_second is None and time.time() - (self.stamp >> 32) >= self.noop_seconds:
                self.tick()

    def group(self):
        return _Group(self)

    # --- writing (the lock is held) ----------------------------------------------------------------------------------

    def append(self, operation, db, coll, uuid, full_document=None, tail=b"") -> Event:
        """`tail`: encoded elements after ns."""
        stamp, place = self.tick(), len(self.entries) + 1
        head = event_head(make_token(stamp, place, EVENT), operation, stamp, int(time.time() * 1000))
        full = b"\x03fullDocument\0" + full_document if full_document is not None else b""
        raw = document(b"".join((head, full, namespace_element(db, coll), tail)))
        event = Event(place, stamp, operation, db, coll, uuid, raw, len(head) + 4)
        self.add(event)
        return event

    def add(self, event: Event) -> None:
        self.stamps.append(event.stamp)
        self.entries.append(event)
        if self.window and len(self.entries) - self.floor > self.window:
            self.floor = len(self.entries) - self.window
        if self.waiting:
            self.changed.notify_all()

    def wake(self) -> None:
        with self.lock:
            self.changed.notify_all()

    # --- reading -----------------------------------------------------------------------------------------------------

    def wait_beyond(self, place: int, seconds: float, give_up=lambda: False) -> bool:
        """Waits until there is an event after `place`."""
        deadline = time.monotonic() + seconds
        with self.lock:
            while len(self.entries) <= place and not give_up():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self.waiting += 1
                try:
                    self.changed.wait(left)
                finally:
                    self.waiting -= 1
            return len(self.entries) > place

    def high_water(self, place: int | None = None) -> str:
        """The mark after `place` events; at the end of the log it carries the newest cluster time."""
        with self.lock:
            if place is None or place >= len(self.entries):
                return make_token(self.stamp, len(self.entries), HIGH_WATER)
            stamp = self.stamps[place - 1] if place else self.stamps[0]
            return make_token(stamp, place, HIGH_WATER)

    def place_at_time(self, stamp: int) -> int:
        return bisect_left(self.stamps, stamp)

    def knows(self, token: Token) -> bool:
        """Whether the token's place is one of this log's."""
        place, count = token.place, len(self.entries)
        if place > count or token.stamp > self.stamp:
            return False
        if token.kind != HIGH_WATER:
            return place > 0 and self.stamps[place - 1] == token.stamp
        return (place == 0 or self.stamps[place - 1] <= token.stamp) and (
            place == count or self.stamps[place] >= token.stamp)

    def lost(self, token: Token) -> bool:
        return token.place < self.floor + (0 if token.kind == HIGH_WATER or not self.floor else 1)


class _Group:
    """Events written inside share one cluster time, as those of one transaction do."""

    def __init__(self, log: EventLog):
        self.log = log

    def __enter__(self):
        self.log.lock.acquire()
        self.log.grouped = self.log.tick()
        return self

    def __exit__(self, *_):
        self.log.grouped = None
        self.log.lock.release()
