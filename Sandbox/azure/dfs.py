"""The DFS endpoint: file systems, and paths but for append and flush."""
import base64
import binascii
import json
import re
import urllib.parse

from . import leases, sas
from .calls import http_date, metadata, operation
from .connection import Response
from .errors import AzureError
from .paths import Node

_property = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_marker = b"\xfb\xff\xbf"     # in base64 "+/+/": tokens must be percent-encoded by who sends them back


def properties(text):
    """x-ms-properties: name=base64, separated by commas."""
    found = {}
    for pair in filter(None, (text or "").split(",")):
        name, given, value = pair.strip().partition("=")
        if not given or not _property.fullmatch(name):
            raise AzureError("InvalidPropertyName")
        try:
            base64.b64decode(value, validate=True)
        except binascii.Error:
            raise AzureError("InvalidHeaderValue", "x-ms-properties") from None
        found[name] = value
    return found


def continuation(name):
    return base64.b64encode(_marker + name.encode()).decode()


def continued(text):
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        raw = b""
    if not raw.startswith(_marker):
        raise AzureError("InvalidQueryParameterValue", "continuation")
    return raw[len(_marker):].decode()


# --- file systems

@operation("filesystem_list", "l", "read", "s")
def filesystem_list(call):
    names = sorted(n for n in call.world.store.filesystems if n.startswith(call.query.get("prefix", "")))
    found = [call.world.store.filesystems[name] for name in names]
    return Response(200, {"Content-Type": "application/json;charset=utf-8"}, json.dumps({"filesystems": [
        {"name": one.name, "etag": one.root.etag.strip('"'), "lastModified": http_date(one.root.modified)} for one in found]}).encode())


@operation("filesystem_create", "cw", "write", "c")
def filesystem_create(call):
    made = call.world.store.create(call.filesystem, call.now)
    if made is None:
        raise AzureError("FilesystemAlreadyExists" if call.endpoint == "dfs" else "ContainerAlreadyExists")
    if call.endpoint == "dfs":
        made.properties = properties(call.headers.get("x-ms-properties"))
    else:
        made.properties = metadata(call.headers)
    return Response(201, {**call.versions(made.root), "x-ms-namespace-enabled": "true"})


@operation("filesystem_delete", "d", "delete", "c")
def filesystem_delete(call):
    call.condition(call.find_filesystem().root)
    call.world.store.drop(call.filesystem)
    return Response(202)


@operation("filesystem_properties", "r", "read", "c")
def filesystem_properties(call):
    found = call.find_filesystem()
    headers = {**call.versions(found.root), "x-ms-namespace-enabled": "true", "x-ms-lease-status": "unlocked", "x-ms-lease-state": "available",
               "x-ms-has-immutability-policy": "false", "x-ms-has-legal-hold": "false"}
    if call.endpoint == "dfs":
        headers["x-ms-properties"] = ",".join(f"{n}={v}" for n, v in found.properties.items())
    else:
        headers.update({"x-ms-meta-" + n: base64.b64decode(v).decode("latin-1") for n, v in found.properties.items()})
    return Response(200, headers)


@operation("filesystem_set_properties", "w", "write", "c")
def filesystem_set_properties(call):
    found = call.find_filesystem()
    call.condition(found.root)
    found.properties = properties(call.headers.get("x-ms-properties")) if call.endpoint == "dfs" else metadata(call.headers)
    found.root.touch(call.now)
    return Response(200, call.versions(found.root))


