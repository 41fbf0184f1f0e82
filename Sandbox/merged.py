"""Compares a table of write mode merge with the state that the MongoDB stand-in's own log ends in. Stands outside the program.

    python -m Sandbox.merged TRUTH.sqlite TABLE.parquet COLUMNS.json soft|hard DATABASE.COLLECTION…

COLUMNS.json: the table's columns with their types as DESCRIBE TABLE says them. A table with a column DOCUMENT is packed; in
any other each field of a document has its column, or stands in _OVERFLOW with the reason.

Owed: for each document that lives one row, with _DELETED false and that document, whose _OP, _SEQ and _EVENT_TIME are those
of its last change after T0, or of the copy. With soft deletes also one row with _DELETED true for each key that was deleted
after T0; what it shows of the document is a state that the key once had, or nothing. No key twice, and nothing else.
Values are equal when their types are too; in a typed column, when nothing of the value is lost.
"""
import datetime
import json
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import duckdb

from .cells import RESERVED, column_of, fits, holds, same
from .compare import EPOCH, Result, Truth, canonical
from .mongo.eventlog import Token

OWN = {"_NAMESPACE", "_KEY", "_OP", "_SEQ", "_EVENT_TIME", "_DELETED"}
CHANGES = ("insert", "update", "replace", "delete")


@dataclass
class Last:
    """The last change of a key."""
    place: int
    operation: str
    stamp: int
    seconds: int


class Collection:
    """What one collection owes."""

    def __init__(self, path: str, namespace: str):
        database, _, collection = namespace.partition(".")
        self.namespace, self.truth = namespace, Truth(path, database, collection)
        # A key's text in the truth by its text in the table.
        self.keys = {json.dumps(canonical(raw)["_id"], sort_keys=True): text for text, raw in self.truth.keys.items()}
        self.last: dict[str, Last] = {}
        self.last_delete: dict[str, int] = {}
        places = {raw: text for text, raw in self.truth.keys.items()}
        for place, operation, key, seconds, increment in self.truth.rows(
                "SELECT place, operation, document_key, seconds, increment FROM event WHERE db=? AND coll=? ORDER BY place",
                database, collection):
            if operation == "create":
                continue
            if operation not in CHANGES:
                raise SystemExit(f"{namespace} had the event {operation}, of which this comparison knows nothing")
            self.last[places[key]] = Last(place, operation, seconds << 32 | increment, seconds)
            if operation == "delete":
                self.last_delete[places[key]] = place

    def final(self, key: str) -> object | None:
        """The document that lives; None when the key is deleted."""
        version, _, until, _ = self.truth.versions[key][-1]
        return None if until is not None else self.truth.document(version)

    def states(self, key: str) -> list[object]:
        return [self.truth.document(version) for version, _, _, _ in self.truth.versions[key]]

    def fields(self) -> set[str]:
        """All names that any document of it ever had."""
        names: set[str] = set()
        for versions in self.truth.versions.values():
            for version, *_ in versions:
                names |= self.truth.document(version).keys()
        return names


def beginnings(truth: Truth) -> list[tuple[int, int]]:
    """Cluster time and place of each stream that was opened anew, not resumed: T0 is one of them."""
    found = []
    for token, place, options in truth.rows("SELECT token, place, options FROM stream"):
        if not {"resumeAfter", "startAfter", "startAtOperationTime"} & json.loads(options).keys():
            found.append((Token.parse(token).stamp, place))
    return sorted(found)


