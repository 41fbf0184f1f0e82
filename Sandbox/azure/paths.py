"""File systems and the paths in them. A file has committed extents, and pending ones that only a flush makes visible."""
import itertools
import re
import time

from sortedcontainers import SortedDict

from .errors import AzureError

_name = re.compile(r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]|\$root|\$web")
_versions = itertools.count(int(time.time() * 1e7))


def etag():
    return f'"0x8D{next(_versions) & 0xFFFFFFFFFFFFF:013X}"'


class Node:
    __slots__ = ("directory", "extents", "length", "pending", "blocks", "properties", "content", "kind", "origin", "lease", "created", "modified",
                 "etag", "appends", "flushes", "closes", "owner", "group", "permissions", "acl")

    def __init__(self, now, directory=False, origin="dfs", kind="BlockBlob"):
        self.directory, self.origin, self.kind = directory, origin, kind
        self.extents, self.length, self.pending, self.blocks = [], 0, {}, []
        self.properties, self.content, self.lease = {}, {}, None
        self.appends = self.flushes = self.closes = 0
        self.owner = self.group = "$superuser"
        self.permissions, self.acl = ("rwxr-x---", "user::rwx,group::r-x,other::---") if directory else ("rw-r-----", "user::rw-,group::r--,other::---")
        self.created = now
        self.touch(now)

    def touch(self, now):
        self.modified, self.etag = now, etag()


class Filesystem:
    def __init__(self, name, now):
        self.name, self.paths, self.uncommitted, self.properties = name, SortedDict(), {}, {}
        self.root = Node(now, True)

    def find(self, path):
        return self.paths.get(path) if path else self.root

    def below(self, path):
        """Names of everything under a directory, in order."""
        return self.paths.irange(path + "/", path + "0", (True, False)) if path else iter(self.paths)

    def make_parents(self, path, now, origin="dfs"):
        parent = path.rpartition("/")[0]
        if not parent:
            return
        found = self.paths.get(parent)
        if found is None:
            self.make_parents(parent, now, origin)
            self.paths[parent] = Node(now, True, origin)
        elif not found.directory:
            raise AzureError("PathConflict")


class Store:
    """All file systems of the account. Everything runs on one thread, so nothing is locked."""

    def __init__(self, segments):
        self.segments, self.filesystems = segments, {}

    def create(self, name, now):
        if not _name.fullmatch(name) or len(name) > 63:
            raise AzureError("InvalidResourceName")
        if name in self.filesystems:
            return None
        made = self.filesystems[name] = Filesystem(name, now)
        return made

    def drop(self, name):
        filesystem = self.filesystems.pop(name)
        for node in filesystem.paths.values():
            self.forget(node)
        for blocks in filesystem.uncommitted.values():
            self.segments.release(blocks.values())

    def forget(self, node):
        """Gives the room of a path's content back."""
        self.segments.release(node.extents)
        self.discard(node, node.pending)
        node.extents, node.length, node.blocks = [], 0, []

    def discard(self, node, positions):
        """Drops pending ranges."""
        for position in list(positions):
            self.segments.release([node.pending.pop(position)])

    def remove(self, filesystem, path):
        self.forget(filesystem.paths.pop(path))

    def held(self, node, start, count):
        """Content that stays readable, once its reading began, though the path changes meanwhile."""
        extents = list(node.extents)

        def pieces():
            self.segments.retain(extents)
            try:
                yield from self.segments.read(extents, start, count)
            finally:
                self.segments.release(extents)

        return pieces()
