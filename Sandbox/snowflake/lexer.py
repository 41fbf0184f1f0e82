"""Snowflake's tokens, and names in a form that DuckDB (which ignores case) keeps apart."""
import re

from .errors import syntax_error

TOKEN = re.compile(r"""
    (?P<space>\s+|--[^\n]*|//[^\n]*|/\*.*?\*/)
  | (?P<string>'(?:[^'\\]|\\.|'')*'|\$\$.*?\$\$)
  | (?P<quoted>"(?:[^"]|"")*")
  | (?P<stage>@(?:"(?:[^"]|"")*"|[^\s()"',;])+)
  | (?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)
  | (?P<word>[^\W\d][\w$]*)
  | (?P<position>\$\w+)
  | (?P<op>::|:=|=>|->>|->|<=|>=|<>|!=|\|\||[-+*/%=<>(),.;:?\[\]{}^&|~!])
""", re.X | re.S)

ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "f": "\f"}
ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[0-7]{3}|.)|''", re.S)


def _unescape(match):
    code = match.group(1)
    if code is None:
        return "'"
    if code[0] in "ux" and len(code) > 1:
        return chr(int(code[1:], 16))
    if len(code) == 3:
        return chr(int(code, 8))
    return ESCAPES.get(code, code)


class Token:
    __slots__ = ("kind", "text", "value", "start", "end")

    def __init__(self, kind, text, value, start, end):
        self.kind, self.text, self.value, self.start, self.end = kind, text, value, start, end

    def __repr__(self):
        return f"{self.kind}:{self.text}"


def tokens_of(sql):
    """Words have their folded (upper-case) value, quoted names their exact one, strings their content."""
    found, at = [], 0
    while at < len(sql):
        match = TOKEN.match(sql, at)
        if not match:
            raise syntax_error("unexpected character", sql[at:at + 10])
        kind, text, at = match.lastgroup, match.group(), match.end()
        if kind == "space":
            continue
        value = text
        if kind == "word":
            value = text.upper()
        elif kind == "quoted":
            value = text[1:-1].replace('""', '"')
        elif kind == "string":
            value = text[2:-2] if text.startswith("$$") else ESCAPE.sub(_unescape, text[1:-1])
        found.append(Token(kind, text, value, match.start(), at))
    return found


def split_statements(tokens):
    """Statements between semicolons; empty ones vanish."""
    parts, part = [], []
    for token in tokens:
        if token.kind == "op" and token.text == ";":
            parts.append(part)
            part = []
        else:
            part.append(token)
    parts.append(part)
    return [part for part in parts if part]


def physical(name):
    """A DuckDB name for an exact Snowflake name: one to one, and distinct without regard to case."""
    lower = [i for i, c in enumerate(name) if c != c.upper()]
    if not lower:
        return name
    bits = sum(1 << i for i in lower)
    return f"{name}\x01{bits:x}"


def logical(name):
    return name.partition("\x01")[0]


def quote(name):
    """A DuckDB identifier."""
    return '"' + name.replace('"', '""') + '"'


def column(name):
    return quote(physical(name))


def literal(text):
    """A DuckDB string literal."""
    if "\0" in text:
        raise syntax_error("NUL in a string")
    return "'" + text.replace("'", "''") + "'"


def show_name(name):
    """The name as Snowflake prints it in messages: quoted only where needed."""
    return name if re.fullmatch(r"[A-Z_][A-Z0-9_$]*", name) else '"' + name.replace('"', '""') + '"'


class Cursor:
    """A reader over tokens, for the hand-written statement grammar."""

    def __init__(self, tokens, sql=""):
        self.tokens, self.sql, self.at = tokens, sql, 0
        self.bound = None                 # gives the value of IDENTIFIER(?)

    @property
    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def next(self):
        token = self.peek
        if token is None:
            raise syntax_error("unexpected end of statement")
        self.at += 1
        return token

    def looks(self, *words):
        """Do these words (or operators) stand next?"""
        for i, word in enumerate(words):
            token = self.tokens[self.at + i] if self.at + i < len(self.tokens) else None
            if token is None or token.kind not in ("word", "op", "number") or token.value != word:
                return False
        return True

    def take(self, *words):
        if self.looks(*words):
            self.at += len(words)
            return True
        return False

    def expect(self, *words):
        if not self.take(*words):
            raise syntax_error(f"expected {' '.join(words)}", self.peek.text if self.peek else "<EOF>")

    def identifier(self):
        token = self.next()
        if token.kind in ("word", "quoted"):
            return token.value
        raise syntax_error("expected a name", token.text)

    def name(self):
        """A possibly qualified name as a list of exact parts. IDENTIFIER('…') too."""
        if self.looks("IDENTIFIER", "("):
            self.at += 2
            token = self.next()
            inner = Cursor(tokens_of(self.bound() if token.text == "?" else token.value))
            self.expect(")")
            return inner.name()
        parts = [self.identifier()]
        while self.take("."):
            if self.take("."):
                parts.append("PUBLIC")
            parts.append(self.identifier())
        return parts

    def rest(self):
        tokens = self.tokens[self.at:]
        self.at = len(self.tokens)
        return tokens

    def parenthesised(self):
        """The tokens between this '(' and its ')'."""
        self.expect("(")
        depth, start = 1, self.at
        while depth:
            token = self.next()
            if token.kind == "op":
                depth += {"(": 1, ")": -1}.get(token.text, 0)
        return self.tokens[start:self.at - 1]

    def end(self):
        if self.peek is not None:
            raise syntax_error("unexpected", self.peek.text)


def split_commas(tokens):
    parts, part, depth = [], [], 0
    for token in tokens:
        if token.kind == "op":
            depth += {"(": 1, ")": -1, "[": 1, "]": -1}.get(token.text, 0)
            if token.text == "," and depth == 0:
                parts.append(part)
                part = []
                continue
        part.append(token)
    if part or parts:
        parts.append(part)
    return parts
