"""What `make warehouse` loads: CSV rows of five columns and 80 bytes, JSON documents of 500; distinct, seeded, written in pieces.

    python -m Sandbox.warehouse_inputs csv|json RECORDS PATH
    python -m Sandbox.warehouse_inputs split PATH FILES FOLDER

`split` cuts a file into so many of about the same number of whole records, without the header, for clients that take files
as they are.
"""
import json
import random
import sys
from pathlib import Path

PIECE = 20_000
# Column, its type in Snowflake, and in DuckDB, by which content is compared.
COLUMNS = {
    "csv": {"id": ("NUMBER(38,0)", "BIGINT"), "amount": ("NUMBER(12,2)", "DECIMAL(12,2)"),
            "created": ("TIMESTAMP_NTZ(9)", "TIMESTAMP"), "customer": ("VARCHAR(16777216)", "VARCHAR"),
            "status": ("VARCHAR(16777216)", "VARCHAR")},
    "json": {"id": ("NUMBER(38,0)", "BIGINT"), "amount": ("NUMBER(12,2)", "DECIMAL(12,2)"),
             "created": ("TIMESTAMP_NTZ(9)", "TIMESTAMP"), "status": ("VARCHAR(16777216)", "VARCHAR"),
             "customer": ("VARIANT", "VARCHAR"), "items": ("VARIANT", "VARCHAR"), "note": ("VARCHAR(16777216)", "VARCHAR")},
}


def moment(number: int) -> str:
    second = number // 7
    return (f"2026-{second // 2_419_200 % 12 + 1:02}-{second // 86_400 % 28 + 1:02} {second // 3600 % 24:02}:"
            f"{second // 60 % 60:02}:{second % 60:02}.{number * 37 % 1000:03}")


def _words(choose: random.Random, count: int) -> list[str]:
    return ["".join(choose.choices("abcdefghijklmnopqrstuvwxyz", k=choose.randint(3, 9))) for _ in range(count)]


def _customers(choose: random.Random) -> list[str]:
    """Customer and status: some with a comma or a quote, some NULL, some empty."""
    words, tails = _words(choose, 3000), []
    for _ in range(9973):
        kind = choose.random()
        name = " ".join(choose.choices(words, k=6))[:33]
        if kind < 0.05:
            name = f'"{name[:12]}, {name[13:]}"'
        elif kind < 0.06:
            name = f'"{name[:10]} ""{name[11:17]}"""'
        elif kind < 0.08:
            name = ""
        elif kind < 0.09:
            name = '""'
        tails.append(f"{name.rstrip()},{choose.choice(['new', 'paid', 'sent', 'returned'])}\n")
    return tails


def csv(records: int):
    tails = _customers(random.Random(1))
    yield "id,amount,created,customer,status\n"
    for start in range(0, records, PIECE):
        yield "".join([f"{10_000_000 + n},{n * 7919 % 9_999_991 / 100:.2f},{moment(n)},{tails[n * 31 % 9973]}"
                       for n in range(start, min(records, start + PIECE))])


def documents(records: int):
    choose = random.Random(2)
    words, tails = _words(choose, 3000), []
    for _ in range(9973):
        customer = {"name": " ".join(choose.choices(words, k=2)), "city": choose.choice(words), "vip": choose.random() < 0.1,
                    "email": f"{choose.choice(words)}@{choose.choice(words)}.example"}
        items = [{"sku": f"{choose.choice(words).upper()}-{choose.randint(1, 9999)}", "quantity": choose.randint(1, 9),
                  "price": choose.randint(1, 99999) / 100} for _ in range(3)]
        note = " ".join(choose.choices(words, k=20)) + choose.choice(["", ' "quoted"', "\nsecond line", " äöü €"])
        parts = [f'"{name}":{json.dumps(value, ensure_ascii=False, separators=(",", ":"))}'
                 for name, value in (("status", choose.choice(["new", "paid", "sent"])), ("customer", customer), ("items", items),
                                     ("note", note[:180]))]
        tails.append(",".join(parts) + "}\n")
    for start in range(0, records, PIECE):
        yield "".join([f'{{"id":{10_000_000 + n},"amount":{n * 7919 % 9_999_991 / 100:.2f},"created":"{moment(n)}",{tails[n * 31 % 9973]}'
                       for n in range(start, min(records, start + PIECE))])


def write(kind: str, records: int, path: Path) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        for piece in (csv if kind == "csv" else documents)(records):
            file.write(piece)


def split(path: Path, files: int, folder: Path) -> None:
    """No record of these inputs has a line end inside."""
    folder.mkdir(parents=True, exist_ok=True)
    size, suffix = path.stat().st_size, path.suffix
    with open(path, "rb") as given:
        if suffix == ".csv":
            given.readline()
        for number in range(files):
            with open(folder / f"part-{number:04}{suffix}", "wb") as part:
                end = size * (number + 1) // files
                while (left := end - given.tell()) > 0:
                    part.write(given.read(min(left, 1 << 20)))
                part.write(given.readline())


def main() -> None:
    if sys.argv[1] == "split":
        split(Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
    else:
        write(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))


if __name__ == "__main__":
    main()
