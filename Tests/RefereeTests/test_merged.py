"""The comparer of merged tables: a table made by hand from a history made by hand, and what it says of each error planted."""
import datetime
import decimal
import json
import sqlite3

import bson
import duckdb
import pytest

from Sandbox.cells import column_of, fits, holds
from Sandbox.merged import merged
from Sandbox.mongo.eventlog import HIGH_WATER, make_token
from Sandbox.mongo.truth import INDEXES, SCHEMA

SPACE = "shop.c"
WHEN = datetime.datetime(2020, 5, 17, 1, 2, 3, 456000)
# By key: what it held, and from which place to which (None: it lives).
HISTORY = {
    1: [({"a": 1, "b": "x"}, 0, None)],                              # copied, never changed
    2: [({"a": 1, "b": "x"}, 0, 10), ({"a": 2, "c": 1.5}, 10, None)],  # copied, then changed
    3: [({"a": 3}, 0, 11)],                                          # copied, then deleted
    4: [({"a": 4}, 12, 13), ({"a": 5, "A": 6, "t": WHEN}, 14, None)],  # inserted, deleted, inserted again
    5: [({"a": "seven", "n": None}, 15, None)],                      # inserted, with a value of another type
    6: [({"a": 6}, 0, 3)],                                           # deleted before T0
}
EVENTS = [(3, "delete", 6), (10, "update", 2), (11, "delete", 3), (12, "insert", 4), (13, "delete", 4), (14, "insert", 4),
          (15, "insert", 5)]
COPIED = (100 << 32) + 5


def truth(path):
    base = sqlite3.connect(path)
    base.executescript(SCHEMA)
    version = 0
    for rank, (key, states) in enumerate(HISTORY.items()):
        for document, since, until in states:
            version += 1
            base.execute("INSERT INTO version VALUES(?,?,?,?,?,?,?,?,?)", (
                version, *SPACE.split("."), rank, bson.encode({"_id": key}), since, until, b"", bson.encode({"_id": key} | document)))
    base.executemany("INSERT INTO event VALUES(?,?,?,?,?,?,?,?,?,?,?)", [
        (place, f"t{place}", operation, *SPACE.split("."), bson.encode({"_id": key}), None, 100, place, 0, None)
        for place, operation, key in EVENTS])
    # The copy's own stream, and one that went on where another had ended.
    for number, (place, options) in enumerate([(2, {}), (5, {}), (12, {"startAfter": {"_data": "82"}})], 1):
        base.execute("INSERT INTO stream VALUES(?,0,'collection',?,?,?,?,?)", (
            number, *SPACE.split("."), json.dumps(options), make_token((100 << 32) + place, place, HIGH_WATER), place))
    base.executescript(INDEXES)
    base.commit()
    base.close()
    return path


COLUMNS = {"_NAMESPACE": "VARCHAR(16777216)", "_KEY": "VARCHAR(16777216)", "_OP": "VARCHAR(16777216)", "_SEQ": "VARCHAR(16777216)",
           "_EVENT_TIME": "TIMESTAMP_NTZ(9)", "_DELETED": "BOOLEAN"}
PACKED = {"DOCUMENT": "VARIANT"} | COLUMNS
UNPACKED = {"_ID": "NUMBER(38,0)", "A": "NUMBER(38,0)", "B": "VARCHAR(16777216)", "C": "FLOAT", "T": "TIMESTAMP_NTZ(9)"} | COLUMNS | {
    "_OVERFLOW": "VARIANT"}


def row(key, operation, place, **cells):
    stamp = COPIED if place is None else (100 << 32) + place
    return {"_NAMESPACE": SPACE, "_KEY": f'{{"$numberInt":"{key}"}}', "_OP": operation, "_SEQ": f"{stamp:016x}{0:08x}",
            "_EVENT_TIME": datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=100),
            "_DELETED": operation == "delete"} | cells


