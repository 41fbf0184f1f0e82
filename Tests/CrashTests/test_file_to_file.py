"""file -> file dies by SIGKILL at every named point and at random; then the output equals the input, in order."""
import threading
from collections import Counter

import pytest

from .files import FileToFile

# The runtime passes before-commit and after-commit, the destination as well: odd and even passes.
POINTS = [
    ("after-upload", 1), ("after-upload", 3), ("before-intent", 1), ("before-intent", 4), ("after-intent", 1), ("after-intent", 3),
    ("before-commit", 1), ("before-commit", 4), ("mid-publish", 1), ("mid-publish", 3), ("after-publish", 1), ("after-publish", 2),
    ("after-commit", 1), ("after-commit", 4), ("before-receipt", 1), ("before-receipt", 3), ("after-receipt", 1), ("after-receipt", 3),
]
FORMS = [("csv", "jsonl"), ("csv", "csv"), ("jsonl", "jsonl"), ("jsonl", "csv"), ("csv.gz", "jsonl.zst"), ("csv.zst", "csv.gz"),
         ("jsonl.gz", "jsonl"), ("jsonl.zst", "csv")]


@pytest.mark.parametrize("point,occurrence", POINTS)
def test_dies_and_recovers(tmp_path, point, occurrence):
    scenario = FileToFile(tmp_path, files=3)
    scenario.dies_at(point, occurrence)
    scenario.must_be_equal()


@pytest.mark.parametrize("source,output", FORMS)
def test_every_form_dies_again_and_again(tmp_path, source, output):
    """Four deaths, each in the run after the one before, in the middle of a file."""
    scenario = FileToFile(tmp_path, source, output, files=2)
    for point, occurrence in [("after-intent", 2), ("mid-publish", 1), ("before-receipt", 2), ("after-upload", 2)]:
        scenario.dies_at(point, occurrence)
    scenario.must_be_equal()


def test_dies_while_it_drops_intents(tmp_path):
    """A process that died right after it had begun to destroy an epoch (its note is durable): the next one finishes that,
    dies before the intents are dropped, and the third reads the records again."""
    scenario = FileToFile(tmp_path)
    scenario.dies_at("after-intent", 1)  # before the committer has heard of it, so that nothing is published
    staged = sorted(path for path in (scenario.out / "_staging" / "copy").iterdir() if path.is_dir())
    (staged[0].parent / f"{staged[0].name}.abandoned").touch()
    scenario.dies_at("dropping-intents")
    scenario.must_be_equal()


def test_a_reader_that_moves_files_away(tmp_path):
    """A published file that somebody took away behind a manifest is committed: it is not written again."""
    scenario = FileToFile(tmp_path)
    scenario.dies_at("before-receipt", 2)
    taken = scenario.visible()
    for path in taken:
        path.rename(tmp_path / path.name)
    run = scenario.start(caught_up=True)
    assert run.wait(60) == 0, run.output[-3000:]
    for path in taken:
        (tmp_path / path.name).rename(path)
    scenario.must_be_equal()


def test_follow_under_random_kills(tmp_path):
    """Files grow in torn writes and new ones come while the program is killed five times."""
    scenario = FileToFile(tmp_path, "jsonl", files=1, records=200, follow=True, seed=5, epoch_records=200)
    stop = threading.Event()

    def write():
        number = 0
        while not stop.wait(0.01):
            scenario.append(number, 20, torn=True)
            if scenario.records % 2000 == 0:
                number += 1
                scenario.add_file(number, 20)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        phases = Counter(scenario.random_kill(mean=0.4) for _ in range(5))
    finally:
        stop.set()
        writer.join()
    print(dict(phases))
    assert None not in phases and scenario.records > 500
    scenario.must_be_equal()


@pytest.mark.parametrize("source", ["csv", "jsonl.gz"])
def test_random_kills(tmp_path, source):
    scenario = FileToFile(tmp_path, source, records=60_000, files=4, seed=7, epoch_records=300)
    phases = Counter(scenario.random_kill(mean=0.15) for _ in range(5))
    print(dict(phases))
    assert None not in phases, "all was moved before the last kill"
    scenario.must_be_equal()


def test_a_million_rows(tmp_path):
    """At default settings, in one run: the header is no record, order is kept, and every row is equal."""
    scenario = FileToFile(tmp_path, records=1_000_000, epoch_records=1_000_000, batch_bytes="1MiB")
    scenario.must_be_equal()
