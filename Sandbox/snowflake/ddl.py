"""CREATE, DROP, ALTER and USE. Each commits the session's open transaction first, as Snowflake's do."""
from . import ddl_stages, ddl_tables, views
from .errors import SnowflakeError, already_exists, does_not_exist, unsupported
from .lexer import show_name
from .queries import status
from .rewrite import Environment


def create(call):
    cursor = call.cursor
    cursor.next()
    replace = cursor.take("OR", "REPLACE")
    cursor.take("LOCAL") or cursor.take("GLOBAL")
    temporary = cursor.take("TEMPORARY") or cursor.take("TEMP") or cursor.take("VOLATILE")
    transient = cursor.take("TRANSIENT")
    secure = cursor.take("SECURE")
    what = _kind(cursor)
    maker = {"TABLE": ddl_tables.create, "STAGE": ddl_stages.create_stage, "DATABASE": _create_database, "SCHEMA": _create_schema,
             "FILE FORMAT": ddl_stages.create_format, "WAREHOUSE": _create_warehouse, "VIEW": views.create,
             "STORAGE INTEGRATION": ddl_stages.create_integration}.get(what)
    if secure and what == "VIEW":
        maker = lambda *given: views.create(*given, secure=True)
    if maker is None:
        raise unsupported(f"CREATE {what}")
    if not temporary:
        call.commit_before_ddl()
    missing_only = cursor.take("IF", "NOT", "EXISTS")
    return maker(call, replace, temporary, transient, missing_only)


def _kind(cursor):
    """TABLE, FILE FORMAT, STORAGE INTEGRATION, …"""
    what = cursor.next().value
    for first, second in (("FILE", "FORMAT"), ("STORAGE", "INTEGRATION")):
        if what == first:
            cursor.expect(second)
            return f"{first} {second}"
    return what


def _create_database(call, replace, temporary, transient, missing_only):
    name = call.cursor.identifier()
    with call.catalog.lock:
        if name in call.catalog.databases and not replace:
            if missing_only:
                return status(f"{name} already exists, statement succeeded.")
            raise already_exists(show_name(name))
        call.session.require("CREATE DATABASE", "account", call.session.account)
        call.catalog.create_database(name)
    call.session.database, call.session.schema = name, "PUBLIC"
    return status(f"Database {name} successfully created.")


def _create_schema(call, replace, temporary, transient, missing_only):
    parts = call.cursor.name()
    database, name = parts if len(parts) == 2 else (call.session.database, parts[0])
    with call.catalog.lock:
        if database not in call.catalog.databases:
            raise does_not_exist("Database", show_name(database or ""))
        if call.catalog.has_schema(database, name) and not replace:
            if missing_only:
                return status(f"{name} already exists, statement succeeded.")
            raise already_exists(show_name(name))
        call.session.require("CREATE SCHEMA", "database", database)
        call.catalog.create_schema(database, name)
    call.session.database, call.session.schema = database, name
    return status(f"Schema {name} successfully created.")


def _create_warehouse(call, *_):
    return status(f"Warehouse {call.cursor.identifier()} successfully created.")


def drop(call):
    cursor = call.cursor
    cursor.next()
    what = _kind(cursor)
    if_exists = cursor.take("IF", "EXISTS")
    parts = cursor.name()
    call.commit_before_ddl()
    dropped = {"TABLE": ddl_tables.drop, "STAGE": ddl_stages.drop_stage, "SCHEMA": _drop_schema, "DATABASE": _drop_database,
               "FILE FORMAT": ddl_stages.drop_format, "VIEW": views.drop, "INTEGRATION": ddl_stages.drop_integration,
               "STORAGE INTEGRATION": ddl_stages.drop_integration}.get(what)
    if dropped is None:
        raise unsupported(f"DROP {what}")
    try:
        dropped(call, parts)
    except SnowflakeError as error:
        if if_exists and error.code == "002003":
            return status(f"Drop statement executed successfully ({show_name(parts[-1])} already dropped).")
        raise
    return status(f"{show_name(parts[-1])} successfully dropped.")


