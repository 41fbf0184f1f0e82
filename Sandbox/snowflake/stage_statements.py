"""PUT, GET, LIST and REMOVE."""
import email.utils

from . import formats
from .errors import SnowflakeError, unsupported
from .lexer import Cursor, tokens_of
from .queries import Result
from .stages import matches, parse_stage, stage_token
from .types import number, text


def _local(text):
    """(path, what follows it) of file://… , quoted or not."""
    text = text.strip()
    if text.startswith("'"):
        path, after = text[1:].split("'", 1)
        path = path.replace("\\'", "'").replace("\\\\", "\\")
    else:
        path, _, after = text.partition(" ")
    if not path.lower().startswith("file://"):
        raise SnowflakeError("001003", "42000", "SQL compilation error:\nsyntax error: PUT and GET need file://")
    return path[7:], after


def _internal_only(stage, what):
    if stage.external:
        raise SnowflakeError("002001", "0A000", f"SQL compilation error:\nUnsupported feature '{what} of an external stage'.")


def put(call):
    sql = call.query.sql.strip().rstrip(";")
    source, after = _local(sql[sql.upper().index("PUT") + 3:])
    cursor = Cursor(tokens_of(after))
    if cursor.peek is not None and cursor.peek.text == "?":
        cursor.next()
        written = call.bindings["1"]["value"]
    else:
        written = stage_token(cursor)
    stage, path, _ = parse_stage(call, written)
    _internal_only(stage, "PUT")
    options = formats.options(cursor.rest())
    for name in options:
        if name not in ("PARALLEL", "AUTO_COMPRESS", "SOURCE_COMPRESSION", "OVERWRITE"):
            raise unsupported(f"PUT {name}")
    call.session.require("WRITE", "stage")
    return Result(extra=call.world.stages.put_data(call, stage, path.strip("/"), [source], options), type_id=None)


def listing(call):
    cursor = call.cursor
    cursor.next()
    stage, path, shown = parse_stage(call, stage_token(cursor))
    pattern = _pattern(cursor)
    rows = [(f"{shown}/{f.name}", f.size, f.object.etag if f.object else f.md5, email.utils.formatdate(f.modified, usegmt=True))
            for f in call.world.stages.files(stage) if f.name.startswith(path) and matches(pattern, f.name)]
    return Result([("name", text()), ("size", number()), ("md5", text()), ("last_modified", text())], rows, 0x1000)


def remove(call):
    cursor = call.cursor
    cursor.next()
    stage, path, shown = parse_stage(call, stage_token(cursor))
    pattern = _pattern(cursor)
    call.session.require("WRITE", "stage")
    rows = []
    for staged in call.world.stages.files(stage):
        if staged.name.startswith(path) and matches(pattern, staged.name):
            call.world.stages.remove(stage, staged)
            rows.append((f"{shown}/{staged.name}", "removed"))
    return Result([("name", text()), ("result", text())], rows, 0x1000)


def _pattern(cursor):
    if cursor.take("PATTERN"):
        cursor.expect("=")
        return cursor.next().value
    cursor.end()
    return None


def get(call):
    """GET @stage/path file:///folder: the client downloads, and decrypts, what is listed."""
    sql = call.query.sql.strip().rstrip(";")
    at = sql.lower().rindex("file://")
    at -= sql[at - 1] == "'"
    target, after = _local(sql[at:])
    cursor = Cursor(tokens_of(sql[sql.upper().index("GET") + 3:at]))
    stage, path, _ = parse_stage(call, stage_token(cursor))
    _internal_only(stage, "GET")
    cursor.end()
    options = formats.options(Cursor(tokens_of(after)).rest())
    pattern = options.pop("PATTERN", None)
    for name in options:
        if name != "PARALLEL":
            raise unsupported(f"GET {name}")
    call.session.require("READ", "stage")
    found = [f for f in call.world.stages.files(stage) if f.name.startswith(path) and matches(pattern, f.name)]
    return Result(extra=call.world.stages.get_data(call, stage, path, found, target, options), type_id=None)
