"""Filters: MongoDB's match language, as far as readers and tests use it, with type-bracketed comparison."""
import re

from bson import MaxKey, MinKey, Regex

from .failures import CommandError
from .values import (ARRAY, BINARY, BOOL, DATE, MAXKEY, MINKEY, NULL, NUMBER, OBJECT, OBJECTID, REGEX, STRING, TIMESTAMP,
                     key)

MISSING = object()
TYPE_NAMES = {
    "double": 1, "string": 2, "object": 3, "array": 4, "binData": 5, "undefined": 6, "objectId": 7, "bool": 8, "date": 9,
    "null": 10, "regex": 11, "javascript": 13, "int": 16, "timestamp": 17, "long": 18, "decimal": 19, "minKey": -1,
    "maxKey": 127, "number": "number"}
_brackets = {STRING: 2, OBJECT: 3, ARRAY: 4, BINARY: 5, OBJECTID: 7, BOOL: 8, DATE: 9, NULL: 10, REGEX: 11, TIMESTAMP: 17,
             MINKEY: -1, MAXKEY: 127}


def type_number(value) -> int:
    bracket = key(value)[0]
    if bracket != NUMBER:
        return _brackets.get(bracket, 13)
    if isinstance(value, float):
        return 1
    if isinstance(value, int):
        return 18 if type(value).__name__ == "Int64" or not -2**31 <= value < 2**31 else 16
    return 19


def walk(value, path: list[str]) -> list:
    """Every value the dotted path reaches; arrays on the way are entered."""
    if not path:
        return [value]
    if isinstance(value, dict):
        return walk(value[path[0]], path[1:]) if path[0] in value else [MISSING]
    if isinstance(value, list):
        found = []
        if path[0].isdigit() and int(path[0]) < len(value):
            found += walk(value[int(path[0])], path[1:])
        for member in value:
            if isinstance(member, dict):
                found += walk(member, path)
        return found or [MISSING]
    return [MISSING]


def _compare(operator: str, value, operand) -> bool:
    left, right = key(value), key(operand)
    if isinstance(operand, (MinKey, MaxKey)):
        pass                                                     # these two compare with every type
    elif left[0] != right[0]:
        return False                                             # type bracketing
    elif left[0] == NUMBER and len(left) != len(right):
        return False                                             # NaN is beside the number line
    return {"$gt": left > right, "$gte": left >= right, "$lt": left < right, "$lte": left <= right}[operator]


def _equals(value, operand) -> bool:
    if isinstance(operand, Regex) or isinstance(operand, re.Pattern):
        return isinstance(value, str) and re.search(operand.pattern, value, _flags(operand)) is not None
    return key(value) == key(operand)


def _flags(operand) -> int:
    return operand.flags if isinstance(operand, re.Pattern) else operand.try_compile().flags


def _any(values: list, test) -> bool:
    for value in values:
        if value is not MISSING and test(value):
            return True
        if isinstance(value, list) and any(test(member) for member in value):
            return True
    return False


def _operator(name: str, values: list, operand, condition: dict) -> bool:
    if name in ("$gt", "$gte", "$lt", "$lte"):
        return _any(values, lambda v: _compare(name, v, operand))
    if name == "$eq":
        return (operand is None and MISSING in values) or _any(values, lambda v: _equals(v, operand))
    if name == "$ne":
        return not _operator("$eq", values, operand, condition)
    if name == "$in":
        return any(_operator("$eq", values, member, condition) for member in operand)
    if name == "$nin":
        return not _operator("$in", values, operand, condition)
    if name == "$exists":
        return bool(operand) == any(v is not MISSING for v in values)
    if name == "$type":
        wanted = {TYPE_NAMES.get(t, t) for t in (operand if isinstance(operand, list) else [operand])}
        wanted |= {1, 16, 18, 19} if "number" in wanted else set()
        return _any(values, lambda v: type_number(v) in wanted)
    if name == "$not":
        return not _field(values, operand)
    if name == "$size":
        return any(isinstance(v, list) and len(v) == operand for v in values)
    if name == "$all":
        return all(_operator("$eq", values, member, condition) for member in operand)
    if name == "$elemMatch":
        return any(isinstance(v, list) and any(_element(m, operand) for m in v) for v in values)
    if name == "$mod":
        return _any(values, lambda v: isinstance(v, (int, float)) and v % operand[0] == operand[1])
    if name == "$regex":
        flags = re.IGNORECASE if "i" in condition.get("$options", "") else 0
        pattern = operand if isinstance(operand, str) else operand.pattern
        return _any(values, lambda v: isinstance(v, str) and re.search(pattern, v, flags) is not None)
    if name == "$options":
        return True
    raise CommandError(2, f"unknown operator: {name}")


