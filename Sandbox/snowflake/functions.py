"""Functions whose arguments must be read before DuckDB's words for them are known."""
from .errors import syntax_error, unsupported
from .lexer import literal, split_commas
from .types import Type, number, text

CONVERSIONS = {"DOUBLE": Type("FLOAT"), "BOOLEAN": Type("BOOLEAN"), "DATE": Type("DATE"), "TIME": Type("TIME"),
               "TIMESTAMP": Type("TIMESTAMP_NTZ"), "TIMESTAMP_NTZ": Type("TIMESTAMP_NTZ"), "TIMESTAMP_LTZ": Type("TIMESTAMP_LTZ"),
               "TIMESTAMP_TZ": Type("TIMESTAMP_TZ"), "BINARY": Type("BINARY", length=8388608)}
NUMBERS = ("NUMBER", "DECIMAL", "NUMERIC")


def special(word):
    """The maker of a call's DuckDB text, or None for functions that need none."""
    if word in MAKERS:
        return MAKERS[word]
    trying, _, rest = word.rpartition("TO_")
    if trying in ("", "TRY_") and rest in NUMBERS:
        return lambda rewriter, arguments: _to_number(rewriter, arguments, "TRY_CAST" if trying else "CAST")
    if trying == "TRY_" and rest in CONVERSIONS:
        return lambda rewriter, arguments: _one(rewriter, arguments, CONVERSIONS[rest], "TRY_CAST")
    if trying == "" and rest in ("TIMESTAMP_TZ", "TIMESTAMP_LTZ"):
        return lambda rewriter, arguments: _one(rewriter, arguments, CONVERSIONS[rest], "CAST")
    return None


def _rewritten(rewriter, tokens):
    """(text, is it a VARIANT?)"""
    inner = type(rewriter)(tokens, rewriter.env)
    made = inner.text()
    return made, inner.is_variant()


def _one(rewriter, arguments, kind, cast):
    from .rewrite import cast_text
    if len(arguments) != 1:
        raise unsupported("a format for this conversion")
    value, variant = _rewritten(rewriter, arguments[0])
    return cast_text(value, kind, variant, cast)


def _to_number(rewriter, arguments, cast):
    from .rewrite import cast_text
    sizes = [a[0].text for a in arguments[1:] if len(a) == 1 and a[0].kind == "number"]
    if len(sizes) != len(arguments) - 1 or len(sizes) > 2:
        raise unsupported("a format for TO_NUMBER")
    kind = number(*map(int, sizes)) if sizes else number()
    value, variant = _rewritten(rewriter, arguments[0])
    return cast_text(value, kind, variant, cast)


def _object_construct(keep_null):
    def make(rewriter, arguments):
        if len(arguments) % 2:
            raise syntax_error("OBJECT_CONSTRUCT wants names and values" + (" ('*' is not supported by the stand-in)" if len(arguments) == 1 else ""))
        members = []
        for name, value in zip(arguments[::2], arguments[1::2]):
            key, made = _rewritten(rewriter, name)[0], f"sf_json({_rewritten(rewriter, value)[0]})"
            member = f"CAST(to_json(CAST({key} AS VARCHAR)) AS VARCHAR) || ':' || "
            members.append(member + (f"coalesce({made}, 'null')" if keep_null else made))
        listed = f"concat_ws(',', {', '.join(members)})" if members else "''"
        return f"CAST('{{' || {listed} || '}}' AS JSON)"
    return make


def _array_construct(rewriter, arguments):
    values = [f"coalesce(sf_json({_rewritten(rewriter, a)[0]}), 'null')" for a in arguments]
    listed = " || ',' || ".join(values) if values else "''"
    return f"CAST('[' || {listed} || ']' AS JSON)"


def _as(kind, test):
    def make(rewriter, arguments):
        from .rewrite import cast_text
        value = _rewritten(rewriter, arguments[0])[0]
        return f"CASE WHEN {test}({value}) THEN {cast_text(value, kind, True)} END"
    return make


def _get(rewriter, arguments):
    value, key = (_rewritten(rewriter, a)[0] for a in arguments)
    if len(arguments[1]) == 1 and arguments[1][0].kind == "string":
        from .rewrite import json_key
        return f"json_extract({value}, '$.{json_key(arguments[1][0].value)}')"
    if len(arguments[1]) == 1 and arguments[1][0].kind == "number":
        return f"json_extract({value}, '$[{key}]')"
    return f"sf_get({value}, {key})"


def _get_path(rewriter, arguments):
    value = _rewritten(rewriter, arguments[0])[0]
    if len(arguments) != 2 or len(arguments[1]) != 1 or arguments[1][0].kind != "string":
        raise unsupported("GET_PATH with a path that is no literal")
    path = arguments[1][0].value
    return f"json_extract({value}, {literal('$.' + path if not path.startswith('[') else '$' + path)})"


MAKERS = {"OBJECT_CONSTRUCT": _object_construct(False), "OBJECT_CONSTRUCT_KEEP_NULL": _object_construct(True),
          "ARRAY_CONSTRUCT": _array_construct, "GET": _get, "GET_PATH": _get_path,
          "AS_INTEGER": _as(number(), "is_integer"), "AS_NUMBER": _as(number(), "is_decimal"), "AS_VARCHAR": _as(text(), "is_varchar"),
          "AS_CHAR": _as(text(), "is_varchar"), "AS_BOOLEAN": _as(Type("BOOLEAN"), "is_boolean"), "AS_DOUBLE": _as(Type("FLOAT"), "is_double")}
JSON_MAKERS = {"OBJECT_CONSTRUCT", "OBJECT_CONSTRUCT_KEEP_NULL", "ARRAY_CONSTRUCT", "GET", "GET_PATH"}


def made(rewriter, word):
    """The text of a call whose '(' comes next."""
    return special(word)(rewriter, split_commas(rewriter.cursor.parenthesised()))
