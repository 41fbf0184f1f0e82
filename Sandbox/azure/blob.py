"""The Blob endpoint: block blobs, append blobs, metadata; leases, HEAD and GET are those of the DFS endpoint's paths."""
import base64
import binascii
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from .calls import metadata, operation
from .connection import Response
from .errors import AzureError
from .paths import Node
from .segments import add

XML = {"Content-Type": "application/xml"}
HEAD = '<?xml version="1.0" encoding="utf-8"?>'


def _replacing(call, kind):
    """The new node of a write that replaces, or makes, a blob; the old one is checked but not yet touched."""
    filesystem = call.find_filesystem()
    if not call.path:
        raise AzureError("InvalidUri")
    old = filesystem.find(call.path)
    call.condition(old, exists="BlobAlreadyExists")
    if old is not None:
        call.check_lease(old)
        if old.directory:
            raise AzureError("ResourceTypeMismatch")
    node = Node(call.now, origin="blob", kind=kind)
    node.properties = metadata(call.headers)
    call.take_content_headers(node)
    if "content-type" in call.headers and kind == "BlockBlob" and "comp" not in call.query:
        node.content.setdefault("content-type", call.headers["content-type"])
    return filesystem, old, node


def _publish(call, filesystem, old, node):
    filesystem.make_parents(call.path, call.now, "blob")
    if old is not None:
        node.lease, node.created = old.lease, old.created
        call.world.store.forget(old)
    call.world.segments.release(filesystem.uncommitted.pop(call.path, {}).values())
    filesystem.paths[call.path] = node


@operation("blob_put", "cw", "write")
def put(call):
    kind = call.headers.get("x-ms-blob-type")
    if kind is None:
        raise AzureError("MissingRequiredHeader", "x-ms-blob-type")
    if kind not in ("BlockBlob", "AppendBlob"):
        raise AzureError("InvalidHeaderValue", "x-ms-blob-type")
    filesystem, old, node = _replacing(call, kind)
    md5 = call.check_md5()
    if call.request.length:
        if kind == "AppendBlob":
            raise AzureError("InvalidHeaderValue", "Content-Length")
        node.extents, node.length = [call.request.stored(call.world.segments)], call.request.length
        if md5:
            node.content.setdefault("content-md5", md5["Content-MD5"])
    _publish(call, filesystem, old, node)
    return call.changed(201, node, **md5)


@operation("blob_block", "cw", "write")
def put_block(call):
    filesystem = call.find_filesystem()
    old = filesystem.find(call.path)
    if old is not None:
        call.check_lease(old)
        if old.directory or old.kind != "BlockBlob":
            raise AzureError("InvalidBlobType")
    name = call.query.get("blockid", "")
    try:
        decoded = base64.b64decode(name, validate=True)
    except binascii.Error:
        decoded = b""
    if not 0 < len(decoded) <= 64:
        raise AzureError("InvalidQueryParameterValue", "blockid")
    if not call.request.length:
        raise AzureError("InvalidHeaderValue", "Content-Length")
    md5, blocks = call.check_md5(), filesystem.uncommitted.setdefault(call.path, {})
    if blocks and len(next(iter(blocks))) != len(name):
        raise AzureError("InvalidBlobOrBlock")
    if name in blocks:
        call.world.segments.release([blocks[name]])
    blocks[name] = call.request.stored(call.world.segments)
    return Response(201, {"x-ms-request-server-encrypted": "true", **md5})


@operation("blob_block_list", "cw", "write")
def put_block_list(call):
    filesystem, old, node = _replacing(call, "BlockBlob")
    segments, waiting = call.world.segments, filesystem.uncommitted.get(call.path, {})
    committed = dict(old.blocks) if old is not None else {}
    md5 = call.check_md5()
    for where, name in _block_names(call):
        extent = waiting.get(name) if where != "Committed" else None
        if extent is None and where != "Uncommitted":
            extent = committed.get(name)
        if extent is None:
            segments.release(node.extents)
            raise AzureError("InvalidBlockList")
        segments.retain([extent])
        node.blocks.append((name, extent))
        add(node.extents, extent)
        node.length += extent[2]
    _publish(call, filesystem, old, node)
    return call.changed(201, node, **md5)


def _block_names(call):
    try:
        root = ElementTree.fromstring(call.request.content(call.world.segments))
    except ElementTree.ParseError:
        raise AzureError("InvalidXmlDocument") from None
    found = [(one.tag, (one.text or "").strip()) for one in root]
    if root.tag != "BlockList" or any(tag not in ("Latest", "Committed", "Uncommitted") for tag, _ in found):
        raise AzureError("InvalidXmlDocument")
    if len(found) > 50000:
        raise AzureError("BlockCountExceedsLimit")
    return found


