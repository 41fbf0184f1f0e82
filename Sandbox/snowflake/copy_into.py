"""COPY INTO a table: which files, what they hold, what was loaded before, all or nothing."""
import queue
import re
import threading

from . import copy_rows, external, formats
from .catalog import resolve
from .accounts import BUCKET
from .copy_source import include_metadata
from .errors import SnowflakeError, syntax_error, unsupported
from .lexer import Cursor, literal, show_name, split_commas, tokens_of
from .dml import column_list, target_of
from .queries import Result
from .plain import Plain
from .stages import matches, parse_stage, stage_token
from .types import number, text

FLAGS = {"FORCE": False, "PURGE": False, "TRUNCATECOLUMNS": False, "ENFORCE_LENGTH": True, "RETURN_FAILED_ONLY": False,
         "LOAD_UNCERTAIN_FILES": False}
COLUMNS = [("file", text()), ("status", text()), ("rows_parsed", number()), ("rows_loaded", number()), ("error_limit", number()),
           ("errors_seen", number()), ("first_error", text()), ("first_error_line", number()),
           ("first_error_character", number()), ("first_error_column_name", text())]


class Copy:
    """The parsed statement."""

    def __init__(self, call):
        cursor = call.cursor
        cursor.next()
        cursor.expect("INTO")
        if cursor.peek is not None and cursor.peek.kind == "stage":
            raise unsupported("COPY INTO a stage")
        self.table, self.full = target_of(call, "INSERT")
        self.listed = cursor.looks("(")
        self.columns = column_list(call, self.table, cursor.parenthesised()) if self.listed else self.table.columns
        cursor.expect("FROM")
        self.items = None
        if cursor.looks("("):
            self._transformation(call, Cursor(cursor.parenthesised()))
        else:
            self._stage(call, stage_token(cursor))
        self._options(call, formats.options(cursor.rest()))

    def _stage(self, call, written):
        self.stage, self.path, self.shown = parse_stage(call, written)
        # METADATA$FILENAME: the path within the stage, or within the bucket of an external one
        place = external.parse_url(self.stage.external["url"]) if self.stage.external else None
        self.shown_url, self.exact = place.path if place else "", False
        self.shown_stage = self.shown if place else "@" + show_name(resolve(call.session, Cursor(tokens_of(_stage_name(written))).name())[2])

    def _transformation(self, call, cursor):
        cursor.expect("SELECT")
        start, depth = cursor.at, 0
        while not (depth == 0 and cursor.looks("FROM")):
            depth += {"(": 1, ")": -1, "[": 1, "]": -1}.get(cursor.next().text, 0)
        self.items = [_unaliased(p) for p in split_commas(cursor.tokens[start:cursor.at])]
        cursor.expect("FROM")
        self._stage(call, stage_token(cursor))
        alias = None
        if cursor.peek is not None and cursor.peek.kind in ("word", "quoted"):
            cursor.take("AS")
            alias = cursor.identifier()
        cursor.end()
        if alias:
            self.items = [_without_alias(p, alias) for p in self.items]
        if len(self.items) != len(self.columns):
            raise SnowflakeError("002020", "21S01", "SQL compilation error:\nInsert value list does not match column list "
                                 f"expecting {len(self.columns)} but got {len(self.items)}")

    def _options(self, call, given):
        self.files = given.pop("FILES", None)
        self.pattern = given.pop("PATTERN", None)
        own = given.pop("FILE_FORMAT", None)
        if own is not None:
            own = _format_pairs(call, own)
        self.format = formats.Format({**self.stage.file_format, **(own or {})} if not own or "TYPE" not in own else own)
        self.on_error = str(given.pop("ON_ERROR", "ABORT_STATEMENT")).upper()
        self.skip_bound = None                        # SKIP_FILE_n and SKIP_FILE_n%
        if found := re.fullmatch(r"SKIP_FILE_(\d+)(%?)", self.on_error):
            self.on_error, self.skip_bound = "SKIP_FILE%" if found[2] else "SKIP_FILE", int(found[1])
        if self.on_error not in ("ABORT_STATEMENT", "CONTINUE", "SKIP_FILE", "SKIP_FILE%") or self.skip_bound == 0 \
                or self.on_error == "SKIP_FILE%" and self.skip_bound > 100:
            raise SnowflakeError("001417", "22023", f"SQL compilation error:\ninvalid value for ON_ERROR: {self.on_error}")
        self.match = str(given.pop("MATCH_BY_COLUMN_NAME", "NONE")).upper()
        if self.match not in ("NONE", "CASE_SENSITIVE", "CASE_INSENSITIVE"):
            raise syntax_error("MATCH_BY_COLUMN_NAME", self.match)
        if self.match != "NONE" and self.items is not None:
            raise SnowflakeError("001416", "42601", "SQL compilation error:\nMATCH_BY_COLUMN_NAME cannot be used with a transformation")
        self.include_metadata = include_metadata(self.table, given.pop("INCLUDE_METADATA", []))
        if self.include_metadata and self.match == "NONE":
            raise SnowflakeError("001416", "42601", "SQL compilation error:\nINCLUDE_METADATA can only be used with MATCH_BY_COLUMN_NAME")
        for name, default in FLAGS.items():
            value = given.pop(name, default)
            if not isinstance(value, bool):
                raise SnowflakeError("001417", "22023", f"SQL compilation error:\ninvalid value for {name}")
            setattr(self, name.lower(), value)
        self.truncates = self.truncatecolumns or not self.enforce_length
        if given:
            raise SnowflakeError("001420", "22023", f"SQL compilation error:\ninvalid parameter '{next(iter(given))}'")
        if self.files is not None and len(self.files) > 1000:
            raise SnowflakeError("001418", "22023", "SQL compilation error:\nThe maximum number of files in FILES is 1000")

    def chosen(self, stages):
        """The staged files this statement is about; a named one that is missing is an error."""
        prefix = self.path if not self.path or self.path.endswith("/") else self.path + "/"
        if self.files is None:
            return [f for f in stages.files(self.stage) if f.name.startswith(self.path) and matches(self.pattern, f.name)]
        found, self.missing = [], []
        for name in self.files:
            staged = stages.find(self.stage, prefix + name)
            if staged is None and self.on_error != "ABORT_STATEMENT":
                self.missing.append(prefix + name)
                continue
            if staged is None:
                raise SnowflakeError("091016", "22000", f"Remote file '{self.shown}/{prefix + name}' was not found. There are several "
                                     "potential causes. The file might not exist. The required credentials may be missing or invalid. "
                                     "If you are running a copy command, please make sure files are not deleted when they are being "
                                     "loaded or files are not being loaded into two different tables concurrently with auto purge option.")
            found.append(staged)
        return found


