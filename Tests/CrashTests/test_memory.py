"""`make memory`, small: every path within its limit, with the right rows, in half a minute."""
import subprocess
import sys

from Sandbox.stack import ROOT


def test_every_path_stays_below_256_mib():
    done = subprocess.run([sys.executable, "-m", "Sandbox.memory", "--megabytes", "100", "--stall", "0"], cwd=ROOT,
                          capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" ok\n") == 4, done.stdout


def test_a_stalled_folder_slows_the_source():
    """The stall is real: the run takes as long, and reads no further than the budget allows."""
    done = subprocess.run([sys.executable, "-m", "Sandbox.memory", "--megabytes", "400", "--stall", "5", "jsonl-file"],
                          cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "stalled 5 s" in done.stdout, done.stdout


def test_a_limit_that_is_passed_is_an_error():
    done = subprocess.run(
        [sys.executable, "-m", "Sandbox.memory", "--megabytes", "5", "--stall", "0", "--limit", "10", "jsonl-file"],
        cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 1 and "OVER 10 MiB" in done.stdout, done.stdout + done.stderr
