"""`aggregate` on documents: the stages that planners, counters and samplers of a collection use."""
import random

from bson import Int64

from .failures import CommandError
from .matching import MISSING, matches, project, walk
from .scans import Scan, sort_documents
from .values import decode, encode, key


def run_pipeline(server, body: dict) -> list[bytes]:
    db, name, stages = body["$db"], body["aggregate"], list(body.get("pipeline") or [])
    collection = server.store.collection(db, name) if isinstance(name, str) else None
    if stages and "$collStats" in stages[0]:
        documents, stages = [encode(statistics(server, db, name, collection, stages[0]["$collStats"]))], stages[1:]
    else:
        query = stages.pop(0)["$match"] if stages and "$match" in stages[0] else {}
        documents = everything(server, collection, db, name, query)
    for stage in stages:
        (operator, operand), = stage.items()
        documents = run_stage(documents, operator, operand)
    return documents


def everything(server, collection, db: str, name, query: dict) -> list[bytes]:
    scan, found = Scan(server.store, collection, {"find": str(name), "$db": db, "filter": query}, None), []
    while not scan.finished:
        found += scan.next_batch(10_000)
    return found


def statistics(server, db, name, collection, wanted: dict) -> dict:
    if collection is None:
        raise CommandError(26, f"Collection [{db}.{name}] not found.")
    sample = sampled_bytes(collection)
    facts = {"ns": f"{db}.{name}", "host": server.address}
    if "storageStats" in wanted:
        average = sample // max(1, min(len(collection), 1000))
        facts["storageStats"] = {"size": Int64(average * len(collection)), "count": len(collection),
                                 "avgObjSize": average, "storageSize": Int64(average * len(collection)), "capped": False,
                                 "nindexes": len(collection.indexes)}
    if "count" in wanted:
        facts["count"] = len(collection)
    return facts


def sampled_bytes(collection) -> int:
    """Bytes of the first documents, from which the average is taken."""
    return sum(len(collection.get(at)[0]) for at, _ in zip(collection.keys(None, None), range(1000)))


def run_stage(documents: list[bytes], operator: str, operand) -> list[bytes]:
    if operator == "$match":
        return [raw for raw in documents if matches(decode(raw), operand)]
    if operator == "$sort":
        return sort_documents(documents, operand)
    if operator == "$limit":
        return documents[:operand]
    if operator == "$skip":
        return documents[operand:]
    if operator == "$sample":
        return random.sample(documents, min(operand["size"], len(documents)))
    if operator == "$project":
        return [encode(project(decode(raw), operand)) for raw in documents]
    if operator == "$count":
        return [encode({operand: len(documents)})] if documents else []
    if operator == "$group":
        return group(documents, operand)
    if operator == "$bucketAuto":
        return buckets(documents, operand)
    raise CommandError(40324, f"Unrecognized pipeline stage name: '{operator}'")


def value_of(doc: dict, expression):
    if isinstance(expression, str) and expression.startswith("$"):
        found = walk(doc, expression[1:].split("."))[0]
        return None if found is MISSING else found
    return expression


def group(documents: list[bytes], spec: dict) -> list[bytes]:
    groups: dict = {}
    decoded = (decode(raw) for raw in documents) if spec["_id"] is not None else ({} for _ in documents)
    if any(isinstance(v, str) for s in list(spec.values())[1:] for v in s.values()):
        decoded = (decode(raw) for raw in documents)
    for doc in decoded:
        name = value_of(doc, spec["_id"])
        state = groups.setdefault(key(name), {"_id": name})
        for field, accumulator in spec.items():
            if field == "_id":
                continue
            (operator, expression), = accumulator.items()
            accumulate(state, field, operator, value_of(doc, expression))
    return [encode(state) for state in groups.values()]


def accumulate(state: dict, field: str, operator: str, value) -> None:
    if operator == "$sum":
        state[field] = state.get(field, 0) + value
    elif operator in ("$min", "$max"):
        better = field not in state or (key(value) < key(state[field])) == (operator == "$min")
        state[field] = value if better else state[field]
    else:
        raise CommandError(15952, f"unknown group operator '{operator}'")


def buckets(documents: list[bytes], spec: dict) -> list[bytes]:
    """Even runs of the sorted values; equal values stay together; `max` is the next bucket's `min`."""
    values = sorted((value_of(decode(raw), spec["groupBy"]) for raw in documents), key=key)
    size = max(1, round(len(values) / spec["buckets"]))
    found, at = [], 0
    while at < len(values):
        end = min(at + size, len(values)) if len(found) < spec["buckets"] - 1 else len(values)
        while end < len(values) and key(values[end]) == key(values[end - 1]):
            end += 1
        found.append({"_id": {"min": values[at], "max": values[min(end, len(values) - 1)]}, "count": end - at})
        at = end
    return [encode(bucket) for bucket in found]

