"""The Azure stand-in as a child of a test: its first line says, in JSON, where it listens; it ends when stdin does."""
import json
import pathlib
import signal
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]

if __name__ == "__main__":
    # who starts us may block signals, and our child would inherit that and never hear SIGTERM
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "Sandbox.azure", "--data", folder + "/data", "--filesystem", "raw"], cwd=ROOT,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        words = process.stdout.readline().split(" ", 3)
        ports = json.loads(words[3])
        print(json.dumps({**ports, "port": ports["azure"], "url": words[2]}), flush=True)
        sys.stdin.read()
        process.terminate()
        process.wait(20)
