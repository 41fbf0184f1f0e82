"""Databases, schemas, tables, views and stages by exact name; each is kept on disk as it changes."""
import json
import sqlite3
import threading
import time

from .errors import SnowflakeError, already_exists, does_not_exist
from .lexer import show_name
from .types import Type


class Table:
    def __init__(self, number, columns, kind="TABLE", owner_session=None, created=None, comment=""):
        self.number, self.columns, self.kind, self.comment = number, columns, kind, comment
        self.owner_session, self.created = owner_session, created or time.time()

    @property
    def physical(self):
        return f"t{self.number}"

    def column(self, name):
        return next((c for c in self.columns if c.name == name), None)


class Column:
    def __init__(self, name, kind, nullable=True, default=None):
        self.name, self.type, self.nullable, self.default = name, kind, nullable, default


class Stage:
    """`external`: {"url", "integration" or None, "credentials": {…}} of a stage in a bucket of somebody else's."""

    def __init__(self, number, encrypted=True, file_format=None, location=None, master_key=None, temporary=False,
                 created=None, presigned=False, comment="", external=None):
        self.number, self.encrypted, self.file_format, self.location = number, encrypted, file_format or {}, location
        self.master_key, self.temporary, self.created = master_key, temporary, created or time.time()
        self.presigned, self.comment, self.external = presigned, comment, external
        self.query_ids = set()


class View:
    """The query's text, read again at each use in the view's own schema; its columns are those of the day it was made."""

    def __init__(self, text, columns, comment="", created=None, secure=False):
        self.text, self.columns, self.comment, self.created, self.secure = text, columns, comment, created or time.time(), secure


KINDS = ("tables", "stages", "formats", "views")
CALLED = {"tables": "Object", "stages": "Stage", "formats": "File format", "views": "View", "integrations": "Integration"}


class Catalog:
    """All lookups take full names (database, schema, name); an integration's is ("", "", name). `lock` guards every change."""

    def __init__(self, path):
        self.lock = threading.RLock()
        self.databases, self.integrations, self.next_number, self.restored = {}, {}, 1, False
        self.store = Store(path) if path else None
        if self.store:
            self._load()

    def number(self):
        with self.lock:
            self.next_number += 1
            return self.next_number

    def create_database(self, name):
        self.databases[name] = {}
        self.create_schema(name, "PUBLIC")

    def create_schema(self, database, name):
        with self.lock:
            self.databases[database][name] = {kind: {} for kind in KINDS}
            self._keep("schemas", (database, name, ""), {})

    def drop_schema(self, database, name):
        with self.lock:
            for kind, things in self.databases[database].pop(name).items():
                for thing in things:
                    self._keep(kind, (database, name, thing), None)
            self._keep("schemas", (database, name, ""), None)

    def has_schema(self, database, schema):
        return schema in self.databases.get(database, {})

    def schema(self, database, name):
        if database not in self.databases:
            raise does_not_exist("Database", show_name(database or ""))
        if name not in self.databases[database]:
            raise does_not_exist("Schema", f"{show_name(database)}.{show_name(name or '')}")
        return self.databases[database][name]

    def _place(self, kind, full):
        return self.integrations if kind == "integrations" else self.schema(full[0], full[1])[kind]

    def find(self, kind, full):
        """A table, stage, format, view or integration, or None."""
        if kind != "integrations" and not self.has_schema(full[0], full[1]):
            return None
        return self._place(kind, full).get(full[2])

    def get(self, kind, full):
        found = self.find(kind, full)
        if found is None:
            raise does_not_exist(CALLED[kind], show_name(full[2]) if kind in ("tables", "views", "integrations")
                                 else ".".join(show_name(p or "") for p in full))
        return found

    def put(self, kind, full, thing, replace=False):
        with self.lock:
            place = self._place(kind, full)
            if full[2] in place and not replace:
                raise already_exists(show_name(full[2]))
            place[full[2]] = thing
            self.changed(kind, full)

    def drop(self, kind, full):
        with self.lock:
            self._place(kind, full).pop(full[2], None)
            self._keep(kind, full, None)

    def changed(self, kind, full):
        """To be called when an object was altered: keeps it."""
        thing = self.find(kind, full)
        if thing is not None and not getattr(thing, "owner_session", None) and not getattr(thing, "temporary", False):
            self._keep(kind, full, _to_json(kind, thing))

    def _every(self, kind):
        with self.lock:
            return [((d, s, n), t) for d, schemas in self.databases.items() for s, content in schemas.items()
                    for n, t in content[kind].items()]

    def tables(self):
        """Every permanent table as ((database, schema, name), table)."""
        return self._every("tables")

    def stages(self):
        return self._every("stages")

    def views(self):
        return self._every("views")

    def _keep(self, kind, full, value):
        if self.store:
            with self.lock:
                self.store.keep(kind, full, value, self.next_number)

    def _load(self):
        self.next_number, rows = self.store.read()
        self.restored = bool(rows)
        for _, (database, schema, _), _ in (r for r in rows if r[0] == "schemas"):
            self.databases.setdefault(database, {})[schema] = {kind: {} for kind in KINDS}
        for kind, full, value in rows:
            if kind != "schemas":
                self._place(kind, full)[full[2]] = _from_json(kind, value)


