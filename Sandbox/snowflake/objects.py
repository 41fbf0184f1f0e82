"""The disk behind the object stores: a file and its headers for each key, found again after a restart."""
import hashlib
import json
import os
import threading
import time
import uuid


class Object:
    def __init__(self, key, path, size, md5, meta, location, modified=None, etag=None, generation=None):
        self.key, self.path, self.size, self.md5, self.meta, self.location = key, path, size, md5, meta, location
        self.modified = modified or time.time()
        self.etag = etag or md5                       # of an object in parts it is another one
        self.generation = generation or time.time_ns() // 1000


class Objects:
    def __init__(self, folder):
        self.folder, self.lock, self.by_key = folder, threading.Lock(), {}
        os.makedirs(folder, exist_ok=True)
        for name in os.listdir(folder):
            if name.endswith(".json"):
                with open(os.path.join(folder, name)) as file:
                    saved = json.load(file)
                self.by_key[saved["key"]] = Object(saved["key"], saved["path"], saved["size"], saved["md5"], saved["meta"],
                                                   saved["location"], saved["modified"], saved.get("etag"), saved.get("generation"))

    def path(self):
        return os.path.join(self.folder, uuid.uuid4().hex)

    def put(self, key, path, meta, location, md5=None, create_only=False, etag=None):
        """Takes over the file at `path` (written with `self.path()`); None when it may not replace what is there."""
        if md5 is None:
            digest = hashlib.md5()
            with open(path, "rb") as file:
                while chunk := file.read(1 << 20):
                    digest.update(chunk)
            md5 = digest.hexdigest()
        thing = Object(key, path, os.path.getsize(path), md5, meta, location, etag=etag)
        with open(path + ".json", "w") as file:
            json.dump({"key": key, "path": path, "size": thing.size, "md5": md5, "meta": meta, "location": location,
                       "modified": thing.modified, "etag": thing.etag, "generation": thing.generation}, file)
        with self.lock:
            old = self.by_key.get(key)
            if old is None or not create_only:
                self.by_key[key] = thing
        if old is not None and create_only:
            self._erase(thing)
            return None
        if old is not None:
            self._erase(old)
        return thing

    def get(self, key):
        with self.lock:
            return self.by_key.get(key)

    def under(self, prefix):
        with self.lock:
            return sorted((o for k, o in self.by_key.items() if k.startswith(prefix)), key=lambda o: o.key)

    def delete(self, key):
        with self.lock:
            old = self.by_key.pop(key, None)
        if old is not None:
            self._erase(old)
        return old

    @staticmethod
    def _erase(thing):
        for path in (thing.path, thing.path + ".json"):
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass
