"""Large input files of distinct records, with the digest of what must come out; written in pieces, so with little memory."""
import hashlib
import json
import random
from dataclasses import dataclass
from pathlib import Path

PIECE = 2000  # records
NAMES = ("id", "customer", "city", "amount", "status", "note")


@dataclass
class Input:
    path: Path
    records: int
    bytes: int
    # SHA-256 of the records as JSON Lines, in their order.
    sha256: str


def _tails(seed: int) -> list[tuple[str, str, str]]:
    """What follows the id and the amount: as JSON, as CSV, and that CSV row's members as JSON. About 500 bytes."""
    choose = random.Random(seed)
    words = ["".join(choose.choices("abcdefghijklmnopqrstuvwxyz", k=choose.randint(2, 9))) for _ in range(4000)]
    tails = []
    for _ in range(997):
        note = " ".join(choose.choices(words, k=70)) + choose.choice(["", ', "quoted"', "\nsecond line", " äöü €"])
        values = ("".join(choose.choices(words, k=2)), choose.choice(words), choose.choice(["new", "paid", "sent"]), note)
        customer, city, status, note = (json.dumps(value, ensure_ascii=False) for value in values)
        tails.append((
            f'"customer":{customer},"city":{city},"status":{status},"note":{note}}}\n',
            f'{values[0]},{values[1]},{values[2]},"{values[3].replace(chr(34), chr(34) * 2)}"\n',
            f'"customer":{customer},"city":{city},"status":{status},"note":{note}}}\n'))
    return tails


def write(path: Path, kind: str, size: int, seed: int = 1) -> Input:
    """A `jsonl` or `csv` file of about `size` bytes."""
    tails, digest, records, written = _tails(seed), hashlib.sha256(), 0, 0
    with open(path, "wb") as file:
        if kind == "csv":
            written += file.write(b"id,amount,customer,city,status,note\n")
        while written < size:
            numbers = range(records, records + PIECE)
            if kind == "jsonl":
                text = "".join([f'{{"id":{n},"amount":{n % 99991 / 100},{tails[n % 997][0]}' for n in numbers])
                expected = text.encode()
                piece = expected
            else:
                piece = "".join([f"{n},{n % 99991 / 100},{tails[n % 997][1]}" for n in numbers]).encode()
                expected = "".join(
                    [f'{{"id":"{n}","amount":"{n % 99991 / 100}",{tails[n % 997][2]}' for n in numbers]).encode()
            written += file.write(piece)
            digest.update(expected)
            records += PIECE
    return Input(path, records, written, digest.hexdigest())


def digest_of(folder: Path) -> tuple[int, str]:
    """Records and SHA-256 of all JSON Lines files of a folder, by name."""
    digest, records = hashlib.sha256(), 0
    for path in sorted(folder.glob("*.jsonl")):
        with open(path, "rb") as file:
            while piece := file.read(1 << 20):
                records += piece.count(b"\n")
                digest.update(piece)
    return records, digest.hexdigest()
