"""Table functions: TABLE(RESULT_SCAN(…)), TABLE(INFORMATION_SCHEMA.QUERY_HISTORY(…)), TABLE(VALIDATE(…)) and the like."""
import datetime
import time

from .errors import SnowflakeError, does_not_exist, invalid_value, syntax_error
from .lexer import Cursor, column, literal, split_commas
from .types import Type, number, text

MOMENT = Type("TIMESTAMP_LTZ")
HISTORY = [("QUERY_ID", text()), ("QUERY_TEXT", text()), ("DATABASE_NAME", text()), ("SCHEMA_NAME", text()), ("QUERY_TYPE", text()),
           ("SESSION_ID", number()), ("USER_NAME", text()), ("ROLE_NAME", text()), ("WAREHOUSE_NAME", text()), ("QUERY_TAG", text()),
           ("EXECUTION_STATUS", text()), ("ERROR_CODE", text()), ("ERROR_MESSAGE", text()), ("START_TIME", MOMENT), ("END_TIME", MOMENT),
           ("TOTAL_ELAPSED_TIME", number()), ("ROWS_PRODUCED", number()), ("TRANSACTION_ID", number())]
COPIES = [("FILE_NAME", text()), ("STAGE_LOCATION", text()), ("LAST_LOAD_TIME", MOMENT), ("ROW_COUNT", number()), ("ROW_PARSED", number()),
          ("FILE_SIZE", number()), ("FIRST_ERROR_MESSAGE", text()), ("ERROR_COUNT", number()), ("STATUS", text()),
          ("TABLE_CATALOG_NAME", text()), ("TABLE_SCHEMA_NAME", text()), ("TABLE_NAME", text())]


def source(call, work, cursor):
    """The DuckDB subquery of TABLE( … ), whose '(' comes next, and the name that its columns may be called by."""
    inner = Cursor(cursor.parenthesised())
    parts = inner.name()
    arguments = split_commas(inner.parenthesised())
    inner.end()
    maker = FUNCTIONS.get(parts[-1])
    if maker is None or (len(parts) > 1) != (parts[-1] in IN_SCHEMA):
        raise does_not_exist("Function", ".".join(parts))
    return maker(call, work, _named(arguments, call)), parts[-1]


def _named(arguments, call):
    """{name: value}; arguments without a name are called 0, 1, …"""
    found = {}
    for at, tokens in enumerate(arguments):
        name = at
        if len(tokens) > 2 and tokens[1].text == "=>":
            name, tokens = tokens[0].value, tokens[2:]
        found[name] = tokens
    return found


def rows_source(columns, rows):
    """Rows as a subquery: cells in their types."""
    head = ", ".join(f"CAST(v{i} AS {t.duckdb}) AS {column(n)}" for i, (n, t) in enumerate(columns))
    names = ", ".join(f"v{i}" for i in range(len(columns)))

    def value(v):
        if isinstance(v, datetime.datetime):
            v = v.isoformat()
        return "NULL" if v is None else str(v) if isinstance(v, (int, float)) and not isinstance(v, bool) else literal(str(v).replace("\0", "�"))
    if not rows:
        return f"(SELECT {head} FROM (SELECT {', '.join(f'NULL AS v{i}' for i in range(len(columns)))}) WHERE FALSE)"
    listed = ", ".join("(" + ", ".join(map(value, row)) + ")" for row in rows)
    return f"(SELECT {head} FROM (VALUES {listed}) AS v({names}))"


# --- results of earlier statements

def finished(call, tokens):
    """The query that RESULT_SCAN names: an id, or LAST_QUERY_ID()."""
    wanted = tokens[0].value if tokens and tokens[0].kind == "string" else call.session.last_query_id
    query = call.world.queries.get(wanted)
    if query is None:
        raise SnowflakeError("000709", "02000", f"Statement {wanted} not found")
    query.done.wait()
    if query.error:
        raise query.error
    return query


def _result_scan(call, work, arguments):
    from .results import Held
    result = finished(call, arguments.get(0, [])).result
    rows = result.rows
    if isinstance(rows, Held):
        if rows.chunks:
            raise SnowflakeError("002001", "0A000", "RESULT_SCAN of a large result within a query (sandbox stand-in).")
        rows = rows.first
        return rows_source(_from_cells(result.columns), [[_uncelled(v, t) for v, (_, t) in zip(row, result.columns)] for row in rows])
    return rows_source(result.columns, rows)


def _from_cells(columns):
    return [(n, t if t.name != "BINARY" else text()) for n, t in columns]