def _stage_name(written):
    """@db.sch."st"/path without its path."""
    quoted = False
    for at, c in enumerate(written):
        quoted ^= c == '"'
        if c == "/" and not quoted:
            return written[1:at]
    return written[1:]


def _format_pairs(call, own):
    """FILE_FORMAT=(…) arrives as raw tokens, or as a bare name."""
    return formats.named(call, own if isinstance(own, dict) else {"FORMAT_NAME": own})


def _unaliased(tokens):
    """A select item without its AS name."""
    if len(tokens) > 2 and tokens[-2].kind == "word" and tokens[-2].value == "AS":
        return tokens[:-2]
    return tokens


def _without_alias(tokens, alias):
    """t.$1 is $1."""
    kept, i = [], 0
    while i < len(tokens):
        if tokens[i].value == alias and i + 1 < len(tokens) and tokens[i + 1].text == ".":
            i += 2
            continue
        kept.append(tokens[i])
        i += 1
    return kept


def copy(call):
    statement = Copy(call)
    with call.writing() as transaction:
        try:
            with call.engine.statement(transaction, call.query) as work:
                rows = _load(call, statement, work)
        except copy_rows.Uneven:
            statement.exact = True
            with call.engine.statement(transaction, call.query) as work:
                rows = _load(call, statement, work)
    if statement.purge:
        for staged, row in rows:
            if row[1] == "LOADED":
                call.world.stages.remove(statement.stage, staged)
    shown = [r for _, r in rows if not statement.return_failed_only or r[1] not in ("LOADED", "LOAD_SKIPPED")]
    if not rows:
        return Result([("status", text())], [("Copy executed with 0 files processed.",)], 0x3600)
    return Result(COLUMNS, shown + _missing(call, statement), 0x3600)


