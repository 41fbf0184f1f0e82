"""COPY's CSV files: DuckDB's reader where it says the same as Snowflake's, else the exact one."""
import re

from .copy_source import Source
from .csv_rows import CsvReader, write_parquet
from .errors import SnowflakeError, unsupported
from .exact_json import duplicate
from .lexer import literal
from .rewrite import Rewriter

PARSED = re.compile(r"PARSE_JSON \( (c\d+)( , '[ds]')? \)", re.I)
LENIENT = re.compile(r"PARSE_JSON \( \$(\d+) , 'd' \)", re.I)


class Uneven(Exception):
    """DuckDB's reader does not see the file as Snowflake does: the statement is done again with the exact one."""


class CsvSource(Source):
    def prepare(self):
        self.csv = reader = CsvReader(self.format, self.plain.path)
        items, width = self.statement.items, reader.width
        names = None
        if self.statement.match != "NONE":
            if not self.format.parse_header:
                raise unsupported("MATCH_BY_COLUMN_NAME of CSV without PARSE_HEADER")
            names = reader.header or []
        elif self.format.parse_header:
            raise unsupported("PARSE_HEADER without MATCH_BY_COLUMN_NAME")
        uneven = False
        if items is not None:                             # what a transformation doesn't name may be there or not
            reader.counts = False
            if self.exact:
                reader.width = width = max([1] + [int(t.text[1:]) for i in items for t in i if t.kind == "position" and t.text[1:].isdigit()])
        elif names is None:
            uneven, reader.width = width != len(self.columns), len(self.columns)
            width = reader.width
        # of two members of one name the last counts there, which only the exact reader does
        self.lenient = {int(found[1]) - 1 for i in items or [] if (found := LENIENT.fullmatch(" ".join(t.text for t in i if t.kind != "space")))}
        slow = self.exact or uneven or bool(self.lenient) or self.plain.backslash and self.format.escape_unenclosed or self.plain.spaced \
            or self.plain.blank and not self.format.skip_blank or not reader.simple or items is None and not self.format.count_mismatch
        self.reader = self._read(reader, max(width, 1), slow)
        self.documents, self.fields = [], {}                                  # column index → field index, where that is plain
        made = self._items(items, width) if items is not None else self._named(names) if names is not None else self._in_order(width)
        for target, (expression, variant) in zip(self.columns, made):
            self.texts.append(expression)
            if target.type.semi:
                value = expression if variant or expression.startswith("sf_strict_json(") else self._document(expression)
                self.values.append(f"sf_variant({value}, {self.limit})")
            else:
                self.values.append(self.typed(expression, target))
        self._refuse_names_twice()

    def _items(self, items, width):
        positions, made = {f"${i + 1}": f"c{i + 1}" for i in range(width)}, []
        for tokens in items:
            for token in tokens:
                if token.kind == "position" and token.text not in positions:
                    positions[token.text] = "CAST(NULL AS VARCHAR)"
        environment = self.environment(positions)
        for at, tokens in enumerate(items):
            rewriter = Rewriter(tokens, environment)
            expression = rewriter.text()
            variant = rewriter._operand_is_variant() if rewriter.pieces else False
            if found := PARSED.fullmatch(expression):
                expression = self._document(found[1], int(found[1][1:]) - 1 in self.lenient)
            made.append((expression, variant))
            used = {t.text for t in tokens if t.kind == "position"}
            if len(used) == 1 and (text := used.pop())[1:].isdigit():
                self.fields[at] = int(text[1:]) - 1
        return made

    def _document(self, expression, lenient=False):
        """Text that must be JSON. DuckDB takes NaN for it, and names twice; the macro that doesn't is slow."""
        if expression.startswith("c") and expression[1:].isdigit() and not lenient:
            self.documents.append(expression)
        return f"sf_strict_json({expression})" if self.plain.not_numbers else f"parse_json({expression})"

    def _refuse_names_twice(self):
        """Among the first rows, as for JSON files."""
        if not self.documents:
            return
        rows = self.connection.execute(f"SELECT r, [{', '.join(dict.fromkeys(self.documents))}] FROM {self.reader} "
                                       f"LIMIT {self.call.settings.duplicates_within // len(self.documents) + 1}").fetchall()
        for row, values in rows:
            found = next(filter(None, map(duplicate, filter(None, values))), None)
            if found is not None:
                message = f'Error parsing JSON: duplicate object attribute "{found}"'
                if not self.tolerant:
                    raise SnowflakeError("100069", "22000", f"{message}\n  File '{self.staged.name}', row {row}")
                self.problems.append((f"r = {row}", "100069", message))

    def _named(self, names):
        spelled = self.matched(names)
        made = [(f"c{names.index(n) + 1}", False) for n in spelled if n is not None]
        self.columns = [c for c, n in zip(self.columns, spelled) if n is not None]
        self.fields = {i: names.index(n) for i, n in enumerate(n for n in spelled if n is not None)}
        return made

    def _in_order(self, width):
        self.fields = {i: i for i in range(len(self.columns))}
        return [(f"c{i + 1}" if i < width else "CAST(NULL AS VARCHAR)", False) for i in range(len(self.columns))]

    def _read(self, reader, width, slow):
        self.slow = slow
        if slow:
            path = write_parquet(reader, self.plain.path + ".parquet", width, self.lenient)
            self.problems.append(("sf_error IS NOT NULL", "100080", None))
            return f"(SELECT * FROM read_parquet({literal(path)}))"
        f = self.format
        names = ", ".join(f"'c{i + 1}': 'VARCHAR'" for i in range(width))
        nulls = list(f.null_if) + ([""] if f.empty_is_null else [])
        null_option = f", nullstr=[{', '.join(literal(n) for n in nulls)}]" if nulls else ", nullstr='\x02none\x02'"
        return (f"(SELECT *, row_number() OVER () AS r FROM read_csv({literal(self.plain.path)}, header=false, auto_detect=false, "
                f"columns={{{names}}}, delim={literal(f.field)}, quote={literal(f.quote or '')}, escape={literal(f.quote or '')}, "
                f"skip={f.skip_header + (1 if f.parse_header else 0)}, allow_quoted_nulls=false, parallel=false, compression='none', "
                f"max_line_size={max(2097152, self.plain.size if f.quote else self.plain.longest + 16)}, strict_mode=true{null_option}))")

    def insert(self, work, insert, condition, marked):
        if condition == "TRUE" and self.slow:
            problem = work.execute(f"SELECT sf_error FROM {self.reader} WHERE sf_error IS NOT NULL ORDER BY r LIMIT 1").fetchone()
            if problem is not None:
                raise SnowflakeError("100080", "22000", problem[0])
        count = super().insert(work, insert, condition, marked)
        if condition == "TRUE":
            self.check(count)
        return count

    def check(self, count):
        """DuckDB's count of records must be that of the line ends outside of values; else the exact reader is asked."""
        if not self.slow and count != max(0, self.plain.records - self.format.skip_header - (1 if self.format.parse_header else 0)):
            raise Uneven()

    def places(self, rows):
        found = {}
        for number, record in self.csv.data_records():
            if number not in rows:
                continue
            with open(self.plain.path, "rb") as file:
                file.seek(record.start)
                raw = file.read(max(record.end - record.start, 0))
            def place(at, record=record, raw=raw):
                field = self.fields.get(at)
                if field is None or field >= len(record.fields):
                    return record.line, 1, record.start
                before = raw[:record.fields[field][2] - record.start]
                return (record.line + before.count(b"\n"), len(before[before.rfind(b"\n") + 1:].decode(errors="replace")) + 1,
                        record.fields[field][2])
            found[number] = (record.line, record.start, raw.decode(errors="replace"), place)
            if len(found) == len(rows):
                break
        return found