def _columns(columns):
    return [[c.name, c.type.to_json(), c.nullable, c.default] for c in columns]


def _to_json(kind, thing):
    if kind == "tables":
        return [thing.number, thing.kind, thing.created, _columns(thing.columns), thing.comment]
    if kind == "views":
        return [thing.text, _columns(thing.columns), thing.comment, thing.created, thing.secure]
    if kind == "stages":
        return [thing.number, thing.encrypted, thing.file_format, thing.location, thing.master_key, thing.created, thing.presigned,
                thing.comment, thing.external]
    return thing


def _from_json(kind, saved):
    made = lambda columns: [Column(c, Type(*k), nullable, default) for c, k, nullable, default in columns]
    if kind == "tables":
        number, table_kind, created, columns, comment = saved
        return Table(number, made(columns), table_kind, None, created, comment)
    if kind == "views":
        text, columns, comment, created, secure = saved
        return View(text, made(columns), comment, created, secure)
    if kind == "stages":
        number, encrypted, format_, location, key, created, presigned, comment, external = saved
        return Stage(number, encrypted, format_, location, key, False, created, presigned, comment, external)
    return saved


class Store:
    """One row for each object, so that a change costs the same with five thousand tables."""

    def __init__(self, path):
        self.connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = OFF")        # outlives the process, not the machine
        self.connection.execute("CREATE TABLE IF NOT EXISTS things (kind, a, b, c, value, PRIMARY KEY (kind, a, b, c))")

    def keep(self, kind, full, value, number):
        if value is None:
            self.connection.execute("DELETE FROM things WHERE (kind, a, b, c) = (?, ?, ?, ?)", (kind, *full))
        else:
            self.connection.execute("REPLACE INTO things VALUES (?, ?, ?, ?, ?)", (kind, *full, json.dumps(value)))
        self.connection.execute("REPLACE INTO things VALUES ('number', '', '', '', ?)", (str(number),))

    def read(self):
        rows = self.connection.execute("SELECT kind, a, b, c, value FROM things").fetchall()
        number = next((int(v) for kind, *_, v in rows if kind == "number"), 1)
        return number, [(kind, (a, b, c), json.loads(v)) for kind, a, b, c, v in rows if kind != "number"]


def resolve(session, parts):
    """Fills in database and schema of a written name from the session."""
    if len(parts) > 3:
        raise does_not_exist("Object", ".".join(show_name(p) for p in parts))
    full = [session.database, session.schema][:3 - len(parts)] + list(parts)
    if full[0] is None:
        raise SnowflakeError("090105", "22000", f"Cannot perform operation. This session does not have a current database. "
                             "Call 'USE DATABASE', or use a qualified name.")
    if full[1] is None:
        raise SnowflakeError("090106", "22000", f"Cannot perform operation. This session does not have a current schema. "
                             "Call 'USE SCHEMA', or use a qualified name.")
    return tuple(full)
