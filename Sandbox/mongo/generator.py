"""Seeded documents, each computed from its number alone, and insert events made of them.

Document `i` of a seed is always the same bytes; `_id`s rise with `i`. Sizes vary evenly around the wanted mean.
"""
import random
import struct
import time
from bisect import bisect_left, bisect_right
from heapq import merge

from .eventlog import EVENT, Event, event_head, make_token, namespace_element
from .store import Collection, Load, Store
from .values import NUMBER, OBJECTID, STRING, document, encode, key_of_document_key

POOL = 1 << 16
SPREAD = 64
FIRST_SECOND = 0x65000000           # of the ObjectIds
CITIES = ["Zürich", "Łódź", "São Paulo", "東京", "Reykjavík", "New York", 'Saint "John\'s"', "Αθήνα", "Kraków 🐉", "Bern"]
STATES = ["open", "paid", "packed", "shipped", "returned", "closed"]
WORDS = ("time person year way day thing man world life hand part child eye woman place work week case point company "
         'number group problem fact "quoted" back\\slash tab\there line\nbreak 50% a/b <tag> {brace} [x] comma, end. ').split(" ")
_oid, _int64, _double, _int32 = struct.Struct(">III"), struct.Struct("<q"), struct.Struct("<d"), struct.Struct("<i")
MASK = (1 << 64) - 1


def text_element(name: str, value: str) -> bytes:
    raw = value.encode()
    return b"\x02" + name.encode() + b"\0" + _int32.pack(len(raw) + 1) + raw + b"\0"


