"""A pipeline from files to files that can be killed, and judged by content: what Python's csv and json read, in order."""
import csv
import gzip
import io
import json
import random
import signal
import threading
from pathlib import Path

import zstandard

from Sandbox.program import Run, settings, wait_until

COLUMNS = ["id", "name", "text", "amount"]
TEXTS = ["plain", "", 'with "quotes"', "comma, and;semicolon", "two\nlines", "windows\r\nlines", "ünïcödé 🙂", "'", " padded ", "null", "NaN"]


def record(number: int, chance: random.Random) -> dict[str, str]:
    return {"id": str(number), "name": f"name {chance.randrange(10**6)}", "text": chance.choice(TEXTS),
            "amount": f"{chance.randrange(10**9) / 100:.2f}"}


def opened(path: Path, line_end: str):
    """The decompressed content as text."""
    raw = path.open("rb")
    if path.suffix == ".gz":
        raw = gzip.open(raw)
    elif path.suffix == ".zst":
        raw = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
    return io.TextIOWrapper(raw, encoding="utf-8", newline=line_end)


def rows(path: Path):
    is_csv = ".csv" in path.name
    with opened(path, "" if is_csv else "\n") as text:
        if is_csv:
            reader = csv.reader(text)
            header = next(reader)
            assert header == COLUMNS
            yield from (dict(zip(header, row, strict=True)) for row in reader)
        else:
            yield from (json.loads(line) for line in text)


class FileToFile:
    """`source` is the extension of the input files (csv, jsonl, csv.gz, jsonl.zst …), `output` the format and compression
    (jsonl, csv, jsonl.gz …)."""

    def __init__(self, folder: Path, source: str = "csv", output: str = "jsonl", records: int = 6000, files: int = 1, seed: int = 1,
                 epoch_records: int = 500, batch_bytes: str = "16KiB", follow: bool = False):
        self.folder, self.extension, self.output = folder, source, output
        self.input, self.out, self.state = folder / "in", folder / "out", folder / "state"
        self.log, self.trace = folder / "nebula.log", folder / "trace"
        self.chance, self.records, self.follow = random.Random(seed), 0, follow
        self.epoch_records, self.batch_bytes = epoch_records, batch_bytes
        self.input.mkdir(parents=True)
        for number in range(files):
            self.add_file(number, records // files)

    # Input

    def path(self, number: int) -> Path:
        return self.input / f"part-{number:03}.{self.extension}"

    def encoded(self, count: int, header: bool) -> bytes:
        text = io.StringIO(newline="")
        made = [record(self.records + n, self.chance) for n in range(count)]
        self.records += count
        if self.extension.startswith("csv"):
            writer = csv.DictWriter(text, COLUMNS)
            if header:
                writer.writeheader()
            writer.writerows(made)
        else:
            text.writelines(json.dumps(one, ensure_ascii=False) + "\n" for one in made)
        return text.getvalue().encode()

    def add_file(self, number: int, count: int) -> None:
        content = self.encoded(count, header=True)
        if self.extension.endswith(".gz"):
            content = gzip.compress(content, 1)
        elif self.extension.endswith(".zst"):
            content = zstandard.compress(content)
        hidden = self.path(number).with_name(f".{self.path(number).name}")
        hidden.write_bytes(content)
        hidden.rename(self.path(number))

    def append(self, number: int, count: int, torn: bool = False) -> None:
        """Grows a plain file; `torn`: in two writes that part a line."""
        content = self.encoded(count, header=False)
        middle = len(content) // 2 if torn else len(content)
        for piece in (content[:middle], content[middle:]):
            with self.path(number).open("ab") as file:
                file.write(piece)

    # Runs

    def start(self, *extra: str, at: str | None = None, stop_at: str | None = None, caught_up: bool = False) -> Run:
        """`at` is `point:n`: die there by SIGKILL; `stop_at`: SIGSTOP there."""
        form, _, compression = self.output.partition(".")
        environment = {"NEBULA_CRASH_TRACE": str(self.trace)} | ({"NEBULA_CRASH_AT": at} if at else {})
        environment |= {"NEBULA_STOP_AT": stop_at} if stop_at else {}
        self.trace.unlink(missing_ok=True)
        return Run(["run", "--source", "file", "--dest", "file", "--name", "copy", "--state", str(self.state), *settings(
            source__path=self.input, source__follow=str(self.follow).lower(), source__poll_interval="20ms",
            source__batch_bytes=self.batch_bytes, destination__path=self.out, destination__format=form,
            destination__compression={"": "none", "gz": "gzip", "zst": "zstd"}[compression],
            pipeline__epoch_records=self.epoch_records, pipeline__epoch_age="200ms", pipeline__idle_checkpoint_interval="100ms",
            pipeline__lease_duration="2s"),
            *extra, *(["--until-caught-up"] if caught_up else [])], environment, self.log)

    @property
    def last_point(self) -> str:
        return self.trace.read_text().strip() if self.trace.exists() else ""

    def dies_at(self, point: str, occurrence: int = 1, seconds: float = 60) -> None:
        run = self.start(at=f"{point}:{occurrence}")
        code = run.wait(seconds)
        assert code == -signal.SIGKILL, f"ended with {code}, not by SIGKILL:\n{run.output[-3000:]}"
        assert self.last_point == point, f"died at '{self.last_point}', not at '{point}'"

    def random_kill(self, mean: float) -> str | None:
        """Kills at a random moment after the first named point; gives the phase, None when all was moved before."""
        run = self.start()
        wait_until(lambda: self.last_point or not run.is_running, 60, "the first named point")
        # The moment of a kill has to be a time; nothing is awaited by it.
        threading.Event().wait(self.chance.expovariate(1 / mean))
        if not run.is_running:
            assert run.wait(1) == 0, f"it gave up:\n{run.output[-3000:]}"
            return None
        run.kill()
        return self.last_point

    # The end

    def progress(self) -> int:
        return len(self.visible())

    def visible(self) -> list[Path]:
        return sorted(path for path in self.out.glob("*") if path.is_file())

    def must_be_equal(self, seconds: float = 120) -> None:
        run = self.start(caught_up=True)
        code = run.wait(seconds)
        assert code == 0, f"ended with {code}:\n{run.output[-4000:]}"
        owed = (row for path in sorted(self.input.glob("part-*")) for row in rows(path))
        found = (row for path in self.visible() for row in rows(path))
        if self.follow:
            # A file that grows while another one appears is read in turns with it: the order is kept within each file.
            file = {row["id"]: path for path in self.input.glob("part-*") for row in rows(path)}
            found = sorted(found, key=lambda row: file[row["id"]])
        count = 0
        for expected, row in zip(owed, found, strict=True):
            assert row == expected, f"record {count}: {row} instead of {expected}"
            count += 1
        assert count == self.records
        listed = [one for path in self.out.glob("_manifest/*/*.json") for one in json.loads(path.read_text())["files"]]
        assert sorted(one["name"] for one in listed) == [path.name for path in self.visible()]
        assert sum(one["records"] for one in listed) == self.records
        assert not [path for path in self.out.glob("_staging/**/*") if path.is_file()], "nothing staged is left behind"
