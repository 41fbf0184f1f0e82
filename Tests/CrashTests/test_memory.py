"""`make memory`, small: limits are set below what a run would take that holds all it has read."""
import subprocess
import sys

from Sandbox.stack import ROOT


def measure(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "Sandbox.memory", *arguments], cwd=ROOT, capture_output=True, text=True,
                          timeout=600)


def test_files_with_a_stalled_folder():
    """The stall is real: the run says so, and reads no further meanwhile than the budget allows."""
    done = measure("--megabytes", "400", "--stall", "4", "--limit", "200", "jsonl-file", "csv-file")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" ok\n") == done.stdout.count("stalled 4 s") == 2, done.stdout


def test_into_snowflake():
    done = measure("--megabytes", "150", "--stall", "0", "--limit", "150", "file-snowflake", "mongo-snowflake")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" ok\n") == 2, done.stdout


def test_a_limit_that_is_passed_is_an_error():
    done = measure("--megabytes", "5", "--stall", "0", "--limit", "10", "jsonl-file")
    assert done.returncode == 1 and "OVER 10 MiB" in done.stdout, done.stdout + done.stderr