@operation("list", "l", "read", "c")
def list_paths(call):
    filesystem = call.find_filesystem()
    directory = call.query.get("directory", "").strip("/")
    if directory and directory not in filesystem.paths:
        raise AzureError("PathNotFound")
    if "recursive" not in call.query:
        raise AzureError("MissingRequiredQueryParameter", "recursive")
    most = min(call.number("maxresults", 5000), call.world.settings.list_page)
    if not most:
        raise AzureError("InvalidQueryParameterValue", "maxResults")
    after = continued(call.query["continuation"]) if call.query.get("continuation") else ""
    names = _page(filesystem.paths, directory, call.flag("recursive"), after, most + 1)
    headers = {"Content-Type": "application/json;charset=utf-8"}
    if len(names) > most:
        names.pop()
        headers["x-ms-continuation"] = continuation(names[-1])
    return Response(200, headers, json.dumps({"paths": [_entry(name, filesystem.paths[name]) for name in names]}).encode())


def _page(paths, directory, recursive, after, most):
    """Up to `most` names below a directory that come after `after`."""
    prefix = directory + "/" if directory else ""
    ends, names, start = directory + "0" if directory else None, [], max(after, prefix)
    while len(names) < most:
        jump = None
        for name in paths.irange(start, ends, (False, False)):
            rest = name.find("/", len(prefix))
            if not recursive and rest >= 0:
                jump = name[:rest] + "0"       # the first name that does not lie in that directory
                break
            names.append(name)
            if len(names) == most:
                return names
        if jump is None:
            return names
        if jump in paths:
            names.append(jump)
        start = jump
    return names


def _entry(name, node):
    entry = {"name": name, "contentLength": str(node.length), "lastModified": http_date(node.modified), "etag": node.etag.strip('"'),
             "owner": node.owner, "group": node.group, "permissions": node.permissions,
             "creationTime": str(int(node.created * 1e7) + 116444736000000000)}
    if node.directory:
        entry["isDirectory"] = "true"
    return entry


# --- paths

@operation("create", "cw", "write")
def create(call):
    call.no_body()
    kind = call.query.get("resource")
    if kind not in ("file", "directory"):
        raise AzureError("InvalidQueryParameterValue", "resource")
    filesystem, old = call.find_filesystem(), None
    if not call.path:
        raise AzureError("InvalidUri")
    old = filesystem.find(call.path)
    call.condition(old, exists="PathAlreadyExists")
    given = properties(call.headers.get("x-ms-properties"))
    if old is not None:
        call.check_lease(old)
        if old.directory != (kind == "directory"):
            raise AzureError("ResourceTypeMismatch")
    filesystem.make_parents(call.path, call.now)
    node = old if old is not None and old.directory else Node(call.now, kind == "directory")
    if old is not None:
        node.lease = old.lease
        if node is not old:
            call.world.store.forget(old)
    node.properties = given
    call.take_content_headers(node)
    node.touch(call.now)
    if call.headers.get("x-ms-proposed-lease-id"):
        leases.acquire(node, call.headers, call.world.lease_now())
    filesystem.paths[call.path] = node
    return call.changed(201, node)


def _source(call):
    """(file system, path, its node) of x-ms-rename-source; with a SAS of its own where the request is authorized by one."""
    text, _, query = call.headers["x-ms-rename-source"].partition("?")
    parts = urllib.parse.unquote(text).strip("/").split("/", 1)
    if len(parts) < 2 or not text.startswith("/"):
        raise AzureError("InvalidSourceUri")
    if "authorization" not in call.headers:
        given = {n.lower(): v for n, v in urllib.parse.parse_qsl(query, keep_blank_values=True)}
        if "sig" not in given:
            raise AzureError("AuthenticationFailed", "x-ms-rename-source has no signature")
        sas.verify(call.world, call, given, parts[1].strip("/"), "md")
    filesystem = call.world.store.filesystems.get(parts[0])
    path = parts[1].strip("/")
    node = filesystem.paths.get(path) if filesystem is not None else None
    if node is None:
        raise AzureError("SourcePathNotFound")
    return filesystem, path, node


