"""Keeps changing one collection or several, inside the server's process: a seeded mix of inserts, updates, replaces and
deletes, and of inserts under keys that were deleted ("reinsert") where the mix asks for them."""
import datetime
import random
import threading
import time

from bson import Int64

from .commands_crud import Writer
from .generator import Documents
from .store import Store
from .values import decode, encode

DEFAULT_MIX = {"insert": 25, "update": 50, "replace": 10, "delete": 15}
FIRST_NUMBER = 2_000_000_000
SLICE_SECONDS = 0.01
KINDS = ("insert", "update", "replace", "delete", "reinsert")


class Workload:
    """`rate` changes a second (0: as fast as it goes) until `changes` are made, `seconds` are over, or it is stopped."""

    def __init__(self, store: Store, db: str, coll: str, seed: int = 1, rate: float = 2000, changes: int = 0,
                 seconds: float = 0, mix: dict | None = None, bytes: int = 330, mixed_ids: bool = False,
                 collections: list[str] | None = None, growing: int = 0):
        """With `collections` each change falls on one of them, else on `coll`. `growing`: after each so many changes
        updates begin to set one more field, whose type is not always the same."""
        self.store, self.db, self.colls = store, db, collections or [coll]
        self.chance, self.documents = random.Random(seed), Documents(seed + 1, bytes, mixed_ids)
        self.rate, self.changes, self.seconds = rate, changes, seconds
        mix = mix or DEFAULT_MIX
        self.names, self.weights = list(mix), list(mix.values())
        unknown = set(mix) - set(KINDS)
        if unknown:
            raise ValueError(f"mix: unknown {sorted(unknown)}")
        self.growing = growing
        self.dead: list[list[tuple]] = []                # deleted keys with their `_id`, a list a collection
        self.done = dict.fromkeys(KINDS, 0)
        self.number = FIRST_NUMBER + store.versions      # beyond the loaded documents and any earlier workload's
        self.halt = threading.Event()
        self.error = ""
        self.thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        self.halt.set()
        self.thread.join()

    @property
    def total(self) -> int:
        return sum(self.done.values())

    def status(self) -> dict:
        return {"running": self.thread.is_alive(), "changes": Int64(self.total), "error": self.error,
                **{name: Int64(count) for name, count in self.done.items()}}

    def _run(self) -> None:
        try:
            with self.store.lock:
                keys = [list(self.store.ensure(self.db, coll).keys(None, None)) for coll in self.colls]
            self.dead = [[] for _ in keys]
            self._loop(keys)
        except Exception as error:
            self.error = f"{type(error).__name__}: {error}"
            raise

    def _loop(self, keys: list) -> None:
        began = time.monotonic()
        while not self.halt.is_set():
            elapsed = time.monotonic() - began
            if self.seconds and elapsed >= self.seconds:
                return
            due = int(elapsed * self.rate) - self.total if self.rate else 200
            if self.changes:
                due = min(due, self.changes - self.total)
                if self.total >= self.changes:
                    return
            for _ in range(due):
                if self.halt.is_set():
                    return
                with self.store.lock:
                    self._one(keys)
            self.halt.wait(SLICE_SECONDS if self.rate else 0)

    def _one(self, all_keys: list[list]) -> None:
        turn = self.chance.randrange(len(all_keys)) if len(all_keys) > 1 else 0
        keys, target, writer = all_keys[turn], self.store.ensure(self.db, self.colls[turn]), Writer(self.store)
        kind = self.chance.choices(self.names, self.weights)[0] if len(keys) > 10 else "insert"
        if kind == "reinsert" and self.dead[turn]:
            self._reinsert(target, keys, self.dead[turn])
            return
        if kind in ("insert", "reinsert"):
            kind = "insert"
            self.number += 1
            self.store.insert(target, self.documents.document(self.number))
            keys.append(self.documents.key(self.number))
            self.done[kind] += 1
            return
        index = self._choose(len(keys))
        at = keys[index]
        if target.get(at) is None:                       # someone else removed it
            keys[index] = keys[-1]
            keys.pop()
            return
        if kind == "delete":
            raw = self.store.delete(target, at)
            if "reinsert" in self.names:
                self.dead[turn].append((at, decode(raw)["_id"]))
            keys[index] = keys[-1]
            keys.pop()
        elif kind == "update":
            writer.change(target, at, self._operators())
        else:
            fresh = decode(self.documents.document(self.chance.getrandbits(30)))
            del fresh["_id"]
            writer.change(target, at, fresh)
        self.done[kind] += 1

    def _reinsert(self, target, keys: list, dead: list) -> None:
        """Rather soon than late: a fresh document under a key that was deleted."""
        at, identity = dead.pop(-1 - self.chance.randrange(min(20, len(dead))))
        if target.get(at) is not None:
            return
        fresh = decode(self.documents.document(self.chance.getrandbits(30)))
        self.store.insert(target, encode({"_id": identity} | {name: value for name, value in fresh.items() if name != "_id"}))
        keys.append(at)
        self.done["reinsert"] += 1

    def _choose(self, count: int) -> int:
        """A third of the changes fall on a hundred documents, so that one is changed again and again."""
        return self.chance.randrange(min(100, count) if self.chance.random() < 0.33 else count)

    def _operators(self) -> dict:
        step = self.chance.getrandbits(40)
        if self.growing and self.chance.random() < 0.4:
            return {"$set": self._late_field(step)}
        which = step % 4
        if which == 0:
            return {"$set": {"amount": step / 1000, "address.zip": f"{step % 99999:05d}"}}
        if which == 1:
            return {"$push": {"history": {"$each": [{"at": Int64(step), "by": f"u{step % 50}"}], "$slice": -5}}}
        if which == 2:
            return {"$set": {f"extra_{step % 5}": Int64(step)}, "$unset": {f"extra_{(step + 1) % 5}": ""}}
        return {"$inc": {"counter": 1}, "$set": {"note": f"changed {step} times, Ünïcode \"quoted\"\n"}}

    def _late_field(self, step: int) -> dict:
        """One of the fields that were begun so far. One value in ten is not of its field's kind; names need quotes, differ
        from another in case only, or are what a destination may call its own."""
        number = self.chance.randrange(self.total // self.growing + 1)
        kind = number % 6 if self.chance.random() < 0.9 else self.chance.randrange(6)
        # Numbers that a double can't hold, and texts that read as numbers.
        value = (Int64(step << 22 | 1), f"{step % 3000:05d}" if step & 2 else f"late {step}", step / 1024, bool(step & 1), {"n": step % 100, "deep": [step % 7, None]},
                 datetime.datetime(2020, 1, 1) + datetime.timedelta(milliseconds=step))[kind]
        name = (f"late_{number}", f'late "{number}";--', f"Late_{number - 2}", f"_late{number}")[number % 4]
        return {"_deleted" if number == 9 else name: value}
