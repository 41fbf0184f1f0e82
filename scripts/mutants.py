"""`make mutants`: breaks one rule at a time in a copy of the real sources, and prints which test caught it.

Ends with 1 when a mutant survives: then a rule stands in the design that no test needs. The tests that judge a mutant
have to pass without it, in the same copy; and a test has to fail by name, or be the one that was running when the test
process died or did not end.
"""
import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from mutant_list import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parent.parent
BUILD_SECONDS, TEST_SECONDS = 1800, 240


def copy_sources(folder: Path) -> None:
    """Brings the copy up to date; what did not change keeps its time, so that little is built again."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    files = {name for name in map(os.fsdecode, filter(None, listed)) if (ROOT / name).is_file()}
    for name in files:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists() or target.read_bytes() != source.read_bytes():
            shutil.copy(source, target)
    for room in ("Sources", "Tests"):
        for path in (folder / room).rglob("*"):
            if path.is_file() and str(path.relative_to(folder)) not in files and "__pycache__" not in path.parts:
                path.unlink()
    if not (folder / ".venv").exists():
        (folder / ".venv").symlink_to(ROOT / ".venv")


@dataclass
class Ended:
    code: int | None  # None: it did not end in time
    output: str


def run(folder: Path, seconds: float, *command: str) -> Ended:
    """Runs a command; when its time is over, it is killed with all its children."""
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        start_new_session=True)
    try:
        output, _ = process.communicate(timeout=seconds)
        return Ended(process.returncode, output)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return Ended(None, process.communicate()[0])


def build(folder: Path) -> str | None:
    """Nil when it was built, else the first error."""
    ended = run(folder, BUILD_SECONDS, "swift", "build", "--build-tests")
    if ended.code == 0:
        return None
    errors = [line for line in ended.output.splitlines() if "error:" in line]
    return errors[0] if errors else f"the build ended with {ended.code}"


def test(folder: Path, tests: str) -> Ended:
    return run(folder, TEST_SECONDS, "swift", "test", "--skip-build", "--filter", tests)


NAME = r'("(?:[^"\\]|\\.)*"|\w+\([^)]*\))'


def failed_tests(output: str) -> list[str]:
    found = re.findall(rf"^. Test {NAME} (?:recorded an issue|(?:with \d+ test cases )?failed)", output, re.MULTILINE)
    return list(dict.fromkeys(name.split("(")[0] if name[0] != '"' else name for name in found))


def running_tests(output: str) -> list[str]:
    """Those that had begun and not ended."""
    begun = re.findall(rf"^. Test {NAME} started", output, re.MULTILINE)
    ended = re.findall(rf"^. Test {NAME} (?:with \d+ test cases )?(?:passed|failed|skipped)", output, re.MULTILINE)
    return [name for name in dict.fromkeys(begun) if name not in ended]


def baseline(folder: Path, tests: str) -> str | None:
    """What keeps the tests of a filter from saying anything about a mutant: without one they have to pass, and to run."""
    ended = test(folder, tests)
    if ended.code != 0:
        return f"fails without any mutant ({', '.join(failed_tests(ended.output)) or ended.output[-500:]})"
    passed = re.findall(rf"^. Test {NAME} (?:with \d+ test cases )?passed", ended.output, re.MULTILINE)
    skipped = re.findall(rf"^. (?:Test|Suite) (\S+) skipped", ended.output, re.MULTILINE)
    if skipped:
        return f"skips tests: {', '.join(skipped)}"
    return None if passed else "runs no test"


def verdict(folder: Path, mutant: Mutant) -> str:
    problem = build(folder)
    if problem:
        return f"DOES NOT COMPILE {problem}"
    ended = test(folder, mutant.tests)
    if ended.code == 0:
        return "SURVIVED"
    names, running = failed_tests(ended.output), running_tests(ended.output)
    if names:
        return "caught by " + ", ".join(names)
    how = "no end" if ended.code is None else f"the test run's death ({ended.code})"
    return f"caught by {how} in {', '.join(running)}" if running else f"UNCLEAR: {how}, and no test was running"


def judge(folder: Path, mutant: Mutant, unusable: str | None) -> str:
    if unusable:
        return f"NO BASELINE: {mutant.tests} {unusable}"
    path = folder / mutant.file
    original = path.read_text()
    if original.count(mutant.old) != 1:
        return f"STALE: its place in {mutant.file} was not found once"
    path.write_text(original.replace(mutant.old, mutant.new))
    try:
        return verdict(folder, mutant)
    finally:
        path.write_text(original)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="only mutants whose rule has one of these words")
    parser.add_argument("--part", default="1/1", help="2/3: the second third of the list, in a copy of its own")
    given = parser.parse_args()
    part, parts = map(int, given.part.split("/"))
    chosen = [m for m in MUTANTS if not given.words or any(word in m.rule for word in given.words)]
    chosen = chosen[len(chosen) * (part - 1) // parts:len(chosen) * part // parts]
    folder, begin = ROOT / ".build" / f"mutants-{part}", time.monotonic()
    copy_sources(folder)
    problem = build(folder)
    if problem:
        print(f"The sources do not compile without any mutant: {problem}")
        return 1
    unusable: dict[str, str | None] = {}
    caught = 0
    for mutant in chosen:
        if mutant.tests not in unusable:
            build(folder)  # without the mutant before
            unusable[mutant.tests] = baseline(folder, mutant.tests)
            print(f"without a mutant, {mutant.tests}: {unusable[mutant.tests] or 'passes'}", flush=True)
        answer = judge(folder, mutant, unusable[mutant.tests])
        caught += answer.startswith("caught")
        print(f"{mutant.rule}: {answer}", flush=True)
    print(f"{len(chosen)} mutants, {caught} caught, in {(time.monotonic() - begin) / 60:.0f} minutes")
    return 0 if caught == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
