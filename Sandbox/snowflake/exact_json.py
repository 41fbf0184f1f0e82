"""JSON values with their numbers' text kept, for the few that DuckDB's parser would round."""
import json

import pyarrow
import pyarrow.parquet


class Number(str):
    pass


def dumps(value):
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k, ensure_ascii=False)}:{dumps(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dumps, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def parse(text):
    return json.loads(text, parse_float=Number, parse_int=Number, parse_constant=_refuse)


def duplicate(text):
    """The name that stands twice in an object of the text, at any depth; None when none does, or it is no JSON."""
    try:
        json.loads(text, object_pairs_hook=_distinct)
    except _Duplicate as found:
        return found.args[0]
    except (ValueError, RecursionError):
        pass
    return None


class _Duplicate(Exception):
    pass


def _distinct(pairs):
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        raise _Duplicate(next(name for name in names if names.count(name) > 1))
    return made


def _refuse(name):
    raise ValueError(f"{name} is not JSON")


def write_members(cursor, keys, path):
    """Rows (r, j) with the exact text of j's members `keys` as the list x."""
    schema = pyarrow.schema([("r", pyarrow.int64()), ("j", pyarrow.string()), ("x", pyarrow.list_(pyarrow.string()))])
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        while rows := cursor.fetchmany(5000):
            members = []
            for _, text in rows:
                value = parse(text)
                members.append([dumps(value[k]) if isinstance(value, dict) and k in value else None for k in keys])
            writer.write_table(pyarrow.table([[r for r, _ in rows], [j for _, j in rows], members], schema=schema))
