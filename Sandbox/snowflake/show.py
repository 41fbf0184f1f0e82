"""SHOW, DESCRIBE, INFORMATION_SCHEMA and system functions."""
import datetime
import re

from . import table_functions, views
from .catalog import resolve
from .errors import SnowflakeError, does_not_exist, unsupported
from .lexer import show_name
from .queries import Result
from .types import Type, number, text


def _time(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)


def show(call):
    cursor = call.cursor
    cursor.next()
    cursor.take("TERSE")
    words = []
    while cursor.peek is not None and cursor.peek.kind == "word" and cursor.peek.value not in ("IN", "LIKE", "STARTS", "LIMIT"):
        words.append(cursor.next().value)
    what = " ".join(words)
    like = re.compile(_like(cursor.next().value), re.I | re.S) if cursor.take("LIKE") else None
    scope = None
    if cursor.take("IN"):
        scope = [t.value for t in cursor.rest()]
    shower = {"TABLES": _tables, "STAGES": _stages, "COLUMNS": _columns, "TRANSACTIONS": _transactions, "PARAMETERS": _parameters,
              "DATABASES": _databases, "SCHEMAS": _schemas, "WAREHOUSES": _warehouses, "LOCKS": _locks, "GRANTS": _grants,
              "ROLES": _roles, "VIEWS": _views, "INTEGRATIONS": _integrations, "STORAGE INTEGRATIONS": _integrations,
              "PRIMARY KEYS": _none, "OBJECTS": _tables}.get(what)
    if shower is None:
        raise unsupported(f"SHOW {what}")
    return shower(call, scope, lambda name: like is None or like.fullmatch(name) is not None)


def _like(pattern):
    return "".join({"%": ".*", "_": "."}.get(c, re.escape(c)) for c in pattern)


def _places(call, scope):
    """Which (database, schema) a scope names; None stands for every one."""
    words = [w for w in scope or [] if w != "."]
    if words and words[0] == "ACCOUNT":
        return None, None
    kind = words.pop(0) if words and words[0] in ("DATABASE", "SCHEMA", "TABLE") else None
    if kind == "DATABASE" or kind is None and len(words) == 1 and words[0] in call.catalog.databases:
        return (words[0] if words else call.session.database), None
    if words:
        full = ([call.session.database] + words)[-2:]
        call.catalog.schema(*full)
        return tuple(full)
    return call.session.database, call.session.schema


def _within(call, scope, things):
    database, schema = _places(call, scope)
    return [(full, t) for full, t in things if (database is None or full[0] == database) and (schema is None or full[1] == schema)]


def _tables(call, scope, wanted):
    names = ["created_on", "name", "database_name", "schema_name", "kind", "comment", "cluster_by", "rows", "bytes", "owner",
             "retention_time", "automatic_clustering", "change_tracking", "is_external", "owner_role_type"]
    found = _within(call, scope, call.catalog.tables())
    rows = []
    with call.engine.statement(call.transaction, call.query) as work:
        for full, table in found:
            if wanted(full[2]):
                count = work.count(table)
                rows.append((_time(table.created), full[2], full[0], full[1], table.kind, table.comment, "", count, count * 100, "SYSADMIN",
                             "1", "OFF", "OFF", "N", "ROLE"))
    return _rows(names, rows, created_on=Type("TIMESTAMP_LTZ"), rows=number(), bytes=number())


def _rows(names, values, **kinds):
    return Result([(n, kinds.get(n, text())) for n in names], values, 0x1000)


def _stages(call, scope, wanted):
    rows = [(_time(s.created), full[2], full[0], full[1], s.external["url"] if s.external else "",
             "Y" if s.external and s.external["credentials"] else "N", "N", "SYSADMIN", s.comment, None,
             "EXTERNAL" if s.external else "INTERNAL" if s.encrypted else "INTERNAL NO CSE", _cloud(s), None,
             s.external["integration"] if s.external else None, "ROLE") for full, s in _within(call, scope, call.catalog.stages()) if wanted(full[2])]
    return _rows(["created_on", "name", "database_name", "schema_name", "url", "has_credentials", "has_encryption_key", "owner", "comment",
                  "region", "type", "cloud", "notification_channel", "storage_integration", "owner_role_type"], rows,
                 created_on=Type("TIMESTAMP_LTZ"))


def _cloud(stage):
    from .external import parse_url
    return {"S3": "AWS", "GCS": "GCP", "AZURE": "AZURE"}[parse_url(stage.external["url"]).provider] if stage.external else None


def _views(call, scope, wanted):
    return _rows(views.HEADINGS, [views.shown(full, v) for full, v in _within(call, scope, call.catalog.views()) if wanted(full[2])],
                 created_on=Type("TIMESTAMP_LTZ"))


def _integrations(call, scope, wanted):
    rows = [(n, "EXTERNAL_STAGE", "STORAGE", str(i["ENABLED"]).lower(), i.get("COMMENT", ""), _time(0))
            for n, i in sorted(call.catalog.integrations.items()) if wanted(n)]
    return _rows(["name", "type", "category", "enabled", "comment", "created_on"], rows, created_on=Type("TIMESTAMP_LTZ"))