class Merged:
    def __init__(self, truth: str, table: str, columns: dict[str, str], deletes: str, namespaces: list[str]):
        self.result, self.columns, self.deletes = Result(), columns, deletes
        self.collections = {namespace: Collection(str(truth), namespace) for namespace in namespaces}
        self.packed = "DOCUMENT" in columns
        self.own = OWN | ({"DOCUMENT"} if self.packed else {"_OVERFLOW"})
        base = duckdb.connect()
        rows = base.execute("SELECT * FROM read_parquet(?)", [str(table)])
        names = [column[0] for column in rows.description]
        self.rows = [dict(zip(names, row)) for row in rows.fetchall()]
        self.spellings: dict[str, set[str]] = defaultdict(set)
        if not self.packed:
            for collection in self.collections.values():
                for field in collection.fields():
                    self.spellings[column_of(field).upper()].add(field)

    def run(self) -> Result:
        missing = self.own - self.columns.keys()
        if missing or not self.packed and self.columns.get("_OVERFLOW") != "VARIANT":
            self.result.note("differing", f"the table has no column {sorted(missing) or '_OVERFLOW VARIANT'}")
            return self.result
        start = self.find_start()
        found: dict[tuple[str, str], dict] = {}
        for row in self.rows:
            self.result.destination += 1
            key = (row["_NAMESPACE"], json.dumps(json.loads(row["_KEY"]), sort_keys=True) if row["_KEY"] else None)
            if key in found:
                self.result.note("duplicated", f"{key[0]} {key[1]}: {self.short(found[key])} and {self.short(row)}")
            else:
                found[key] = row
        for name, collection in self.collections.items():
            for text, key in collection.keys.items():
                self.check(collection, key, found.pop((name, text), None), *start)
        for (name, key), row in found.items():
            self.result.note("differing", f"a row of {name} {key}, which never was: {self.short(row)}")
        return self.result

    @staticmethod
    def short(row: dict) -> str:
        return f"{row['_OP']} at {row['_SEQ']}, _DELETED {row['_DELETED']}"

    def find_start(self) -> tuple[int, int, str | None]:
        """The first and the last place where T0 may lie, and the place in the order that copied rows have."""
        streams = beginnings(next(iter(self.collections.values())).truth)
        copied = {row["_SEQ"] for row in self.rows if row["_OP"] == "snapshot"}
        if len(copied) > 1:
            self.result.note("differing", f"copied rows at {len(copied)} places in the order: {sorted(copied)[:3]}")
        if len(copied) == 1:
            sequence = next(iter(copied))
            # T0's token is of that time or, where the server said an earlier one, later.
            place = next((place for stamp, place in streams if stamp >= int(sequence[:16], 16)), None)
            if place is not None and len(sequence) == 24:
                return place, place, sequence
            self.result.note("differing", f"copied rows have the place {sequence}, where no stream was opened")
        places = [place for _, place in streams] or [0]
        return min(places), max(places), None

    def check(self, of: Collection, key: str, row: dict | None, first: int, latest: int, copied: str | None) -> None:
        document, last = of.final(key), of.last.get(key)
        what = f"{of.namespace} {key}"
        if document is None:
            died = of.last_delete.get(key, 0)
            if self.deletes == "soft" and died > latest:
                self.result.source += 1
                if row is None:
                    return self.result.note("lost", f"{what}, deleted at {died}")
            elif row is not None:
                if self.deletes == "hard" or died <= first:
                    return self.result.note("differing", f"{what} is deleted, and has a row: {self.short(row)}")
                self.result.source += 1
            else:
                return None
            problem = self.of_deleted(of, key, row, last)
        else:
            self.result.source += 1
            if row is None:
                return self.result.note("lost", f"{what}, {last.operation + ' at ' + str(last.place) if last else 'never changed'}")
            problem = self.of_living(row, document, last if last and last.place > latest else None, copied, last, first)
        if problem:
            self.result.note("differing", f"{what}: {problem} ({self.short(row)})")
        return None

    def of_deleted(self, of: Collection, key: str, row: dict, last: Last) -> str | None:
        if row["_DELETED"] is not True:
            return "the key is deleted, but _DELETED is not true"
        if row["_OP"] != "delete":
            return "_OP is not delete"
        if not self.is_blank(row) and all(self.differing(row, state) for state in of.states(key)):
            return "the document was never like this"
        return self.of_event(row, last)

    def of_living(self, row: dict, document: object, last: Last | None, copied: str | None, any_last: Last | None, first: int) -> str | None:
        if row["_DELETED"] is not False:
            return "the document lives, but _DELETED is not false"
        problem = self.differing(row, document)
        if problem:
            return problem
        if last is None and any_last is not None and any_last.place > first:
            last = any_last if row["_OP"] != "snapshot" else None
        if last is None:
            return self.of_copied(row, copied)
        if row["_OP"] != last.operation:
            return f"_OP is not {last.operation}"
        return self.of_event(row, last)

    @staticmethod
    def of_copied(row: dict, copied: str | None) -> str | None:
        if row["_OP"] != "snapshot" or row["_SEQ"] != copied:
            return "it is no copied row"
        # When it was read, or T0.
        begin = EPOCH + datetime.timedelta(seconds=int(copied[:8], 16))
        return None if row["_EVENT_TIME"] and row["_EVENT_TIME"] >= begin else "_EVENT_TIME"

    @staticmethod
    def of_event(row: dict, last: Last) -> str | None:
        if len(row["_SEQ"] or "") != 24 or int(row["_SEQ"][:16], 16) != last.stamp:
            return f"_SEQ is not of the last change, {last.stamp:016x}"
        return None if row["_EVENT_TIME"] == EPOCH + datetime.timedelta(seconds=last.seconds) else "_EVENT_TIME"

    # The document

    def fields_of(self, row: dict) -> list[str]:
        return [name for name in self.columns if name not in RESERVED]

    def is_blank(self, row: dict) -> bool:
        if self.packed:
            return row["DOCUMENT"] is None
        return row["_OVERFLOW"] is None and all(row[name] is None for name in self.fields_of(row))

    def differing(self, row: dict, document: dict) -> str | None:
        """What of the row is not the document."""
        if self.packed:
            if row["DOCUMENT"] is None:
                return "there is no document"
            return None if same(json.loads(row["DOCUMENT"]), document) else "the document is another"
        overflow = json.loads(row["_OVERFLOW"]) if row["_OVERFLOW"] else {}
        filled = set()
        for field, value in document.items():
            if value is None:
                continue
            name = column_of(field)
            if field in overflow:
                problem = self.of_overflow(field, name, value, overflow.pop(field))
                if problem:
                    return problem
                continue
            if name in filled or name not in self.columns or name in RESERVED or not holds(self.columns[name], row[name], value):
                return f"the field {field} is not {json.dumps(value)[:100]} but {str(row.get(name))[:100]} ({self.columns.get(name)})"
            filled.add(name)
        surplus = [name for name in self.fields_of(row) if row[name] is not None and name not in filled]
        if surplus or overflow:
            return f"the document has no field for {surplus + list(overflow)}"
        return None

    def of_overflow(self, field: str, name: str, value: object, found: dict) -> str | None:
        if not same(found.get("value"), value) or not found.get("reason"):
            return f"_OVERFLOW says of {field} {json.dumps(found)[:100]}"
        is_alone = len(self.spellings[name.upper()]) == 1 and name not in RESERVED
        if is_alone and (name not in self.columns or fits(self.columns[name], value)):
            return f"the field {field} stands in _OVERFLOW, and its column {name} could hold it ({self.columns.get(name)})"
        return None


def merged(truth: str, table: str, columns: dict[str, str], deletes: str, namespaces: list[str]) -> Result:
    return Merged(truth, table, columns, deletes, namespaces).run()


def main() -> int:
    if len(sys.argv) < 6 or sys.argv[4] not in ("soft", "hard"):
        print(__doc__, file=sys.stderr)
        return 2
    truth, table, columns, deletes, *namespaces = sys.argv[1:]
    result = merged(truth, table, json.loads(Path(columns).read_text()), deletes, namespaces)
    for example in result.examples:
        print(example)
    print(result)
    return 0 if result.is_equal else 1


if __name__ == "__main__":
    sys.exit(main())