def _drop_schema(call, parts):
    database, name = parts if len(parts) == 2 else (call.session.database, parts[0])
    content = call.catalog.schema(database, name)
    for table in content["tables"].values():
        call.engine.drop_table(table)
    for stage in content["stages"].values():
        call.world.stages.forget(stage)
    call.catalog.drop_schema(database, name)


def _drop_database(call, parts):
    for name in list(call.catalog.databases.get(parts[0], {})):
        _drop_schema(call, [parts[0], name])
    if call.catalog.databases.pop(parts[0], None) is None:
        raise does_not_exist("Database", show_name(parts[0]))


def use(call):
    cursor, session = call.cursor, call.session
    cursor.next()
    what = cursor.next().value if cursor.peek and cursor.peek.value in ("DATABASE", "SCHEMA", "WAREHOUSE", "ROLE", "SECONDARY") \
        else "DATABASE" if len(cursor.tokens) == 2 else "SCHEMA"
    if what == "SECONDARY":
        return status("Statement executed successfully.")
    parts = cursor.name()
    if what == "DATABASE":
        if parts[0] not in call.catalog.databases:
            raise does_not_exist("Database", show_name(parts[0]))
        session.database, session.schema = parts[0], "PUBLIC" if call.catalog.has_schema(parts[0], "PUBLIC") else None
    elif what == "SCHEMA":
        database, name = parts if len(parts) == 2 else (session.database, parts[0])
        call.catalog.schema(database, name)
        session.database, session.schema = database, name
    elif what == "WAREHOUSE":
        session.warehouse = parts[0]
    else:
        session.role = parts[0]
    return status("Statement executed successfully.")


def alter(call):
    cursor = call.cursor
    cursor.next()
    what = _kind(cursor)
    if what == "SESSION":
        return _alter_session(call)
    if what == "WAREHOUSE":
        return status("Statement executed successfully.")
    if what in ("STAGE", "STORAGE INTEGRATION"):
        call.commit_before_ddl()
        return (ddl_stages.alter_stage if what == "STAGE" else ddl_stages.alter_integration)(call)
    if what != "TABLE":
        raise unsupported(f"ALTER {what}")
    if_exists = cursor.take("IF", "EXISTS")
    parts = cursor.name()
    call.commit_before_ddl()
    try:
        table, full = Environment(call.session, call.catalog, None).lookup(parts)
    except SnowflakeError as error:
        if if_exists and error.code == "002003":
            return status("Statement executed successfully.")
        raise
    call.session.require("ALTER", "table", full[2])
    with call.catalog.lock:
        try:
            ddl_tables.alter(call, table, full)
        finally:
            call.catalog.changed("tables", full)
    return status("Statement executed successfully.")


def _alter_session(call):
    cursor = call.cursor
    unset = cursor.take("UNSET")
    if not unset:
        cursor.expect("SET")
    while cursor.peek is not None:
        name = cursor.identifier()
        if unset:
            call.session.parameters.pop(name, None)
            cursor.take(",")
            continue
        cursor.expect("=")
        token = cursor.next()
        value = token.text + cursor.next().text if token.text == "-" else token.value
        call.session.set_parameter(name, value)
        if name == "AUTOCOMMIT" and call.session.parameter(name) and call.session.transaction is not None:
            transaction, call.session.transaction = call.session.transaction, None
            call.engine.commit(transaction)
        cursor.take(",")
    return status("Statement executed successfully.")


def comment(call):
    """COMMENT [IF EXISTS] ON TABLE t IS 'text'; comments on other things are read past."""
    cursor = call.cursor
    cursor.next()
    if_exists = cursor.take("IF", "EXISTS")
    cursor.expect("ON")
    call.commit_before_ddl()
    if not cursor.take("TABLE"):
        return ignored(call)
    try:
        table, full = Environment(call.session, call.catalog, None).lookup(cursor.name())
    except SnowflakeError as error:
        if if_exists and error.code == "002003":
            return ignored(call)
        raise
    call.session.require("OWNERSHIP", "table", full[2])
    cursor.expect("IS")
    table.comment = cursor.next().value
    cursor.end()
    call.catalog.changed("tables", full)
    return ignored(call)


def ignored(call):
    return status("Statement executed successfully.")