def packed():
    return [
        row(1, "snapshot", None, DOCUMENT='{"_id":1,"a":1,"b":"x"}'), row(2, "update", 10, DOCUMENT='{"_id":2,"a":2,"c":1.5}'),
        row(3, "delete", 11, DOCUMENT='{"_id":3,"a":3}'),
        row(4, "insert", 14, DOCUMENT='{"_id":4,"a":5,"A":6,"t":"2020-05-17T01:02:03.456Z"}'),
        row(5, "insert", 15, DOCUMENT='{"_id":5,"a":"seven","n":null}')]


def unpacked():
    def over(**fields):
        return json.dumps({name: {"value": value, "reason": "why"} for name, value in fields.items()})
    return [
        row(1, "snapshot", None, _ID=1, A=1, B="x"), row(2, "update", 10, _ID=2, A=2, C=1.5), row(3, "delete", 11),
        row(4, "insert", 14, _ID=4, A=5, T=WHEN, _OVERFLOW=over(A=6)), row(5, "insert", 15, _ID=5, _OVERFLOW=over(a="seven"))]


@pytest.fixture
def judge(tmp_path):
    def judge(rows, columns=PACKED, deletes="soft"):
        kinds = {"N": "DECIMAL(38,0)", "F": "DOUBLE", "B": "BOOLEAN", "T": "TIMESTAMP"}
        base = duckdb.connect()
        listed = ", ".join(f"{name} {'VARCHAR' if kind[0] == 'V' else kinds[kind[0]]}" for name, kind in columns.items())
        base.execute(f"CREATE TABLE t ({listed})")
        base.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(columns))})", [[one.get(name) for name in columns] for one in rows])
        base.execute(f"COPY t TO '{tmp_path / 'table.parquet'}' (FORMAT parquet)")
        given = tmp_path / "truth.sqlite"
        return merged(given if given.exists() else truth(given), tmp_path / "table.parquet", columns, deletes, [SPACE])
    return judge


def test_what_is_equal(judge):
    assert str(judge(packed())) == str(judge(unpacked(), UNPACKED)) == "source 5 destination 5 lost 0 duplicated 0 differing 0"
    hard = [one for one in packed() if not one["_DELETED"]]
    assert str(judge(hard, deletes="hard")) == "source 4 destination 4 lost 0 duplicated 0 differing 0"
    # Of a deleted key nothing need be known but that it is deleted, or any state that it had.
    bare = packed()
    bare[2]["DOCUMENT"] = None
    assert judge(bare).is_equal


@pytest.mark.parametrize("at", range(5))
def test_a_lost_row(judge, at):
    for rows, columns in ((packed(), PACKED), (unpacked(), UNPACKED)):
        result = judge(rows[:at] + rows[at + 1:], columns)
        assert result.lost >= 1 and not result.duplicated, result


@pytest.mark.parametrize("at", range(5))
def test_a_doubled_row(judge, at):
    result = judge(packed() + [packed()[at]])
    assert (result.lost, result.duplicated, result.differing) == (0, 1, 0)
    stale = packed()[at] | {"_SEQ": f"{COPIED + 1:016x}{0:08x}"}
    assert judge(packed() + [stale]).duplicated == 1


