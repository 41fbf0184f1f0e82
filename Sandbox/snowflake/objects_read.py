"""What the three stores' reading of objects shares: ranges, and pages of a listing."""
import re

from .http_server import Response

RANGE = re.compile(r"bytes=(\d*)-(\d*)$")


def content(request, thing, headers, header="range"):
    """GET of an object, or of a part of it; None when the range can't be satisfied."""
    asked = request.headers.get(header) or request.headers.get("range")
    found = RANGE.match(asked) if asked else None
    if found is None or found.group() == "bytes=-":
        with open(thing.path, "rb") as file:
            return Response(200, file.read(), headers)
    first, last = found.groups()
    start, end = (int(first), min(int(last or thing.size), thing.size - 1)) if first else (max(0, thing.size - int(last)), thing.size - 1)
    if start >= thing.size or start > end:
        return None
    with open(thing.path, "rb") as file:
        file.seek(start)
        return Response(206, file.read(end - start + 1), {**headers, "Content-Range": f"bytes {start}-{end}/{thing.size}"})


def page(objects, bucket, prefix, delimiter, after, limit):
    """(things, common prefixes, the last name when more follow)"""
    things, prefixes, last, skip = [], [], None, len(bucket) + 1
    for thing in objects.under(f"{bucket}/{prefix}"):
        name = thing.key[skip:]
        at = name.find(delimiter, len(prefix)) if delimiter else -1
        shown = name if at < 0 else name[:at + len(delimiter)]
        if after and (shown <= after or name <= after):
            continue
        if prefixes and shown == prefixes[-1]:
            continue
        if len(things) + len(prefixes) == limit:
            return things, prefixes, last
        last = shown
        if at < 0:
            things.append((name, thing))
        else:
            prefixes.append(shown)
    return things, prefixes, None