@operation("rename", "cw", "write")
def rename(call):
    call.no_body()
    target, store = call.find_filesystem(), call.world.store
    source, path, node = _source(call)
    old = target.find(call.path)
    call.condition(node, "x-ms-source-")
    call.condition(old, exists="PathAlreadyExists")
    call.check_lease(node, "x-ms-source-lease-id")
    if old is not None and old is not node:
        call.check_lease(old)
    parent = call.path.rpartition("/")[0]
    if parent and parent not in target.paths:
        raise AzureError("RenameDestinationParentPathNotFound")
    if parent and not target.paths[parent].directory:
        raise AzureError("PathConflict")
    if node.directory and source is target and call.path.startswith(path + "/"):
        raise AzureError("InvalidRenameSourcePath")
    if old is not None and old.directory != node.directory:
        raise AzureError("InvalidSourceOrDestinationResourceType")
    if old is node:
        return Response(201)
    if old is not None and old.directory and next(target.below(call.path), None) is not None:
        raise AzureError("PathAlreadyExists")
    inside = list(source.below(path)) if node.directory else []
    if old is not None:
        store.forget(old)
    for name in [*inside, path]:
        target.paths[call.path + name[len(path):]] = source.paths.pop(name)
    node.lease = old.lease if old is not None else None
    return Response(201)


@operation("delete", "d", "delete")
def delete(call):
    filesystem, node = call.existing()
    call.condition(node)
    call.check_lease(node)
    store, headers = call.world.store, {}
    if node.directory:
        inside = filesystem.below(call.path)
        if not call.flag("recursive"):
            if next(inside, None) is not None:
                raise AzureError("DirectoryNotEmpty")
        else:
            names, most = list(inside), call.world.settings.delete_page
            if call.flag("paginated") and len(names) > most:
                names = names[len(names) - most:]        # from the end, so that no file is left without its directory
                headers["x-ms-continuation"] = continuation(names[0])
            for name in names:
                store.remove(filesystem, name)
    if not headers:
        store.remove(filesystem, call.path)
    return Response(200, headers)


@operation("properties", "r", "read")
def get_properties(call):
    filesystem, node = call.existing()
    call.condition(node, reading=True)
    call.check_lease(node, writes=False)
    headers, action = call.described(node), call.query.get("action", "").lower()
    if action in ("getstatus", "getaccesscontrol", "checkaccess"):
        headers.pop("x-ms-properties", None)
        if action == "getaccesscontrol":
            headers["x-ms-acl"] = node.acl
            return Response(200, headers)
    elif action:
        raise AzureError("InvalidQueryParameterValue", "action")
    return Response(200, {**headers, "Content-Length": str(node.length)}, length=node.length)


@operation("set_properties", "w", "write")
def set_properties(call):
    filesystem, node = call.existing()
    call.condition(node)
    call.check_lease(node)
    if "x-ms-properties" in call.headers:
        node.properties = properties(call.headers["x-ms-properties"])
    call.take_content_headers(node)
    node.touch(call.now)
    return call.changed(200, node)


@operation("set_access", "p", "write")
def set_access(call):
    filesystem, node = call.existing()
    call.condition(node)
    for header, name in (("x-ms-owner", "owner"), ("x-ms-group", "group"), ("x-ms-permissions", "permissions"), ("x-ms-acl", "acl")):
        if header in call.headers:
            setattr(node, name, call.headers[header])
    return Response(200, call.versions(node))


@operation("read", "r", "read")
def read(call):
    filesystem, node = call.file()
    call.condition(node, reading=True)
    call.check_lease(node, writes=False)
    return call.read(node)


@operation("lease", "w", "write")
def lease(call):
    filesystem, node = call.existing()
    call.no_body()
    call.condition(node)
    if call.endpoint == "dfs" and call.headers.get("x-ms-lease-action") == "acquire" and not call.headers.get("x-ms-proposed-lease-id"):
        raise AzureError("MissingRequiredHeader", "x-ms-proposed-lease-id")
    status, headers = leases.act(node, call.headers, call.world.lease_now())
    return Response(status, {**call.versions(node), **headers})
