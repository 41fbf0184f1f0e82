"""Compares what a run of `make memory` loaded with what it was given, in a process of its own: the measuring one must stay small.

    python -m Sandbox.contents lines INPUT.jsonl TABLE.parquet
    python -m Sandbox.contents changes TABLE.parquet
    python -m Sandbox.contents merged TABLE.parquet
    python -m Sandbox.contents lake FOLDER EVENTS

`lines`: the rows of the table are the lines of the file (the rows of a .csv), each as often as there, in any order. `changes`: each event and
each place in a file once, each document under its own key; the documents themselves are compared by `Sandbox.compare`,
which takes too long for millions of them. `merged`: each key once, each document
under its own. `lake`: the files below the folder hold so many insert events, each once, each
document once a collection and under its own key, in its collection's folder. Prints what is wrong; exit 1 then.
"""
import sys

import duckdb

from .inputs import NAMES

TEXTS = {"customer", "city", "status", "note"}


def content(source: str) -> str:
    """Rows, and a sum over all rows of a hash of each: two tables of the same rows have the same, in any order."""
    cells = ", ".join(f'"{name}"' for name in NAMES)
    return f"SELECT count(*), sum(CAST(hash({cells}) AS HUGEINT)) FROM {source}"


def lines(given: str, table: str) -> str | None:
    base = duckdb.connect()
    kinds = ", ".join(f"'{name}': '{'VARCHAR' if name in TEXTS else 'JSON'}'" for name in NAMES)
    if given.endswith(".csv"):
        wanted = base.execute(content("read_csv(?, header=true, all_varchar=true, delim=',', quote='\"', escape='\"', parallel=false)"),
                              [given]).fetchone()
        found = base.execute(content("read_parquet(?)"), [table]).fetchone()
        return None if wanted == found else f"{found[0]} of {wanted[0]} rows, or other content"
    wanted = base.execute(content(
        f"(SELECT {', '.join(f'CAST({name} AS VARCHAR) AS {name}' for name in NAMES)} "
        f"FROM read_json(?, format='newline_delimited', columns={{{kinds}}}))"), [given]).fetchone()
    found = base.execute(content("read_parquet(?)"), [table]).fetchone()
    if wanted[0] != found[0]:
        return f"{found[0]} of {wanted[0]} rows"
    return None if wanted == found else "other content"


def changes(table: str) -> str | None:
    rows, events, places, apart = duckdb.connect().execute(
        "SELECT count(*), count(DISTINCT hash(EVENT_ID)), count(DISTINCT hash(FILE, FILE_ROW)), "
        "count(*) FILTER (json_extract(DOCUMENT, '$._id') IS DISTINCT FROM json_extract(DOCUMENT_KEY, '$._id')) "
        "FROM read_parquet(?)", [table]).fetchone()
    if events != rows or places != rows:
        return f"{rows} rows of {events} events at {places} places"
    return f"{apart} documents under another's key" if apart else None


def merged(table: str) -> str | None:
    rows, keys, apart = duckdb.connect().execute(
        "SELECT count(*), count(DISTINCT hash(_KEY, _NAMESPACE)), "
        "count(*) FILTER (_KEY IS DISTINCT FROM json_extract_string(DOCUMENT, '$._id') "
        "AND NOT contains(_KEY, json_extract_string(DOCUMENT, '$._id'))) FROM read_parquet(?)", [table]).fetchone()
    if keys != rows:
        return f"{rows} rows of {keys} keys"
    return f"{apart} documents under another's key" if apart else None


def lake(folder: str, events: str) -> str | None:
    rows, tokens, documents, apart, astray = duckdb.connect().execute(
        "SELECT count(*), count(DISTINCT hash(token)), count(DISTINCT hash(coll, number)), "
        "count(*) FILTER (own IS DISTINCT FROM key), count(*) FILTER (NOT contains(filename, '/' || db || '/' || coll || '/')) "
        "FROM (SELECT filename, _meta->>'resumeToken' AS token, _meta->'ns'->>'db' AS db, _meta->'ns'->>'coll' AS coll, "
        "fullDocument->>'number' AS number, fullDocument->>'_id' AS own, documentKey->>'_id' AS key "
        "FROM read_json(?, format='newline_delimited', filename=true, maximum_object_size=33554432, "
        "columns={'_meta': 'JSON', 'documentKey': 'JSON', 'fullDocument': 'JSON'}))", [f"{folder}/**/*.jsonl*"]).fetchone()
    if not rows == tokens == documents == int(events):
        return f"{rows} lines of {tokens} events and {documents} documents, instead of {events}"
    return f"{apart} documents under another's key, {astray} in another's folder" if apart or astray else None


def main() -> int:
    kinds = {"lines": lines, "changes": changes, "merged": merged, "lake": lake}
    if len(sys.argv) < 3 or sys.argv[1] not in kinds:
        print(__doc__, file=sys.stderr)
        return 2
    problem = kinds[sys.argv[1]](*sys.argv[2:])
    print(problem or "equal")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