def _columns(call, scope, wanted):
    import json
    words = [w for w in scope or [] if w != "."]
    if words and words[0] in ("TABLE", "VIEW") or words and words[0] not in ("DATABASE", "SCHEMA", "ACCOUNT"):
        table, full = _table_or_view(call, words[1:] if words[0] in ("TABLE", "VIEW") else words)
        tables = [(full, table)]
    else:
        tables = _within(call, scope, call.catalog.tables() + call.catalog.views())
    rows = [(full[2], full[1], c.name, json.dumps({**{k: v for k, v in c.type.wire.items() if v is not None},
                                                  "type": {"fixed": "FIXED"}.get(c.type.wire["type"], c.type.wire["type"].upper()),
                                                  "nullable": c.nullable}),
             "true" if c.nullable else "NOT_NULL", c.default or "", "COLUMN", "", "", full[0], "")
            for full, table in tables for c in table.columns if wanted(c.name)]
    return _rows(["table_name", "schema_name", "column_name", "data_type", "null?", "default", "kind", "expression", "comment",
                  "database_name", "autoincrement"], rows)


def _transactions(call, scope, wanted):
    everyone = bool(scope) and scope[0] == "ACCOUNT"
    rows = []
    with call.world.transactions.condition:
        for t in call.world.transactions.open.values():
            if t.implicit or not everyone and t.session.user != call.session.user:
                continue
            blocked = t in call.world.transactions.waiting
            rows.append((t.number, t.session.user, t.session.number, t.name, _time(t.started), "blocked" if blocked else "running",
                         "USER_INITIATED"))
    return _rows(["id", "user", "session", "name", "started_on", "state", "scope"], rows, id=number(), session=number(),
                 started_on=Type("TIMESTAMP_LTZ"))


def _locks(call, scope, wanted):
    rows = []
    names = {t.number: ".".join(full) for full, t in call.catalog.tables()}
    with call.world.transactions.condition:
        for table, holder in call.world.transactions.holders.items():
            rows.append((names.get(table, str(table)), "PARTITIONS", holder.number, _time(holder.started), "HOLDING", None, ""))
        for waiter, table in call.world.transactions.waiting.items():
            rows.append((names.get(table, str(table)), "PARTITIONS", waiter.number, _time(waiter.started), "WAITING", None, ""))
    return _rows(["resource", "type", "transaction", "transaction_started_on", "status", "acquired_on", "query_id"], rows,
                 transaction=number(), transaction_started_on=Type("TIMESTAMP_LTZ"), acquired_on=Type("TIMESTAMP_LTZ"))


def _parameters(call, scope, wanted):
    rows = [(p["name"], _shown(p["value"]), "", "SESSION" if p["name"] in call.session.parameters else "", "",
             {bool: "BOOLEAN", int: "NUMBER"}.get(type(p["value"]), "STRING")) for p in call.session.parameter_list() if wanted(p["name"])]
    return _rows(["key", "value", "default", "level", "description", "type"], rows)


