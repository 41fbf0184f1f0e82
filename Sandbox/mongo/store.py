"""Collections and the writes that change them. Every write appends its event under the log's lock.

A document is `(raw, version)`: versions are numbered through the whole store, so that a reader of the truth dump can
say which one a lookup served. `base` documents are there from the start of a collection, without an event.
"""
import threading
import uuid as uuids
from dataclasses import dataclass, field

from bson import Binary
from sortedcontainers import SortedList

from .eventlog import Event, EventLog
from .failures import CommandError
from .values import MAX_USER_BYTES, decode, encode, key_of_document_key, with_id_first

ID_INDEX = {"v": 2, "key": {"_id": 1}, "name": "_id_"}


class Collection:
    def __init__(self, db: str, name: str, options: dict | None = None):
        self.db, self.name, self.options = db, name, dict(options or {})
        self.uuid = uuids.uuid4()
        self.docs: dict[tuple, tuple[bytes, int]] = {}
        self.order = SortedList()
        self.indexes = [dict(ID_INDEX)]

    @property
    def images(self) -> bool:
        return bool(self.options.get("changeStreamPreAndPostImages", {}).get("enabled"))

    @property
    def namespace(self) -> str:
        return f"{self.db}.{self.name}"

    def __len__(self) -> int:
        return len(self.docs)

    def __bool__(self) -> bool:
        return True                        # an empty collection is still one

    def get(self, key: tuple) -> tuple[bytes, int] | None:
        return self.docs.get(key)

    def put(self, key: tuple, raw: bytes, version: int) -> None:
        if key not in self.docs:
            self.order.add(key)
        self.docs[key] = (raw, version)

    def remove(self, key: tuple) -> tuple[bytes, int]:
        self.order.remove(key)
        return self.docs.pop(key)

    def keys(self, low: tuple | None, high: tuple | None, inclusive=(True, True), reverse=False):
        return self.order.irange(low, high, inclusive, reverse)

    def load(self, documents, first_version: int) -> "list[tuple[tuple, tuple[bytes, int]]]":
        """Many documents at once, without events."""
        loaded = []
        for number, raw in enumerate(documents):
            raw, document_key = with_id_first(raw)
            loaded.append((key_of_document_key(document_key), (raw, first_version + number)))
        self.docs.update(loaded)
        self.order.update(k for k, _ in loaded)
        return loaded


@dataclass
class Load:
    """Documents that a collection got without events."""
    collection: Collection
    place: int
    documents: object           # list of (key, (raw, version)), or a lazy base
    db: str = ""
    name: str = ""

    def __post_init__(self):
        self.db, self.name = self.collection.db, self.collection.name


