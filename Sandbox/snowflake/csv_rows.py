"""An exact reader of Snowflake's CSV for what DuckDB's can't say: escapes, uneven rows, quoted empty fields."""
import pyarrow
import pyarrow.parquet


class CsvReader:
    def __init__(self, format_, path):
        self.format, self.path = format_, path
        self.header, self.width, first = None, 0, None
        for at, (fields, problem) in enumerate(self._records()):
            if format_.parse_header and at == format_.skip_header:
                self.header = [v for v, _ in fields]
                self.width = len(fields)
                break
            if at >= format_.skip_header:
                first = fields
                break
        if first is not None:
            self.width = len(first)
        self.simple = format_.field is not None and len(format_.field.encode()) == 1 and not format_.trim_space \
            and format_.escape is None and format_.record == "\n" and not format_.skip_blank and not format_.replace_invalid

    def _records(self):
        """(fields as (text, was enclosed), problem) of each record."""
        f = self.format
        errors = "replace" if f.replace_invalid else "strict"
        with open(self.path, encoding="utf-8", errors=errors, newline="") as file:
            yield from _scan(file, f)

    def rows(self):
        """(row number, values with NULLs, problem) of each data record."""
        f = self.format
        skip = f.skip_header + (1 if f.parse_header else 0)
        nulls, number = set(f.null_if), 0
        for at, (fields, problem) in enumerate(self._records()):
            if at < skip:
                continue
            if f.skip_blank and fields == [("", False)]:
                continue
            number += 1
            if problem is None and fields == [("", False)]:
                problem = "End of record reached while expected to parse column"
            if problem is None and len(fields) != self.width and f.count_mismatch:
                problem = (f"Number of columns in file ({len(fields)}) does not match that of the corresponding table ({self.width}), "
                           "use file format option error_on_column_count_mismatch=false to ignore this error")
            values = [None if not enclosed and (v in nulls or v == "" and f.empty_is_null) else v for v, enclosed in fields]
            yield number, (values + [None] * self.width)[:self.width], problem


def _scan(file, f):
    quote, field, escape, bare = f.quote, f.field, f.escape, f.escape_unenclosed
    buffer, at, ended = "", 0, False

    def more():
        nonlocal buffer, at, ended
        chunk = file.read(1 << 18)
        if not chunk:
            ended = True
            return False
        buffer, at = buffer[at:] + chunk, 0
        return True

    while True:
        fields, problem = [], None
        if at >= len(buffer) and not more():
            return
        while True:                                        # one field
            text, enclosed = [], False
            start_of_field = True
            while True:                                    # one character at a time; only for odd files
                if at >= len(buffer) and not more():
                    break
                c = buffer[at]
                if start_of_field and f.trim_space and c in " \t":
                    at += 1
                    continue
                if start_of_field and quote and c == quote:
                    enclosed = True
                    at += 1
                    while True:
                        if at >= len(buffer) and not more():
                            problem = "Found no closing quote"
                            break
                        c = buffer[at]
                        if escape and c == escape and escape != quote:
                            at += 1
                            if at >= len(buffer) and not more():
                                break
                            text.append(_escaped(buffer[at]))
                            at += 1
                        elif c == quote:
                            at += 1
                            if (at < len(buffer) or more()) and buffer[at] == quote:
                                text.append(quote)
                                at += 1
                            else:
                                break
                        else:
                            text.append(c)
                            at += 1
                    start_of_field = False
                    continue
                start_of_field = False
                if field and c == field[0]:
                    while len(field) > len(buffer) - at and more():
                        pass
                    if buffer.startswith(field, at):
                        break
                if c in "\r\n":
                    break
                unescape = escape or bare
                if unescape and c == unescape and not enclosed:
                    if at + 1 >= len(buffer):
                        more()
                    follower = buffer[at + 1] if at + 1 < len(buffer) else ""
                    if follower == "N" and "\\N" in f.null_if:
                        text.append("\\N")
                    else:
                        text.append(_escaped(follower))
                    at += 2
                    continue
                if enclosed and not (f.trim_space and c in " \t"):
                    problem = problem or f"Found character '{c}' instead of field delimiter '{field}'"
                if not enclosed:
                    text.append(c)
                at += 1
            value = "".join(text)
            fields.append((value.strip() if f.trim_space and not enclosed else value, enclosed))
            if at >= len(buffer) and ended:
                yield fields, problem
                return
            if field and buffer.startswith(field, at):
                at += len(field)
                continue
            if buffer[at] == "\r":
                at += 1
                if at >= len(buffer):
                    more()
                if at < len(buffer) and buffer[at] == "\n":
                    at += 1
            else:
                at += 1
            break
        yield fields, problem


def _escaped(c):
    return {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0"}.get(c, c)


def write_parquet(reader, path, width, batch=20000):
    """The rows as c1…cn, r, sf_error."""
    schema = pyarrow.schema([(f"c{i + 1}", pyarrow.string()) for i in range(width)] + [("r", pyarrow.int64()), ("sf_error", pyarrow.string())])
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        columns = [[] for _ in schema]
        def flush():
            writer.write_table(pyarrow.table([pyarrow.array(c, t.type) for c, t in zip(columns, schema)], schema=schema))
            for c in columns:
                c.clear()
        for number, values, problem in reader.rows():
            for c, v in zip(columns, values):
                c.append(v)
            columns[-2].append(number)
            columns[-1].append(problem)
            if len(columns[-1]) >= batch:
                flush()
        flush()
    return path