def _shown(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def _databases(call, scope, wanted):
    rows = [(_time(0), d, "N", "Y" if d == call.session.database else "N", "", "SYSADMIN", "", "", "1") for d in call.catalog.databases if wanted(d)]
    return _rows(["created_on", "name", "is_default", "is_current", "origin", "owner", "comment", "options", "retention_time"], rows,
                 created_on=Type("TIMESTAMP_LTZ"))


def _schemas(call, scope, wanted):
    database = _places(call, scope)[0]
    rows = [(_time(0), s, "N", "Y" if s == call.session.schema else "N", d, "SYSADMIN", "", "", "1")
            for d, schemas in call.catalog.databases.items() for s in schemas if database in (None, d) and wanted(s)]
    return _rows(["created_on", "name", "is_default", "is_current", "database_name", "owner", "comment", "options", "retention_time"], rows,
                 created_on=Type("TIMESTAMP_LTZ"))


def _warehouses(call, scope, wanted):
    name = call.session.warehouse or "SANDBOX_WH"
    return _rows(["name", "state", "type", "size"], [(name, "STARTED", "STANDARD", "X-Small")] if wanted(name) else [])


def _grants(call, scope, wanted):
    return _rows(["created_on", "privilege", "granted_on", "name", "granted_to", "grantee_name", "grant_option", "granted_by"], [])


def _roles(call, scope, wanted):
    return _rows(["name", "is_default", "is_current"], [(call.session.role, "Y", "Y")])


def _none(call, scope, wanted):
    return _rows(["created_on", "database_name", "schema_name", "table_name", "column_name"], [])


def describe(call):
    cursor = call.cursor
    cursor.next()
    what = cursor.next().value
    if what == "STAGE":
        return _describe_stage(call, call.catalog.get("stages", resolve(call.session, cursor.name())))
    if what == "STORAGE":
        what = cursor.next().value
    if what == "INTEGRATION":
        known = call.catalog.get("integrations", ("", "", cursor.identifier()))
        rows = [(k, {bool: "Boolean", list: "List"}.get(type(v), "String"), ",".join(v) if isinstance(v, list) else _shown(v), "")
                for k, v in known.items() if k not in ("TYPE", "COMMENT")]
        return _rows(["property", "property_type", "property_value", "property_default"], rows)
    if what not in ("TABLE", "VIEW"):
        raise unsupported(f"DESCRIBE {what}")
    table, full = _table_or_view(call, cursor.name(), what)
    call.session.require("SELECT", "table", full[2])
    rows = [(c.name, str(c.type), "COLUMN", "Y" if c.nullable else "N", c.default, "N", "N", None, None, None, None, None, None)
            for c in table.columns]
    return _rows(["name", "type", "kind", "null?", "default", "primary key", "unique key", "check", "expression", "comment", "policy name",
                  "privacy domain", "schema_evolution_record"], rows)


def _table_or_view(call, parts, what="TABLE"):
    environment = call.environment(None)
    found = environment.view(parts)
    if found is not None:
        return found[1], found[0]
    if what == "VIEW":
        raise does_not_exist("View", show_name(parts[-1]))
    return environment.lookup(parts)


def _describe_stage(call, stage):
    rows = [("STAGE_FILE_FORMAT", k, "Boolean" if isinstance(v, bool) else "String", _shown(v), "") for k, v in stage.file_format.items()]
    if stage.external:
        given = stage.external["credentials"] or {}
        rows += [("STAGE_LOCATION", "URL", "String", f'["{stage.external["url"]}"]', ""),
                 ("STAGE_INTEGRATION", "STORAGE_INTEGRATION", "String", stage.external["integration"] or "", ""),
                 ("STAGE_CREDENTIALS", "AWS_KEY_ID", "String", given.get("AWS_KEY_ID", ""), "")]
    return _rows(["parent_property", "property", "property_type", "property_value", "property_default"], rows)


# --- system functions

def system_function(call):
    """SELECT SYSTEM$…(…) as the whole statement, or None."""
    tokens = call.tokens
    if len(tokens) < 4 or tokens[1].kind != "word" or not tokens[1].value.startswith("SYSTEM$"):
        return None
    return _system(call, tokens[1].value, [t for t in tokens[3:] if t.kind in ("number", "string", "op") and t.text not in ("(", ")", ",")])


def call_system(call):
    return _system(call, call.tokens[1].value, [t for t in call.tokens[3:] if t.text not in ("(", ")", ",")])


def _system(call, name, arguments):
    if name == "SYSTEM$ABORT_TRANSACTION":
        return Result([(f"SYSTEM$ABORT_TRANSACTION({arguments[0].text})", text())], [(abort(call.world, int(arguments[0].value)),)], 0x1000)
    if name == "SYSTEM$WAIT":
        call.world.pause(call.query, float(arguments[0].value))
        return Result([("SYSTEM$WAIT", text())], [(f"waited {arguments[0].value} seconds",)], 0x1000)
    if name == "SYSTEM$CANCEL_QUERY":
        return Result([(name, text())], [(_cancel(call, arguments[0].value),)], 0x1000)
    if name == "SYSTEM$CANCEL_ALL_QUERIES":
        for query in call.world.queries.running():
            if query.session.number == int(arguments[0].value) and query is not call.query:
                query.cancel(call.settings.cancel_delay_seconds)
        return Result([(name, text())], [("done",)], 0x1000)
    raise unsupported(name)


def _cancel(call, wanted):
    try:
        call.world.queries.abort(query_id=wanted)
    except SnowflakeError as error:
        return error.message
    return f"query [{wanted}] terminated."


def abort(world, number_):
    """Ends another session's transaction; its running statements are cancelled first."""
    transactions = world.transactions
    with transactions.condition:
        transaction = transactions.open.get(number_)
        if transaction is None:
            return f"Transaction id {number_} does not exist."
        session = transaction.session
    world.end(transaction, "aborted")
    if session.transaction is transaction:
        session.transaction, session.aborted = None, transaction.number
    return f"Aborted transaction id {number_}."


def result_scan(call):
    """SELECT * FROM TABLE(RESULT_SCAN('id')), as the Python connector asks for async results."""
    words = [t.value.upper() if t.kind == "word" else t.value for t in call.tokens]
    if words[:7] != ["SELECT", "*", "FROM", "TABLE", "(", "RESULT_SCAN", "("] or len(words) < 10:
        return None
    depth, at = 2, 7                                     # the whole statement? else it is a table like others
    while depth and at < len(words):
        depth += {"(": 1, ")": -1}.get(words[at], 0) if call.tokens[at].kind == "op" else 0
        at += 1
    if at != len(words):
        return None
    return table_functions.finished(call, call.tokens[7:8]).result
