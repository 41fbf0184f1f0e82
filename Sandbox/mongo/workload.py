"""Keeps changing one collection or several, inside the server's process: a seeded mix of inserts, updates, replaces and deletes."""
import random
import threading
import time

from bson import Int64

from .commands_crud import Writer
from .generator import Documents
from .store import Store
from .values import decode

DEFAULT_MIX = {"insert": 25, "update": 50, "replace": 10, "delete": 15}
FIRST_NUMBER = 2_000_000_000
SLICE_SECONDS = 0.01


class Workload:
    """`rate` changes a second (0: as fast as it goes) until `changes` are made, `seconds` are over, or it is stopped."""

    def __init__(self, store: Store, db: str, coll: str, seed: int = 1, rate: float = 2000, changes: int = 0,
                 seconds: float = 0, mix: dict | None = None, bytes: int = 330, mixed_ids: bool = False,
                 collections: list[str] | None = None):
        """With `collections` each change falls on one of them, else on `coll`."""
        self.store, self.db, self.colls = store, db, collections or [coll]
        self.chance, self.documents = random.Random(seed), Documents(seed + 1, bytes, mixed_ids)
        self.rate, self.changes, self.seconds = rate, changes, seconds
        mix = mix or DEFAULT_MIX
        self.names, self.weights = list(mix), list(mix.values())
        self.done = dict.fromkeys(("insert", "update", "replace", "delete"), 0)
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
        if kind == "insert":
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
            self.store.delete(target, at)
            keys[index] = keys[-1]
            keys.pop()
        elif kind == "update":
            writer.change(target, at, self._operators())
        else:
            fresh = decode(self.documents.document(self.chance.getrandbits(30)))
            del fresh["_id"]
            writer.change(target, at, fresh)
        self.done[kind] += 1

    def _choose(self, count: int) -> int:
        """A third of the changes fall on a hundred documents, so that one is changed again and again."""
        return self.chance.randrange(min(100, count) if self.chance.random() < 0.33 else count)

    def _operators(self) -> dict:
        step = self.chance.getrandbits(40)
        which = step % 4
        if which == 0:
            return {"$set": {"amount": step / 1000, "address.zip": f"{step % 99999:05d}"}}
        if which == 1:
            return {"$push": {"history": {"$each": [{"at": Int64(step), "by": f"u{step % 50}"}], "$slice": -5}}}
        if which == 2:
            return {"$set": {f"extra_{step % 5}": Int64(step)}, "$unset": {f"extra_{(step + 1) % 5}": ""}}
        return {"$inc": {"counter": 1}, "$set": {"note": f"changed {step} times, Ünïcode \"quoted\"\n"}}