@dataclass
class Store:
    log: EventLog
    databases: dict = field(default_factory=dict)
    loads: list = field(default_factory=list)
    versions: int = 0

    def __post_init__(self):
        self.lock: threading.RLock = self.log.lock

    def next_version(self, count: int = 1) -> int:
        first = self.versions + 1
        self.versions += count
        return first

    # --- collections -------------------------------------------------------------------------------------------------

    def collection(self, db: str, name: str) -> Collection | None:
        return self.databases.get(db, {}).get(name)

    def ensure(self, db: str, name: str) -> Collection:
        return self.collection(db, name) or self.create(db, name, {})

    def create(self, db: str, name: str, options: dict) -> Collection:
        with self.lock:
            if self.collection(db, name):
                raise CommandError(48, f"Collection {db}.{name} already exists.")
            if not name or "\0" in name or name.startswith("$"):
                raise CommandError(73, f"Invalid namespace specified '{db}.{name}'")
            made = self.databases.setdefault(db, {})[name] = Collection(db, name, options)
            self._ddl("create", made, {"idIndex": ID_INDEX} | options, {"nsType": "collection"})
            return made

    def _ddl(self, operation: str, collection: Collection, description: dict, more: dict | None = None) -> Event:
        uuid = Binary(collection.uuid.bytes, 4)
        tail = encode({"collectionUUID": uuid, "operationDescription": description} | (more or {}))[4:-1]
        event = self.log.append(operation, collection.db, collection.name, collection.uuid, None, tail)
        event.expanded_only = True
        return event

    def modify(self, db: str, name: str, options: dict) -> None:
        with self.lock:
            found = self.collection(db, name)
            if not found:
                raise CommandError(26, "ns does not exist")
            before = dict(found.options)
            found.options.update(options)
            self._ddl("modify", found, options, {"stateBeforeChange": {"collectionOptions": before}})

    def create_indexes(self, db: str, name: str, indexes: list) -> tuple[int, int]:
        with self.lock:
            target = self.ensure(db, name)
            before = len(target.indexes)
            new = [i for i in indexes if all(i["name"] != known["name"] for known in target.indexes)]
            target.indexes += [{"v": 2} | i for i in new]
            if new:
                self._ddl("createIndexes", target, {"indexes": new})
            return before, len(target.indexes)

    def drop_indexes(self, db: str, name: str, which) -> int:
        with self.lock:
            target = self.collection(db, name)
            if not target:
                raise CommandError(26, "ns not found")
            gone = [i for i in target.indexes[1:] if which == "*" or i["name"] == which or i["key"] == which]
            if which != "*" and not gone:
                raise CommandError(27, f"index not found with name [{which}]")
            before = len(target.indexes)
            target.indexes = [i for i in target.indexes if i not in gone]
            self._ddl("dropIndexes", target, {"indexes": gone})
            return before

    def drop(self, db: str, name: str) -> bool:
        with self.lock:
            gone = self.databases.get(db, {}).pop(name, None)
            if gone:
                self.log.append("drop", db, name, gone.uuid)
            return gone is not None

    def drop_database(self, db: str) -> bool:
        with self.lock:
            if db not in self.databases:
                return False
            for name in list(self.databases[db]):
                self.drop(db, name)
            del self.databases[db]
            self.log.append("dropDatabase", db, None, None)
            return True

    def rename(self, source: tuple, target: tuple, drop_target: bool) -> None:
        with self.lock:
            moved = self.collection(*source)
            if not moved:
                raise CommandError(26, f"Source collection {'.'.join(source)} does not exist")
            if self.collection(*target):
                if not drop_target:
                    raise CommandError(48, "target namespace exists")
                self.drop(*target)
            del self.databases[source[0]][source[1]]
            self.databases.setdefault(target[0], {})[target[1]] = moved
            moved.db, moved.name = target
            to = {"db": target[0], "coll": target[1]}
            event = self.log.append("rename", *source, moved.uuid, None, encode({"to": to})[4:-1])
            event.to = target

    # --- documents (the lock is held by the caller for as long as a command lasts) -------------------------------------

    def load(self, db: str, name: str, documents) -> Collection:
        with self.lock:
            target = self.ensure(db, name)
            place, first = len(self.log.entries), self.versions + 1
            loaded = target.load(documents, first)
            self.versions += len(loaded)
            self.loads.append(Load(target, place, loaded))
            return target

    def insert(self, target: Collection, raw: bytes, transaction: bytes = b"") -> None:
        raw, document_key = with_id_first(raw)
        if len(raw) > MAX_USER_BYTES:
            raise CommandError(10334, f"object to insert too large. size in bytes: {len(raw)}, max size: {MAX_USER_BYTES}")
        key = key_of_document_key(document_key)
        if target.get(key) is not None:
            raise duplicate(target, document_key)
        version = self.next_version()
        target.put(key, raw, version)
        event = self.log.append("insert", target.db, target.name, target.uuid, raw,
                                b"\x03documentKey\0" + document_key + transaction)
        event.key, event.version = key, version
        event.document_key = document_key

    def update(self, target: Collection, key: tuple, new: dict, description: dict, transaction: bytes = b"") -> None:
        described = encode(description)
        self._rewrite("update", target, key, encode(new), transaction, described)

    def replace(self, target: Collection, key: tuple, raw: bytes, transaction: bytes = b"") -> None:
        self._rewrite("replace", target, key, raw, transaction, None)

    def _rewrite(self, operation, target, key, raw, transaction, described) -> None:
        if len(raw) > MAX_USER_BYTES:
            raise CommandError(10334, f"Resulting document after update is larger than {MAX_USER_BYTES}")
        before, _ = target.get(key)
        raw, document_key = with_id_first(raw)
        version = self.next_version()
        target.put(key, raw, version)
        tail = b"\x03documentKey\0" + document_key + transaction
        if described is not None:
            tail += b"\x03updateDescription\0" + described
        full = raw if operation == "replace" else None
        event = self.log.append(operation, target.db, target.name, target.uuid, full, tail)
        event.key, event.version, event.pre, event.images = key, version, before, target.images
        event.document_key = document_key
        if described is not None:
            event.post, event.description = raw, described

    def delete(self, target: Collection, key: tuple, transaction: bytes = b"") -> bytes:
        raw, _ = target.remove(key)
        _, document_key = with_id_first(raw)
        event = self.log.append("delete", target.db, target.name, target.uuid, None,
                                b"\x03documentKey\0" + document_key + transaction)
        event.key, event.pre, event.images, event.document_key = key, raw, target.images, document_key
        return raw


def duplicate(target: Collection, document_key: bytes) -> CommandError:
    return CommandError(11000, f"E11000 duplicate key error collection: {target.namespace} index: _id_ dup key: "
                        f"{decode(document_key)}", keyPattern={"_id": 1}, keyValue=decode(document_key))


def transaction_elements(session: dict, number: int) -> bytes:
    return encode({"lsid": session, "txnNumber": number})[4:-1]


def one_element(name: bytes, raw: bytes | None) -> bytes:
    return b"\x0A" + name + b"\0" if raw is None else b"\x03" + name + b"\0" + raw

