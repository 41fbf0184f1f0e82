"""Databases, schemas, tables and stages by exact name; saved as one JSON file after each change."""
import json
import os
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
    def __init__(self, number, encrypted=True, file_format=None, location=None, master_key=None, temporary=False,
                 created=None, presigned=False):
        self.number, self.encrypted, self.file_format, self.location = number, encrypted, file_format or {}, location
        self.master_key, self.temporary, self.created = master_key, temporary, created or time.time()
        self.presigned = presigned
        self.query_ids = set()


class Catalog:
    """All lookups take full names (database, schema, name). `lock` guards every change."""

    def __init__(self, path):
        self.path, self.lock = path, threading.RLock()
        self.databases, self.next_number, self.restored = {}, 1, False
        if path and os.path.exists(path):
            self._load()

    def number(self):
        with self.lock:
            self.next_number += 1
            return self.next_number

    def create_database(self, name):
        self.databases[name] = {}
        self.create_schema(name, "PUBLIC")

    def create_schema(self, database, name):
        self.databases[database][name] = {"tables": {}, "stages": {}, "formats": {}}

    def has_schema(self, database, schema):
        return schema in self.databases.get(database, {})

    def schema(self, database, name):
        if database not in self.databases:
            raise does_not_exist("Database", show_name(database or ""))
        if name not in self.databases[database]:
            raise does_not_exist("Schema", f"{show_name(database)}.{show_name(name or '')}")
        return self.databases[database][name]

    def find(self, kind, full):
        """A table, stage or format, or None. kind: tables | stages | formats."""
        if not self.has_schema(full[0], full[1]):
            return None
        return self.databases[full[0]][full[1]][kind].get(full[2])

    def get(self, kind, full):
        found = self.find(kind, full)
        if found is None:
            what = {"tables": "Table", "stages": "Stage", "formats": "File format"}[kind]
            shown = ".".join(show_name(p or "") for p in full) if kind != "tables" else show_name(full[2])
            raise does_not_exist("Object" if kind == "tables" else what, shown)
        return found

    def put(self, kind, full, thing, replace=False):
        with self.lock:
            place = self.schema(full[0], full[1])[kind]
            if full[2] in place and not replace:
                raise already_exists(show_name(full[2]))
            place[full[2]] = thing
        self.save()

    def drop(self, kind, full):
        with self.lock:
            self.databases[full[0]][full[1]][kind].pop(full[2], None)
        self.save()

    def tables(self):
        """Every permanent table as ((database, schema, name), table)."""
        with self.lock:
            return [((d, s, n), t) for d, schemas in self.databases.items() for s, content in schemas.items()
                    for n, t in content["tables"].items()]

    def stages(self):
        with self.lock:
            return [((d, s, n), t) for d, schemas in self.databases.items() for s, content in schemas.items()
                    for n, t in content["stages"].items()]

    def save(self):
        if not self.path:
            return
        with self.lock:
            tree = {d: {s: {"tables": {n: [t.number, t.kind, t.created, [[c.name, c.type.to_json(), c.nullable, c.default]
                                                                         for c in t.columns], t.comment]
                                       for n, t in content["tables"].items() if t.owner_session is None},
                            "stages": {n: [t.number, t.encrypted, t.file_format, t.location, t.master_key, t.created, t.presigned]
                                       for n, t in content["stages"].items() if not t.temporary},
                            "formats": content["formats"]}
                        for s, content in schemas.items()} for d, schemas in self.databases.items()}
            temporary = f"{self.path}.new"
            with open(temporary, "w") as file:
                json.dump({"next": self.next_number, "databases": tree}, file)
            os.replace(temporary, self.path)

    def _load(self):
        with open(self.path) as file:
            saved = json.load(file)
        self.next_number, self.restored = saved["next"], True
        for database, schemas in saved["databases"].items():
            self.databases[database] = {}
            for schema, content in schemas.items():
                tables = {n: Table(number, [Column(c, Type(*k), nullable, default) for c, k, nullable, default in columns],
                                   kind, None, created, *comment)
                          for n, (number, kind, created, columns, *comment) in content["tables"].items()}
                stages = {n: Stage(number, encrypted, fmt, location, key, False, created, presigned)
                          for n, (number, encrypted, fmt, location, key, created, presigned) in content["stages"].items()}
                self.databases[database][schema] = {"tables": tables, "stages": stages, "formats": content["formats"]}


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
