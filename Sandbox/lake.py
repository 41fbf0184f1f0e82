"""What a lake holds, read by Microsoft's own SDK, compared with the MongoDB stand-in's log. Stands outside the program.

A table in the form that `Sandbox.compare` judges is made of the files' lines: the place of a line among those of its
cluster time is the index in SEQUENCE, so that a line out of order shows as an event out of order.
"""
import datetime
import gzip
import io
import json
import re
from collections import Counter, defaultdict
from pathlib import Path

import pyarrow
import pyarrow.parquet
import zstandard
from azure.storage.filedatalake import DataLakeServiceClient

from .azure import world
from .compare import COLUMNS, Result, compare
from .stack import FILESYSTEM

META = ["operationType", "clusterTime", "wallTime", "ns", "txnNumber", "lsid", "resumeToken"]
MEMBERS = ["_meta", "documentKey", "fullDocument", "updateDescription", "fullDocumentBeforeChange"]
SCHEMA = pyarrow.schema([(name, pyarrow.timestamp("ms") if name == "EVENT_TIME" else
                          pyarrow.int64() if name == "FILE_ROW" else pyarrow.string()) for name in COLUMNS])
ROLLING = re.compile(
    r"(?P<db>[^/]+)/(?P<coll>[^/]+)/year=(?P<y>\d{4})/month=(?P<m>\d{2})/day=(?P<d>\d{2})/hour=(?P<h>\d{2})/"
    r"events-(?P=y)(?P=m)(?P=d)-(?P=h)(?:-part-(?P<part>\d+))?\.jsonl(?:\.gz|\.zst)?$")
FILES = re.compile(
    r"(?P<db>[^/]+)/(?P<coll>[^/]+)/year=(?P<y>\d{4})/month=(?P<m>\d{2})/day=(?P<d>\d{2})/hour=(?P<h>\d{2})/"
    r"events-(?P=y)(?P=m)(?P=d)-(?P=h)-(?P<part>\d{10}-\d{10}-\d{6})\.jsonl(?:\.gz|\.zst)?$")
EVENT = re.compile(
    r"(?P<db>[^/]+)/(?P<coll>[^/]+)/year=(?P<y>\d{4})/month=(?P<m>\d{2})/day=(?P<d>\d{2})/"
    r"(?P<op>[a-z]+)-.*-(?P<part>[0-9a-f]{24}-[0-9a-f]{16})\.json$")


class Lake:
    """All files of the file system but the pipelines' own."""

    def __init__(self, url: str, layout: str = "rolling"):
        self.client = DataLakeServiceClient(url, world.KEY, retry_total=0).get_file_system_client(FILESYSTEM)
        self.pattern = {"rolling": ROLLING, "files": FILES, "per_event": EVENT}[layout]
        self.problems: list[str] = []

    def paths(self) -> list[str]:
        return [path.name for path in self.client.get_paths() if not path.is_directory and not path.name.startswith("_nebula/")]

    def content(self, path: str) -> bytes:
        data = self.client.get_file_client(path).download_file().readall()
        if path.endswith(".gz"):
            return gzip.decompress(data)
        if path.endswith(".zst"):
            return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True).read()
        return data

    def lines(self) -> dict[tuple[str, str], list[dict]]:
        """The lines of each collection in the order of its files: by hour, then by part."""
        files: dict[tuple[str, str], list] = defaultdict(list)
        for path in self.paths():
            found = self.pattern.match(path)
            if found is None:
                self.problems.append(f"a file that has no business here: {path}")
                continue
            part = found["part"] or "1"
            hour = found["y"] + found["m"] + found["d"] + (found["h"] if "h" in found.groupdict() else "")
            files[found["db"], found["coll"]].append((hour, int(part) if part.isdigit() else part, path))
        return {name: [line for hour, _, path in sorted(parts) for line in self.of_file(path, hour)]
                for name, parts in files.items()}

    def of_file(self, path: str, hour: str) -> list[dict]:
        content = self.content(path)
        if not content.endswith(b"\n") and content:
            self.problems.append(f"{path} does not end with a whole line")
        lines = []
        for number, text in enumerate(content.split(b"\n")[:-1], 1):
            try:
                line = json.loads(text)
            except ValueError:
                self.problems.append(f"{path}:{number} is no JSON: {text[:80]!r}")
                continue
            if list(line) != MEMBERS or list(line["_meta"]) != META:
                self.problems.append(f"{path}:{number} has other members: {list(line)} {list(line.get('_meta', {}))}")
                continue
            if not time_of(line).strftime("%Y%m%d%H").startswith(hour):
                self.problems.append(f"{path}:{number} belongs to {time_of(line)}")
            line["_where"] = (path, number)
            if self.pattern is EVENT:
                line["_event"] = self.client.get_file_client(path).get_file_properties().metadata["nebula_event"]
            lines.append(line)
        return lines


def time_of(line: dict) -> datetime.datetime:
    """The time by which the line finds its file: the cluster time; of a copied row first its ObjectId's."""
    seconds = line["_meta"]["clusterTime"]["t"]
    identifier = (line["documentKey"] or {}).get("_id")
    if line["_meta"]["operationType"] == "snapshot" and isinstance(identifier, str) and re.fullmatch("[0-9a-f]{24}", identifier):
        seconds = int(identifier[:8], 16)
    return datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)


def table(lines: list[dict], path: Path) -> Path:
    """The lines as the table that `compare` reads."""
    index: Counter = Counter()
    rows = []
    for line in lines:
        meta = line["_meta"]
        cluster = meta["clusterTime"]["t"] << 32 | meta["clusterTime"]["i"]
        if meta["operationType"] != "snapshot":
            index[cluster] += 1
        number = 0 if meta["operationType"] == "snapshot" else index[cluster]

        def text(value: object) -> str | None:
            return None if value is None else json.dumps(value)

        rows.append({
            "DOCUMENT": text(line["fullDocument"]), "DOCUMENT_BEFORE": text(line["fullDocumentBeforeChange"]),
            "UPDATE_DESCRIPTION": text(line["updateDescription"]), "DOCUMENT_KEY": text(line["documentKey"]),
            "OPERATION": meta["operationType"], "NAMESPACE": f"{meta['ns']['db']}.{meta['ns']['coll']}",
            "EVENT_TIME": datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=meta["clusterTime"]["t"]),
            "SEQUENCE": f"{cluster:016x}{number:08x}", "EVENT_ID": line.get("_event", meta["resumeToken"]), "FILE": line["_where"][0],
            "FILE_ROW": line["_where"][1]})
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, SCHEMA), path)
    return path


def judge(url: str, truth: Path, collections: list[str], folder: Path, layout: str = "rolling", database: str = "shop") -> Result:
    """The sum over all collections; a file or line that belongs to none is differing."""
    lake, total = Lake(url, layout), Result()
    found = lake.lines()
    for collection in collections:
        lines = found.pop((database, collection), [])
        if layout == "per_event":
            lines.sort(key=lambda line: line["_where"][0].rpartition("/")[2].rsplit("-", 2)[-2])
        one = compare(truth, table(lines, folder / f"{collection}.parquet"), database, collection, layout == "per_event")
        for kind in ("source", "destination", "lost", "duplicated", "differing"):
            setattr(total, kind, getattr(total, kind) + getattr(one, kind))
        total.examples += [f"{collection}: {example}" for example in one.examples][:20 - len(total.examples)]
    for name in found:
        total.note("differing", f"lines of {name}, which nobody follows")
    for problem in lake.problems:
        total.note("differing", problem)
    return total


