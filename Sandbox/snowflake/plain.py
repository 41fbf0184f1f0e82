"""A staged file decrypted and decompressed into a temporary one, with what the readers must know about it."""
import json
import os
import re
import uuid

from .exact_json import dumps, duplicate, parse
from .stages import decompressor

# each begins with one plain character, which the search then leaps to
BLANK, NAN, INFINITY = re.compile(rb"\n[\r\n]"), re.compile(rb"N[a]N"), re.compile(rb"I[n]finity")
OTHERS = bytes(c for c in range(256) if c not in b'"\n')
STEP = 1 << 16                                        # small steps: a step may inflate a thousandfold


class Plain:
    def __init__(self, call, statement, staged):
        self.path = os.path.join(call.world.temporary, uuid.uuid4().hex)
        self.longest = self.size = 0                  # `longest`: no line is longer
        self.records, self._within, self._ends = 0, False, True       # CSV: line ends that are in no enclosed value
        self._quotes = statement.format.quote == '"'
        self.spaced = False
        self.backslash = self.not_numbers = self.blank = False
        self.documents = statement.format.type == "JSON" or any(c.type.semi for c in statement.columns)
        field = (statement.format.field or "\n").encode()
        # DuckDB takes a value that starts with a blank and a quote for an enclosed one; `""` is left to documents in JSON
        self._spaced = re.compile(rb"(?:[\r\n]|" + re.escape(field) + rb") +\"" + (rb"(?!\")" if self.documents else b""))
        self._field = field
        self.duplicate = None                         # (line, name) of the first object with a name twice
        self.spoiled = {}                             # line number → (its bytes, why it is no JSON): errors that are passed over
        try:
            self._write(call, statement, staged)
            if statement.format.type == "JSON":
                self._look_for_duplicates(statement, call.settings.duplicates_within)
                if self.not_numbers and statement.on_error != "ABORT_STATEMENT":
                    self._spoil(statement)
        except BaseException:
            self.remove()
            raise

    def _write(self, call, statement, staged):
        inflate, first, kind = None, True, statement.format.type
        csv = kind == "CSV"
        look = {"CSV": self._look_at_csv, "JSON": self._look_at_json}.get(kind, lambda data: None)
        with open(self.path, "wb") as file:
            def out(data):
                nonlocal first
                if not data:
                    return
                if first and data[:3] == b"\xef\xbb\xbf" and kind != "PARQUET":
                    data = data[3:]
                first = False
                file.write(data)
                self.size += len(data)
                look(data)
            compression = "NONE" if kind == "PARQUET" else statement.format.compression
            for chunk in call.world.stages.open_plain(statement.stage, staged):
                if not chunk:
                    continue
                if inflate is None:
                    inflate = decompressor(compression, staged.name, chunk)
                for start in range(0, len(chunk), STEP):
                    out(inflate(chunk[start:start + STEP]))
            if inflate is not None:
                out(inflate(None))
        self.records += not self._ends or self._within
        if csv and (self._within or self._tail.endswith(b" ") or self._tail.endswith(self._field) and self._field != b"\n"):
            self.spaced = True                        # nor does it tell how a last line ends that has no line end

    _tail, _open = b"\n", 0                           # the last bytes; how long the unfinished line is at least

    def _look_at_csv(self, data):
        if not self.backslash and b"\\" in data:
            self.backslash = True
        if not self.blank and (BLANK.search(data) or b"\r\r" in data or _has_blank(self._tail + data[:2])):
            self.blank = True
        self._count_records(data)
        if self._quotes and not self.spaced:
            # where two pieces meet, their ends are looked at together; before a tail of blanks there may be anything
            seam = self._tail + data[:len(data) - len(data.lstrip(b" ")) + 1]
            self.spaced = b' "' in data and self._spaced.search(data) is not None or b' "' in seam and (
                self._spaced.search(seam) is not None or seam.startswith(b" " * 8))
        if self.documents:
            return self._look_at_json(data)
        self._tail = data[-8:]
        self._measure(data)

    def _count_records(self, data):
        """Counts what DuckDB must find: it drops a last record whose value is never closed without a word."""
        self._ends = data.endswith(b"\n")
        if not self._quotes or b'"' not in data and not self._within:
            self.records += data.count(b"\n")
            return
        for at, part in enumerate(data.translate(None, OTHERS).replace(b'""', b"").split(b'"')):     # a pair changes nothing
            if at:
                self._within = not self._within
            if not self._within:
                self.records += part.count(b"\n")

    def _look_at_json(self, data):
        if not self.not_numbers and any(p.search(data) or p.search(self._tail + data[:8]) for p in (NAN, INFINITY)):
            self.not_numbers = True                   # DuckDB's parser takes them for JSON
        self._tail = data[-8:]
        self._measure(data)

    def _measure(self, data):
        last = data.rfind(b"\n")
        if last < 0:
            self._open += len(data)
            self.longest = max(self.longest, self._open)
            return
        self.longest = max(self.longest, self._open + data.find(b"\n"), min(len(data), 1 << 20) if len(data) <= 1 << 20 else
                           max(map(len, data.split(b"\n"))))
        self._open = len(data) - last - 1

    # --- JSON lines that are none

    def _look_for_duplicates(self, statement, limit):
        """Finds names that an object has twice; where they are allowed, only the last one stays."""
        anew, number = {}, 0
        whole, allowed = statement.format.strip_outer, statement.format.allow_duplicate
        with open(self.path, encoding="utf-8", errors="replace") as file:
            for number, line in enumerate([file.read()] if whole else file, 1):
                if number > limit:
                    break
                found = duplicate(line)
                if found is not None:
                    self.duplicate = self.duplicate or (number, found)
                    anew[number] = dumps(parse(line)) if allowed else None
                    if not allowed:
                        self.spoiled[number] = (line.encode(), f'duplicate object attribute "{found}"')
        if anew and (allowed or statement.on_error != "ABORT_STATEMENT"):
            self.duplicate = None
            self._replace({n: t.encode() if t is not None else b"{" for n, t in anew.items()}, whole)
        else:
            self.spoiled = {}

    def _spoil(self, statement):
        with open(self.path, "rb") as file:
            for number, line in enumerate(file, 1):
                if (b"NaN" in line or b"Infinity" in line) and number not in self.spoiled:
                    problem = not_json(line)
                    if problem is not None:
                        self.spoiled[number] = (line, problem)
        self._replace(dict.fromkeys(self.spoiled, b"{"), statement.format.strip_outer)

    def _replace(self, anew, whole):
        with open(self.path, "rb") as old, open(self.path + ".new", "wb") as new:
            for number, line in enumerate([old.read()] if whole else old, 1):
                line = anew[number] + b"\n" if number in anew else line
                self.longest = max(self.longest, len(line))
                new.write(line)
        os.replace(self.path + ".new", self.path)
        self.size = os.path.getsize(self.path)

    def remove(self):
        for path in (self.path, self.path + ".parquet"):
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass


def _has_blank(data):
    """Two line ends where only one may be; \\r\\n is one."""
    return b"\n\n" in data or b"\n\r" in data or b"\r\r" in data


def not_json(line):
    """Why a line is no JSON, or None."""
    try:
        json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        return f"{getattr(error, 'msg', error)}, pos {getattr(error, 'pos', 0)}"
    return None


def _refuse(name):
    raise ValueError(f"{name} is not JSON")
