"""List Blobs: prefix, delimiter, pages; on an account with a hierarchy directories are listed as well."""
import base64
from xml.sax.saxutils import escape

from . import leases
from .blob import HEAD, XML
from .calls import http_date, operation
from .connection import Response
from .dfs import continuation, continued
from .errors import AzureError
from .paths import Node


def _blob(call, name, node, include):
    kept = node.content
    text = (f"<Blob><Name>{escape(name)}</Name><Properties><Creation-Time>{http_date(node.created)}</Creation-Time>"
            f"<Last-Modified>{http_date(node.modified)}</Last-Modified><Etag>{node.etag.strip(chr(34))}</Etag>"
            f"<ResourceType>{'directory' if node.directory else 'file'}</ResourceType><Content-Length>{node.length}</Content-Length>"
            f"<Content-Type>{escape(kept.get('content-type', 'application/octet-stream'))}</Content-Type>"
            f"<Content-Encoding>{escape(kept.get('content-encoding', ''))}</Content-Encoding><Content-MD5>{kept.get('content-md5', '')}</Content-MD5>"
            f"<BlobType>{node.kind}</BlobType>")
    state = leases.headers(node, call.world.lease_now())
    text += f"<LeaseStatus>{state['x-ms-lease-status']}</LeaseStatus><LeaseState>{state['x-ms-lease-state']}</LeaseState></Properties>"
    if "metadata" in include:
        given = dict(node.properties, **({"hdi_isfolder": "dHJ1ZQ=="} if node.directory else {}))
        inner = "".join(f"<{n}>{escape(base64.b64decode(v).decode('utf-8', 'replace'))}</{n}>" for n, v in given.items())
        text += f"<Metadata>{inner}</Metadata>"
    return text + "</Blob>"


def _entries(filesystem, prefix, delimiter, after, include, now):
    """(name, node or None for a prefix) after a marker, in order."""
    paths = filesystem.paths
    if "uncommittedblobs" in include:
        paths = dict(paths) | {name: Node(now, origin="blob") for name in filesystem.uncommitted if name not in paths}
        names = [n for n in sorted(paths) if n > after and n >= prefix]
    else:
        names = paths.irange(max(after, prefix), None, (max(after, prefix) != after or not after, True))
    seen = after if delimiter and after.endswith(delimiter) else None
    for name in names:
        if not name.startswith(prefix):
            if name > prefix:
                return
            continue
        at = name.find(delimiter, len(prefix)) if delimiter else -1
        if at < 0:
            if delimiter and paths[name].directory:
                continue                              # it is listed as a prefix where something lies in it
            yield name, paths[name]
        elif name[:at + len(delimiter)] != seen:
            seen = name[:at + len(delimiter)]
            yield seen, None


@operation("blob_list", "l", "read", "c")
def blob_list(call):
    filesystem, query = call.find_filesystem(), call.query
    most = min(call.number("maxresults", 5000), call.world.settings.list_page)
    if not most:
        raise AzureError("OutOfRangeInput", "maxresults")
    include = query.get("include", "").split(",")
    after = continued(query["marker"]) if query.get("marker") else ""
    text, count, last, more = "", 0, "", ""
    for name, node in _entries(filesystem, query.get("prefix", ""), query.get("delimiter", ""), after, include, call.now):
        if count == most:
            more = continuation(last)
            break
        text += f"<BlobPrefix><Name>{escape(name)}</Name></BlobPrefix>" if node is None else _blob(call, name, node, include)
        count, last = count + 1, name
    head = "".join(f"<{tag}>{escape(query[key])}</{tag}>" for tag, key in (("Prefix", "prefix"), ("Marker", "marker"), ("MaxResults", "maxresults"),
                                                                           ("Delimiter", "delimiter")) if query.get(key))
    return Response(200, XML, (f'{HEAD}<EnumerationResults ServiceEndpoint="{call.base()}" ContainerName="{call.filesystem}">{head}'
                               f"<Blobs>{text}</Blobs><NextMarker>{more}</NextMarker></EnumerationResults>").encode())