def _element(member, condition: dict) -> bool:
    if condition and next(iter(condition)).startswith("$"):
        return _field([member], condition)
    return isinstance(member, dict) and matches(member, condition)


def _field(values: list, condition) -> bool:
    if isinstance(condition, dict) and condition and next(iter(condition)).startswith("$"):
        return all(_operator(name, values, operand, condition) for name, operand in condition.items())
    return _operator("$eq", values, condition, {})


def matches(doc: dict, query: dict) -> bool:
    for name, condition in query.items():
        if name == "$and":
            passed = all(matches(doc, part) for part in condition)
        elif name == "$or":
            passed = any(matches(doc, part) for part in condition)
        elif name == "$nor":
            passed = not any(matches(doc, part) for part in condition)
        elif name in ("$comment", "$alwaysTrue"):
            passed = True
        elif name == "$expr":
            passed = condition is True or _expression(doc, condition)
        elif name.startswith("$"):
            raise CommandError(2, f"unknown top level operator: {name}")
        else:
            passed = _field(walk(doc, name.split(".")), condition)
        if not passed:
            return False
    return True


def _expression(doc: dict, condition) -> bool:
    """The comparisons of two operands that `$expr` is used for; they are not type-bracketed."""
    name, operands = next(iter(condition.items()))
    if name in ("$and", "$or"):
        return (all if name == "$and" else any)(_expression(doc, part) for part in operands)
    left, right = (key(_operand(doc, operand)) for operand in operands)
    table = {"$eq": left == right, "$ne": left != right, "$gt": left > right, "$gte": left >= right, "$lt": left < right,
             "$lte": left <= right}
    if name not in table:
        raise CommandError(168, f"Unrecognized expression '{name}'", name="InvalidPipelineOperator")
    return table[name]


def _operand(doc: dict, operand):
    if isinstance(operand, str) and operand.startswith("$"):
        value = walk(doc, operand[1:].split("."))[0]
        return None if value is MISSING else value
    if isinstance(operand, dict) and "$literal" in operand:
        return operand["$literal"]
    return operand


def project(doc: dict, projection: dict) -> dict:
    """Inclusion or exclusion of (dotted) fields."""
    fields = {name: bool(value) for name, value in projection.items()}
    keep_id = fields.pop("_id", True)
    if not fields:
        only_id = {"_id": doc["_id"]} if "_id" in doc else {}
        return (only_id if projection.get("_id") else {k: v for k, v in doc.items() if k != "_id"}) if projection else doc
    if all(fields.values()):
        chosen = _include(doc, [name.split(".") for name in fields])
        return ({"_id": doc["_id"]} if keep_id and "_id" in doc else {}) | chosen
    if any(fields.values()):
        raise CommandError(31254, "Cannot do exclusion on a field in inclusion projection")
    left = _exclude(doc, [name.split(".") for name in fields])
    return left if keep_id else {k: v for k, v in left.items() if k != "_id"}


def _include(value, paths: list):
    if isinstance(value, list):
        return [_include(member, paths) for member in value if isinstance(member, (dict, list))]
    chosen = {}
    for name, member in value.items():
        inner = [path[1:] for path in paths if path[0] == name]
        if [] in inner:
            chosen[name] = member
        elif inner and isinstance(member, (dict, list)):
            chosen[name] = _include(member, inner)
    return chosen


def _exclude(value, paths: list):
    if isinstance(value, list):
        return [_exclude(member, paths) if isinstance(member, (dict, list)) else member for member in value]
    left = {}
    for name, member in value.items():
        inner = [path[1:] for path in paths if path[0] == name]
        if [] not in inner:
            left[name] = _exclude(member, inner) if inner and isinstance(member, (dict, list)) else member
    return left