def _uncelled(value, kind):
    """A JSON cell back as something that a CAST reads."""
    if value is None:
        return None
    if kind.name == "BOOLEAN":
        return "true" if value == "1" else "false"
    if kind.name == "DATE":
        return str(datetime.date(1970, 1, 1) + datetime.timedelta(days=int(value)))
    if kind.name.startswith("TIMESTAMP"):
        seconds, _, fraction = value.partition(".")
        return str(datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=int(seconds), microseconds=int(fraction[:6] or 0)))
    if kind.name == "TIME":
        return str(datetime.timedelta(seconds=float(value)))
    return value


# --- histories

def _instant(seconds):
    return None if seconds is None else datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)


def _moment(call, work, tokens):
    from .rewrite import rewrite
    value = work.value(f"SELECT epoch(CAST({rewrite(tokens, call.environment(work))} AS TIMESTAMPTZ))")
    return float(value)


def _history(call, work, arguments):
    known = {"END_TIME_RANGE_START", "END_TIME_RANGE_END", "RESULT_LIMIT", "INCLUDE_CLIENT_GENERATED_STATEMENT", "SESSION_ID", "USER_NAME",
             "WAREHOUSE_NAME"}
    for name in arguments:
        if name not in known:
            raise invalid_value(f"invalid argument {name}")
    limit = int(arguments["RESULT_LIMIT"][0].text) if "RESULT_LIMIT" in arguments else 100
    if not 1 <= limit <= 10000:
        raise invalid_value(f"RESULT_LIMIT {limit}")
    start, end = (_moment(call, work, arguments[n]) if n in arguments else None for n in ("END_TIME_RANGE_START", "END_TIME_RANGE_END"))
    session = int(arguments["SESSION_ID"][0].text) if "SESSION_ID" in arguments else None
    user = arguments["USER_NAME"][0].value if "USER_NAME" in arguments else None
    rows = []
    for query in reversed(call.world.queries.every()):
        at = query.ended or time.time()
        if start is not None and at < start or end is not None and at > end or session not in (None, query.session.number) \
                or user not in (None, query.session.user):
            continue
        rows.append(_history_row(query))
        if len(rows) == limit:
            break
    return rows_source(HISTORY, rows)


def _history_by_session(call, work, arguments):
    if "SESSION_ID" not in arguments:
        from .lexer import tokens_of
        arguments["SESSION_ID"] = tokens_of(str(call.session.number))
    return _history(call, work, arguments)


def _history_row(query):
    session, words = query.session, query.sql.split(None, 1)
    held = query.result.rows if query.result else ()
    produced = getattr(held, "total", None) if query.result else None
    return (query.id, query.sql[:100000], session.database, session.schema, words[0].upper() if words else "", session.number, session.user,
            session.role, session.warehouse, query.tag, {"FAILED_WITH_ERROR": "FAILED_WITH_ERROR"}.get(query.status, query.status),
            query.error.code if query.error else None, query.error.message if query.error else None, _instant(query.started),
            _instant(query.ended), int(((query.ended or time.time()) - query.started) * 1000),
            produced if produced is not None else len(held or ()), query.transaction.number if query.transaction else 0)


def _copy_history(call, work, arguments):
    if "TABLE_NAME" not in arguments or "START_TIME" not in arguments:
        raise syntax_error("COPY_HISTORY needs TABLE_NAME and START_TIME")
    given = arguments["TABLE_NAME"][0]
    from .lexer import tokens_of
    table, full = call.environment(work).lookup(Cursor(tokens_of(given.value)).name())
    start = _moment(call, work, arguments["START_TIME"])
    stages = {s.number: "@" + ".".join(name) for name, s in call.catalog.stages()}
    rows = []
    for file, loaded, count, parsed, size, error, errors, status in work.execute(
            f"SELECT file, CAST(loaded AS VARCHAR), row_count, row_parsed, size, first_error, error_count, status FROM sf_loads "
            f"WHERE table_number = {table.number} AND epoch(loaded) >= {start} AND {work.visible} ORDER BY loaded").fetchall():
        stage, _, name = file.partition("/")
        rows.append((name, stages.get(int(stage), ""), loaded + "Z", count, parsed, size, error, errors,
                     {"LOADED": "Loaded", "PARTIALLY_LOADED": "Partially loaded"}.get(status, "Load failed"), *full))
    return rows_source(COPIES, rows)


def _validate(call, work, arguments):
    from .rejects import validate
    return validate(call, work, arguments)


IN_SCHEMA = {"QUERY_HISTORY", "QUERY_HISTORY_BY_SESSION", "QUERY_HISTORY_BY_USER", "COPY_HISTORY"}
FUNCTIONS = {"RESULT_SCAN": _result_scan, "VALIDATE": _validate, "QUERY_HISTORY": _history, "QUERY_HISTORY_BY_USER": _history,
             "QUERY_HISTORY_BY_SESSION": _history_by_session, "COPY_HISTORY": _copy_history}
