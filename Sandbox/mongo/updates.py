"""Update operators: the new document and the updateDescription that a change stream reports for it."""
from .failures import CommandError
from .matching import MISSING, _field, walk
from .values import key


class Change:
    """Applies one update to a decoded document, noting what changed by dotted path."""

    def __init__(self, doc: dict, inserting: bool = False):
        self.doc, self.inserting = doc, inserting
        self.updated, self.removed, self.truncated = {}, [], []

    def apply(self, update: dict) -> None:
        for operator, fields in update.items():
            action = getattr(self, "op_" + operator.lstrip("$"), None)
            if action is None:
                raise CommandError(9, f"Unknown modifier: {operator}. Expected a valid update modifier or pipeline-style "
                                   "update specified as an array")
            for path, operand in fields.items():
                if path == "_id" and operator not in ("$setOnInsert",) and not self._keeps_id(operator, operand):
                    raise CommandError(66, "Performing an update on the path '_id' would modify the immutable field '_id'")
                action(path, operand)

    def _keeps_id(self, operator: str, operand) -> bool:
        return operator == "$set" and (self.inserting or key(operand) == key(self.doc.get("_id")))

    @property
    def changed(self) -> bool:
        return bool(self.updated or self.removed or self.truncated)

    def description(self) -> dict:
        return {"updatedFields": self.updated, "removedFields": self.removed, "truncatedArrays": self.truncated}

    # --- places ------------------------------------------------------------------------------------------------------

    def _parent(self, path: str, create: bool):
        """The container of the path's last name, that name, and the path of the topmost container made on the way."""
        names, at, made = path.split("."), self.doc, None
        for index, name in enumerate(names[:-1]):
            step = self._step(at, name)
            if step is MISSING:
                if not create:
                    return None, names[-1], None
                step = {}
                self._put(at, name, step)
                made = made or ".".join(names[:index + 1])
            at = step
            if not isinstance(at, (dict, list)):
                raise CommandError(28, f"Cannot create field '{names[-1]}' in element", name="PathNotViable")
        return at, names[-1], made

    def _step(self, at, name: str):
        if isinstance(at, list):
            return at[int(name)] if name.isdigit() and int(name) < len(at) else MISSING
        return at.get(name, MISSING)

    def _put(self, at, name: str, value) -> None:
        if isinstance(at, list):
            at.extend([None] * (int(name) + 1 - len(at)))
            at[int(name)] = value
        else:
            at[name] = value

    def _get(self, path: str):
        at, name, _ = self._parent(path, create=False)
        return MISSING if at is None else self._step(at, name)

    def _write(self, path: str, value) -> None:
        at, name, made = self._parent(path, create=True)
        self._put(at, name, value)
        reported = made or path
        self.updated[reported] = walk(self.doc, reported.split("."))[0] if made else value

    # --- operators ---------------------------------------------------------------------------------------------------

    def op_set(self, path, value):
        old = self._get(path)
        if old is MISSING or key(old) != key(value) or type(old) is not type(value):
            self._write(path, value)

    def op_setOnInsert(self, path, value):
        if self.inserting:
            self._write(path, value)

    def op_unset(self, path, _):
        at, name, _ = self._parent(path, create=False)
        if at is None or self._step(at, name) is MISSING:
            return
        if isinstance(at, list):
            at[int(name)] = None
            self.updated[path] = None
        else:
            del at[name]
            self.removed.append(path)

    def op_inc(self, path, by):
        old = self._get(path)
        self._write(path, by if old is MISSING else type(old)(old + by) if isinstance(old, int) and isinstance(by, int)
                    else old + by)

    def op_mul(self, path, by):
        old = self._get(path)
        self._write(path, type(by)(0) if old is MISSING else old * by)

    def op_min(self, path, value):
        old = self._get(path)
        if old is MISSING or key(value) < key(old):
            self._write(path, value)

    def op_max(self, path, value):
        old = self._get(path)
        if old is MISSING or key(value) > key(old):
            self._write(path, value)

    def op_rename(self, path, target):
        value = self._get(path)
        if value is not MISSING:
            self.op_unset(path, "")
            self._write(target, value)

    def op_push(self, path, operand):
        plain = not (isinstance(operand, dict) and "$each" in operand)
        self._append(path, [operand] if plain else operand["$each"], None if plain else operand.get("$slice"))

    def op_addToSet(self, path, operand):
        members = operand["$each"] if isinstance(operand, dict) and "$each" in operand else [operand]
        old = self._get(path)
        present = {key(m) for m in old} if isinstance(old, list) else set()
        self._append(path, [m for m in members if key(m) not in present], None)

    def _append(self, path, members, keep):
        old = self._get(path)
        if old is MISSING:
            self._write(path, list(members))
        elif not isinstance(old, list):
            raise CommandError(2, f"The field '{path}' must be an array")
        elif keep is not None:
            joined = old + members
            self._write(path, (joined[:keep] if keep >= 0 else joined[keep:]) if keep else [])
        else:
            for member in members:
                self.updated[f"{path}.{len(old)}"] = member
                old.append(member)

    def op_pop(self, path, end):
        old = self._get(path)
        if not isinstance(old, list) or not old:
            return
        if end == -1:
            self._write(path, old[1:])
        else:
            old.pop()
            self.truncated.append({"field": path, "newSize": len(old)})

    def op_pull(self, path, condition):
        old = self._get(path)
        if isinstance(old, list):
            left = [m for m in old if not _field([m], condition)]
            if len(left) != len(old):
                self._write(path, left)


def is_operators(update) -> bool:
    return bool(update) and next(iter(update)).startswith("$")