def _missing(call, statement):
    """Named files that are not there, where errors are passed over: rows of the answer, or nothing (the worse case)."""
    if call.settings.missing_files == "silent" or statement.files is None:
        return []
    return [(f"{statement.shown}/{name}", "LOAD_FAILED", 0, 0, 1, 1, f"Remote file '{statement.shown}/{name}' was not found.", None, None, None)
            for name in statement.missing]


def _load(call, statement, work):
    stages, table = call.world.stages, statement.table
    work.wrote(table.physical)
    work.wrote("sf_loads")
    rows, pending, identify = [], [], _hash if call.settings.strict_digest else (lambda staged: staged.md5)
    known = dict(work.execute(f"SELECT file || '\x01' || hash, status FROM sf_loads WHERE table_number = {table.number} "
                              f"AND {work.visible}").fetchall())
    for staged in statement.chosen(stages):
        identity = f"{statement.stage.number}/{staged.name}\x01{identify(staged)}"
        if not statement.force and known.get(identity) in ("LOADED", "PARTIALLY_LOADED"):
            if statement.files is not None:
                rows.append((staged, (_shown(call, statement, staged), "LOAD_SKIPPED", 0, 0, 1, 1, "File was loaded before.",
                                      None, None, None)))
            continue
        known[identity] = "LOADED"
        pending.append(staged)
    rejects = []
    for staged, plain in _decoded(call, statement, pending):
        loader = copy_rows.Loader(call, statement, work, staged, plain)
        if isinstance(plain, SnowflakeError):
            outcome = loader.unreadable(plain)
        else:
            try:
                outcome = loader.load()
            finally:
                plain.remove()
        rejects += outcome.rejects
        row = outcome.row
        rows.append((staged, (_shown(call, statement, staged),) + row))
        state = row[0]
        if state != "LOAD_FAILED":
            work.execute(f"INSERT INTO sf_loads VALUES ({table.number}, {literal(f'{statement.stage.number}/{staged.name}')}, "
                         f"{literal(identify(staged))}, {literal(state)}, {row[1]}, {row[2]}, {staged.size}, "
                         f"CAST(now() AS TIMESTAMP), {literal(row[5]) if row[5] else 'NULL'}, {row[4]}, {work.transaction.number}, NULL)")
    call.world.rejected.keep(call.query, statement, rejects)
    order = {s.name: i for i, s in enumerate(statement.chosen(stages))} if statement.files else None
    if order:
        rows.sort(key=lambda r: order[r[0].name])
    return rows


def _hash(staged):
    """The identity of a file's content before encryption; of a file in somebody's bucket it is the ETag."""
    if staged.object is not None and not staged.object.key.startswith(BUCKET + "/"):
        return staged.object.etag
    if staged.object is not None:
        for name in ("x-amz-meta-sfc-digest", "x-ms-meta-sfcdigest", "x-goog-meta-sfc-digest"):
            if staged.object.meta.get(name):
                return staged.object.meta[name]
    return staged.md5


def _shown(call, statement, staged):
    return f"{statement.shown}/{staged.name}" if call.settings.file_prefix == "stage" else staged.name


def _decoded(call, statement, pending):
    """Each file decrypted and decompressed to a temporary one, the next while one is loaded."""
    ready, stop = queue.Queue(1), threading.Event()

    def work():
        for staged in pending:
            if stop.is_set():
                return
            try:
                item = Plain(call, statement, staged)
            except BaseException as error:
                item = error
            ready.put((staged, item))

    threading.Thread(target=work, daemon=True).start()
    try:
        for _ in pending:
            staged, item = ready.get()
            if isinstance(item, BaseException) and not (isinstance(item, SnowflakeError) and statement.on_error != "ABORT_STATEMENT"):
                raise item
            yield staged, item
    finally:
        stop.set()
        while not ready.empty():
            item = ready.get()[1]
            if not isinstance(item, BaseException):
                item.remove()