@operation("blob_get_block_list", "r", "read")
def get_block_list(call):
    filesystem = call.find_filesystem()
    node, waiting = filesystem.find(call.path), filesystem.uncommitted.get(call.path, {})
    if node is None and not waiting:
        raise AzureError("BlobNotFound")
    parts = {"committed": node.blocks if node is not None else [], "uncommitted": list(waiting.items())}
    wanted, text = call.query.get("blocklisttype", "committed"), ""
    for name in ("committed", "uncommitted"):
        if wanted in (name, "all"):
            inner = "".join(f"<Block><Name>{block}</Name><Size>{extent[2]}</Size></Block>" for block, extent in parts[name])
            text += f"<{name.title()}Blocks>{inner}</{name.title()}Blocks>"
    headers = {**XML, "x-ms-blob-content-length": str(node.length if node is not None else 0), **(call.versions(node) if node is not None else {})}
    return Response(200, headers, f"{HEAD}<BlockList>{text}</BlockList>".encode())


@operation("blob_append", "aw", "write")
def append_block(call):
    filesystem, node = call.existing()
    request, headers = call.request, call.headers
    if node.directory or node.kind != "AppendBlob":
        raise AzureError("InvalidBlobType")
    call.check_lease(node)
    call.condition(node)
    if not request.length:
        raise AzureError("InvalidHeaderValue", "Content-Length")
    if request.length > (100 << 20 if headers.get("x-ms-version", "") >= "2022-11-02" else 4 << 20):
        raise AzureError("RequestBodyTooLarge")
    for name, code, wrong in (("appendpos", "AppendPositionConditionNotMet", lambda v: v != node.length),
                              ("maxsize", "MaxBlobSizeConditionNotMet", lambda v: node.length + request.length > v)):
        text = headers.get("x-ms-blob-condition-" + name)
        if text is not None and not text.isdigit():
            raise AzureError("InvalidHeaderValue", "x-ms-blob-condition-" + name)
        if text is not None and wrong(int(text)):
            raise AzureError(code)
    if node.appends >= call.world.settings.max_appends:
        raise AzureError("BlockCountExceedsLimit")
    md5, offset = call.check_md5(), node.length
    add(node.extents, request.stored(call.world.segments))
    node.length += request.length
    node.appends += 1
    node.touch(call.now)
    return call.changed(201, node, **{"x-ms-blob-append-offset": str(offset), "x-ms-blob-committed-block-count": str(node.appends), **md5})


@operation("blob_delete", "d", "delete")
def delete(call):
    filesystem, node = call.existing()
    call.condition(node)
    call.check_lease(node)
    if node.directory and next(filesystem.below(call.path), None) is not None:
        raise AzureError("DirectoryIsNotEmpty")
    call.world.store.remove(filesystem, call.path)
    return Response(202, {"x-ms-delete-type-permanent": "true"})


@operation("blob_set_metadata", "w", "write")
def set_metadata(call):
    filesystem, node = call.existing()
    call.condition(node)
    call.check_lease(node)
    node.properties = metadata(call.headers)
    node.touch(call.now)
    return call.changed(200, node)


@operation("blob_set_properties", "w", "write")
def set_properties(call):
    filesystem, node = call.existing()
    call.condition(node)
    call.check_lease(node)
    node.content = {}
    call.take_content_headers(node)
    node.touch(call.now)
    return Response(200, call.versions(node))


@operation("blob_metadata", "r", "read")
def get_metadata(call):
    filesystem, node = call.existing()
    call.condition(node, reading=True)
    call.check_lease(node, writes=False)
    return Response(200, {name: value for name, value in call.described(node).items()
                          if name in ("ETag", "Last-Modified") or name.startswith("x-ms-meta-")})


@operation("account_info", "rl", "read")
def account_info(call):
    return Response(200, {"x-ms-sku-name": "Standard_LRS", "x-ms-account-kind": "StorageV2", "x-ms-is-hns-enabled": str(call.world.settings.hierarchy).lower()})


@operation("container_list", "l", "read", "s")
def container_list(call):
    prefix, text = call.query.get("prefix", ""), ""
    for name, one in sorted(call.world.store.filesystems.items()):
        if name.startswith(prefix):
            seen = call.versions(one.root)
            text += (f"<Container><Name>{name}</Name><Properties><Last-Modified>{seen['Last-Modified']}</Last-Modified><Etag>{seen['ETag']}</Etag>"
                     "<LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState></Properties></Container>")
    return Response(200, XML, f'{HEAD}<EnumerationResults ServiceEndpoint="{call.base()}"><Prefix>{escape(prefix)}</Prefix><Containers>{text}'
                              "</Containers><NextMarker /></EnumerationResults>".encode())