class Documents:
    def __init__(self, seed: int, mean_bytes: int = 330, mixed_ids: bool = False):
        self.seed, self.mixed_ids = seed, mixed_ids
        self.shelf = seed & 0xFFFFFFFF
        self.stir = (seed * 0xD6E8FEB86659FD93 + 0x9E3779B97F4A7C15) & MASK
        chance = random.Random(seed)
        self.cities = [text_element("city", city) + text_element("zip", "%05d" % chance.randrange(100000)) + b"\0"
                       for city in CITIES for _ in range(10)]
        self.cities = [b"\x03address\0" + _int32.pack(len(inner) + 4) + inner for inner in self.cities]
        self.states = [text_element("status", state) for state in STATES]
        self.tags = [b"\x04tags\0" + encode({"0": a, "1": b, "2": chance.randrange(1000)}) for a in STATES for b in STATES]
        self.note = 0
        bare = [len(self.document(number)) for number in range(500)]
        self.note = max(0, mean_bytes - sum(bare) // len(bare))
        words, size, wanted = [], 0, POOL + self.note + SPREAD
        while size < wanted:
            words.append(chance.choice(WORDS) + str(chance.randrange(100)))
            size += len(words[-1]) + 1
        self.pool = " ".join(words).encode()

    pool = b" " * (POOL + SPREAD)

    def _hash(self, number: int) -> int:
        mixed = (number * 0x9E3779B97F4A7C15 + self.stir) & MASK
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        return mixed ^ (mixed >> 31)

    def _note_length(self, mixed: int) -> int:
        return self.note + (mixed >> 40) % SPREAD

    def id_element(self, number: int) -> bytes:
        if self.mixed_ids and number % 8 >= 5:
            kind = number % 8
            if kind == 5:
                return b"\x12_id\0" + _int64.pack(number)
            return text_element("_id", f"key-{number:09d}") if kind == 6 else b"\x03_id\0" + encode({"shop": number % 7,
                                                                                                     "n": number})
        return b"\x07_id\0" + _oid.pack(FIRST_SECOND + (number >> 16), self.shelf, number)

    def document(self, number: int) -> bytes:
        mixed = self._hash(number)
        length, at, name = self._note_length(mixed), (mixed >> 16) & 0xFFFF, mixed & 0xFFFF
        pool = self.pool
        body = b"".join((
            self.id_element(number), b"\x12number\0", _int64.pack(number),
            b"\x02customer\0\x0d\0\0\0", pool[name:name + 12], b"\0",
            self.states[mixed % 6], b"\x01amount\0", _double.pack((mixed >> 24) / 10000000),
            b"\x09created\0", _int64.pack(1_600_000_000_000 + (mixed >> 24) % 200_000_000_000),
            b"\x08active\0\1" if mixed & 1 else b"\x08active\0\0",
            self.cities[(mixed >> 8) % 100], self.tags[(mixed >> 12) % 36],
            b"\x02note\0", _int32.pack(length + 1), pool[at:at + length], b"\0"))
        return _int32.pack(len(body) + 5) + body + b"\0"

    def key(self, number: int) -> tuple:
        if not self.mixed_ids or number % 8 < 5:
            return (OBJECTID, _oid.pack(FIRST_SECOND + (number >> 16), self.shelf, number))
        kind = number % 8
        return (NUMBER, 1, number) if kind == 5 else (STRING, b"key-%09d" % number) if kind == 6 else key_of_document_key(
            document(self.id_element(number)))


class GeneratedCollection(Collection):
    """Starts with the documents 0..count-1 of a seed, which are computed when they are read."""

    def __init__(self, db: str, name: str, documents: Documents, count: int, first_version: int):
        super().__init__(db, name)
        self.base, self.first_version = documents, first_version
        self.numbers = range(count)
        self.gone: set[tuple] = set()

    def _number(self, key: tuple) -> int | None:
        """The number of a base document with this key, removed or not."""
        if key[0] != OBJECTID:
            return None
        seconds, shelf, number = _oid.unpack(key[1])
        same = number in self.numbers and shelf == self.base.shelf and seconds == FIRST_SECOND + (number >> 16)
        return number if same else None

    def __len__(self) -> int:
        return len(self.numbers) - len(self.gone) + len(self.order)

    def get(self, key: tuple):
        found = self.docs.get(key)
        if found is not None:
            return found
        number = self._number(key)
        if number is None or key in self.gone:
            return None
        return self.base.document(number), self.first_version + number

    def put(self, key: tuple, raw: bytes, version: int) -> None:
        if self._number(key) is not None:
            self.gone.discard(key)
        elif key not in self.docs:
            self.order.add(key)
        self.docs[key] = (raw, version)

    def remove(self, key: tuple):
        found = self.get(key)
        self.docs.pop(key, None)
        if self._number(key) is None:
            self.order.remove(key)
        else:
            self.gone.add(key)
        return found

    def keys(self, low, high, inclusive=(True, True), reverse=False):
        start = 0 if low is None else (bisect_left if inclusive[0] else bisect_right)(self.numbers, low, key=self.base.key)
        end = len(self.numbers) if high is None else (bisect_right if inclusive[1] else bisect_left)(
            self.numbers, high, key=self.base.key)
        numbers = range(start, end)
        base = map(self.base.key, reversed(numbers) if reverse else numbers)
        if self.gone:
            base = (key for key in base if key not in self.gone)
        return merge(base, super().keys(low, high, inclusive, reverse), reverse=reverse) if self.order else base


def load(store: Store, db: str, name: str, documents: Documents, count: int, lazy: bool) -> Collection:
    """Fills a collection without events: kept as bytes, or (`lazy`) computed when read."""
    if not lazy:
        return store.load(db, name, map(documents.document, range(count)))
    with store.lock:
        made = add_generated(store, db, name, documents, count)
        store.loads.append(Load(made, len(store.log.entries), None))
        return made


def add_generated(store: Store, db: str, name: str, documents: Documents, count: int) -> GeneratedCollection:
    if store.collection(db, name):
        raise ValueError(f"{db}.{name} exists")
    made = GeneratedCollection(db, name, documents, count, store.next_version(count))
    store.databases.setdefault(db, {})[name] = made
    return made


def generate_events(store: Store, db: str, name: str, documents: Documents, count: int, collections: int = 1) -> None:
    """Appends `count` distinct insert events, each of its own document, to the log; the documents are there as well. With
    more than one collection they are called `name` and a number, and take turns."""
    log = store.log
    with store.lock:
        places = []
        for turn in range(collections):
            own = name if collections == 1 else f"{name}_{turn:04}"
            made = add_generated(store, db, own, documents, len(range(turn, count, collections)))
            places.append((own, made.uuid, made.first_version, namespace_element(db, own)))
        wall = int(time.time() * 1000)
        entries, stamps = log.entries, log.stamps
        for index in range(count):
            number, turn = divmod(index, collections)
            own, uuid, first, namespace = places[turn]
            stamp, place = log.tick(), len(entries) + 1
            head = event_head(make_token(stamp, place, EVENT), "insert", stamp, wall + index // 100)
            body = b"".join((head, b"\x03fullDocument\0", documents.document(number), namespace, b"\x03documentKey\0",
                             document(documents.id_element(number))))
            event = Event(place, stamp, "insert", db, own, uuid, _int32.pack(len(body) + 5) + body + b"\0", len(head) + 4)
            event.version = first + number
            stamps.append(stamp)
            entries.append(event)
        log.wake()
