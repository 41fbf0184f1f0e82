"""An exact reader of Snowflake's CSV for what DuckDB's can't say: escapes, uneven rows, where a bad row stands."""
import mmap
import os
import re

import pyarrow
import pyarrow.parquet

from .exact_json import dumps, duplicate, parse

ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0"}


class Record:
    """One record: fields as (text, was enclosed, where it starts), and why it is none."""
    __slots__ = ("start", "end", "line", "fields", "problem")

    def __init__(self, start, end, line, fields, problem):
        self.start, self.end, self.line, self.fields, self.problem = start, end, line, fields, problem


class CsvReader:
    def __init__(self, format_, path):
        self.format, self.path = format_, path
        self.header, self.width, first = None, 0, None
        self.counts = format_.count_mismatch          # another number of fields is a problem
        for at, record in enumerate(self.records()):
            if format_.parse_header and at == format_.skip_header:
                self.header = [f[0] for f in record.fields]
                self.width = len(record.fields)
                break
            if at >= format_.skip_header and not (format_.skip_blank and _is_blank(record)):
                first = record.fields
                break
        if first is not None:
            self.width = len(first)
        field = (format_.field or "").encode()
        # DuckDB lets what is left of a longer delimiter pass, and a delimiter at the end of a single column
        self.simple = len(field) == 1 and not (self.width <= 1 and self._has(field)) and not format_.trim_space and format_.escape is None and format_.record == "\n" \
            and not format_.skip_blank and not format_.replace_invalid

    def _has(self, piece):
        if not os.path.getsize(self.path):
            return False
        with open(self.path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return data.find(piece) >= 0

    def records(self):
        if not os.path.getsize(self.path):
            return
        with open(self.path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            f = self.format
            found = lambda c: c is not None and data.find(c.encode()) >= 0
            odd = found(f.quote) or found(f.escape) or found(f.escape_unenclosed) or f.trim_space
            yield from _scanned(data, f) if odd else _split(data, f)

    def data_records(self):
        """(row number, record) of what is neither header nor skipped."""
        f, number = self.format, 0
        skip = f.skip_header + (1 if f.parse_header else 0)
        for at, record in enumerate(self.records()):
            if at < skip or f.skip_blank and _is_blank(record):
                continue
            number += 1
            if record.problem is None:
                if _is_blank(record):
                    record.problem = "End of record reached while expected to parse column"
                elif len(record.fields) != self.width and self.counts:
                    record.problem = (f"Number of columns in file ({len(record.fields)}) does not match that of the corresponding table "
                                      f"({self.width}), use file format option error_on_column_count_mismatch=false to ignore this error")
            yield number, record

    def rows(self):
        """(row number, values with NULLs, problem) of each data record."""
        f, nulls, blanks = self.format, set(self.format.null_if), [None] * self.width
        for number, record in self.data_records():
            values = [None if not enclosed and (v in nulls or v == "" and f.empty_is_null) else v for v, enclosed, _ in record.fields]
            yield number, (values + blanks)[:self.width], record.problem


def _is_blank(record):
    return len(record.fields) == 1 and record.fields[0][0] == "" and not record.fields[0][1]


def _text(raw, f):
    """(text, problem)"""
    try:
        return raw.decode(), None
    except UnicodeDecodeError as error:
        text = raw.decode(errors="replace")
        return text, None if f.replace_invalid else f"Invalid UTF8 detected in string '0x{raw[error.start:error.start + 16].hex().upper()}'"


def _split(data, f):
    """Nothing is enclosed and nothing escaped: lines and fields are cut where they end."""
    start, line, field = 0, 1, f.field
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end + 1
        for raw in data[start:end].splitlines(True) if data.find(b"\r", start, end) >= 0 else (data[start:end],):
            body = raw.rstrip(b"\r\n")
            text, problem = _text(body, f)
            fields, at = [], start
            for part in text.split(field) if field else (text,):
                fields.append((part, False, at))
                at += len(part.encode()) + len((field or "").encode())
            yield Record(start, start + len(body), line, fields, problem)
            start += len(raw)
            line += 1


def _pattern(f):
    """One field and what ends it: what stands in quotes, what stands behind them, or a field without quotes; the end."""
    quoted = lambda c: re.escape(c.encode())
    # What was once taken is not given back. Python before 3.11.5 errs with possessive repeats, so a look ahead does it.
    taken = lambda group, parts: rb"(?=((?:" + rb"|".join(parts) + rb")*))(?:\%d)" % group
    field = quoted(f.field) if f.field else rb"(?!)"
    bare = f.escape or f.escape_unenclosed
    within = f.escape if f.escape and f.escape != f.quote else None
    space = rb"[ \t]*" if f.trim_space else b""
    if f.quote:
        q = quoted(f.quote)
        content = [rb"[^" + q + (quoted(within) if within else b"") + rb"]+", q + q] + ([quoted(within) + rb"."] if within else [])
        body = q + taken(1, content) + q + space + taken(2, [rb"(?!" + field + rb")[^\r\n]"])
    else:
        body = rb"((?!))((?!))"
    first = quoted(f.field[0]) if f.field else b""
    content = [rb"[^\r\n" + first + (quoted(bare) if bare else b"") + rb"]+"]
    if bare:
        content.append(quoted(bare) + rb"(?:.|\Z)")
    if f.field:
        content.append(rb"(?!" + field + rb")" + first)
    return re.compile(space + rb"(?:" + body + rb"|" + taken(3, content) + rb")(" + field + rb"|\r\n|\n|\r|\Z)", re.S)


def _scanned(data, f):
    match, field, quote = _pattern(f).match, f.field.encode() if f.field else None, f.quote
    bare = f.escape or f.escape_unenclosed
    within = f.escape if f.escape and f.escape != f.quote else None
    keep = "\\N" in f.null_if
    sub = {c: re.compile(re.escape(c) + "(.?)", re.S) for c in (bare, within) if c}
    at, line, end = 0, 1, len(data)
    while at < end:
        start, fields, problem = at, [], None
        while True:
            found = match(data, at)
            enclosed, junk, plain, stop = found.groups()
            if enclosed is not None:
                text, bad = _text(enclosed, f)
                text = text.replace(quote + quote, quote)
                if within and within in text:
                    text = sub[within].sub(lambda m: _escaped(m.group(1)), text)
                if junk:
                    bad = bad or f"Found character '{junk.decode(errors='replace')[0]}' instead of field delimiter '{f.field}'"
            else:
                text, bad = _text(plain, f)
                if quote and text.startswith(quote):
                    bad, stop = "Found no closing quote", b""
                if bare and bare in text:
                    text = sub[bare].sub(lambda m: "\\N" if m.group(1) == "N" and keep else _escaped(m.group(1)), text)
                if f.trim_space:
                    text = text.strip()
            problem = problem or bad
            fields.append((text, enclosed is not None, at))
            at = end if bad == "Found no closing quote" else found.end()
            if stop != field or at >= end and stop == b"":
                break
        close = at - len(stop)
        yield Record(start, close, line, fields, problem)
        whole = data[start:at]
        line += whole.count(b"\n") or whole.count(b"\r")


def _escaped(c):
    return ESCAPES.get(c, c)


def last_of_doubled(row, columns):
    number, values, problem = row
    return number, [dumps(parse(v)) if i in columns and v is not None and duplicate(v) is not None else v for i, v in enumerate(values)], problem


def write_parquet(reader, path, width, lenient=(), batch=20000):
    """The rows as c1…cn, r, sf_error. In the JSON of the columns `lenient` the last of two members of one name stays."""
    schema = pyarrow.schema([(f"c{i + 1}", pyarrow.string()) for i in range(width)] + [("r", pyarrow.int64()), ("sf_error", pyarrow.string())])
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        pending = []

        def flush():
            columns = list(zip(*[v for _, v, _ in pending])) if pending else [[]] * width
            columns += [[n for n, _, _ in pending], [p for _, _, p in pending]]
            writer.write_table(pyarrow.table([pyarrow.array(c, t.type) for c, t in zip(columns, schema)], schema=schema))
            pending.clear()
        for row in reader.rows():
            pending.append(last_of_doubled(row, lenient) if lenient else row)
            if len(pending) >= batch:
                flush()
        flush()
    return path