@pytest.mark.parametrize("at, cells", [
    (1, {"DOCUMENT": '{"_id":2,"a":1,"b":"x"}'}),                     # the document before its last change
    (1, {"DOCUMENT": '{"_id":2,"a":1,"b":"x"}', "_OP": "snapshot", "_SEQ": f"{COPIED:016x}{0:08x}"}),
    (1, {"DOCUMENT": '{"_id":2,"a":2.0,"c":1.5}'}), (1, {"DOCUMENT": '{"_id":2,"a":2,"c":1.5,"b":"x"}'}), (1, {"DOCUMENT": None}),
    (1, {"_SEQ": f"{(100 << 32) + 9:016x}{0:08x}"}), (1, {"_OP": "insert"}), (1, {"_EVENT_TIME": None}), (1, {"_SEQ": None}),
    (2, {"_DELETED": False}), (2, {"_OP": "gone"}), (2, {"DOCUMENT": '{"_id":3,"a":9}'}),    # a delete that came back
    (2, {"_DELETED": False, "_OP": "snapshot", "_SEQ": f"{COPIED:016x}{0:08x}"}),
    (3, {"_DELETED": True}), (3, {"_DELETED": True, "_OP": "delete", "_SEQ": f"{(100 << 32) + 13:016x}{0:08x}"}),
    (0, {"_DELETED": None}), (0, {"_EVENT_TIME": None}), (0, {"_EVENT_TIME": datetime.datetime(1970, 1, 1)}), (0, {"_KEY": '{"$numberLong":"1"}'}), (0, {"_KEY": '{"$numberInt":"9"}'}), (0, {"_NAMESPACE": "shop.d"}),
    (0, {"_SEQ": f"{COPIED + 1:016x}{0:08x}"}), (4, {"DOCUMENT": '{"_id":5,"a":"seven"}'})])
def test_one_other_cell(judge, at, cells):
    rows = packed()
    rows[at] |= cells
    assert judge(rows).differing >= 1


@pytest.mark.parametrize("at, cells", [
    (0, {"A": 2}), (0, {"B": None}), (0, {"C": 0.0}), (1, {"B": "x"}), (3, {"T": None}), (3, {"T": WHEN.replace(microsecond=0)}),
    (3, {"A": 6}), (3, {"_OVERFLOW": None}), (4, {"_OVERFLOW": None}), (4, {"_OVERFLOW": '{"a":{"value":"seven"}}'}),
    (4, {"_OVERFLOW": '{"a":{"value":"eight","reason":"why"}}'}), (4, {"A": 7}),
    (0, {"B": None, "_OVERFLOW": '{"b":{"value":"x","reason":"why"}}'}),    # its column could hold it
    (1, {"_OVERFLOW": '{"z":{"value":1,"reason":"why"}}'}), (2, {"A": 9}), (2, {"_OVERFLOW": "{}"})])
def test_one_other_column(judge, at, cells):
    rows = unpacked()
    rows[at] |= cells
    assert judge(rows, UNPACKED).differing >= 1


def test_a_deleted_row_of_a_hard_table(judge):
    assert judge(packed(), deletes="hard").differing == 1
    # Before T0 nobody heard of it.
    assert judge([*packed(), row(6, "delete", 3)]).differing == 1
    assert judge([*packed(), row(7, "insert", 3, DOCUMENT="{}")]).differing == 1


def test_a_table_without_the_columns(judge):
    assert not judge(packed(), {"DOCUMENT": "VARIANT", "_KEY": "VARCHAR"}).is_equal
    assert not judge(unpacked(), {name: kind for name, kind in UNPACKED.items() if name != "_OVERFLOW"}).is_equal


def test_cells():
    assert [column_of(name) for name in ("late_1", "Late 1", "_id", "ä", "1a", "a$")] == ["LATE_1", "Late 1", "_ID", "ä", "1a", "A$"]
    assert not holds("FLOAT", float(2**53), 2**53 + 1) and holds("FLOAT", 5.0, 5) and not fits("FLOAT", 2**53 + 1)
    assert not fits("NUMBER(38,0)", 1.5) and not fits("NUMBER(3,0)", 1000) and fits("NUMBER(4,1)", 999.5) and not fits("NUMBER(38,0)", True)
    assert not holds("VARIANT", "1.0", 1) and holds("VARIANT", '"x"', "x") and not holds("BOOLEAN", True, 1)
    assert holds("NUMBER(12,2)", decimal.Decimal("12.50"), "12.5") and not holds("NUMBER(38,0)", decimal.Decimal(12), "012")
    assert holds("FLOAT", float("nan"), "NaN") and not holds("FLOAT", 5.0, "5") and not holds("NUMBER(38,0)", decimal.Decimal(1), True)
    assert not holds("TIMESTAMP_NTZ(9)", datetime.datetime(1970, 1, 1, 0, 0, 5), 5)
