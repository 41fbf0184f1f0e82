"""`make run`: 200,000 documents and a stream of changes through the real program, which is killed twice on the way.

Ends by comparing content outside the program. `SABOTAGE=1` removes one row and doubles one before comparing, to show
that the comparison sees it.
"""
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from .compare import compare
from .program import Run, wait_until
from .stack import DATABASE, SCHEMA, Stack

DOCUMENTS = int(os.environ.get("DOCUMENTS", "200000"))
CHANGES_PER_SECOND = 3000
TABLE = "ORDERS"


def say(text: str) -> None:
    print(f"run: {text}", flush=True)


def epochs(stack: Stack) -> int:
    """Receipts in the ledger, 0 before it exists."""
    try:
        return stack.sql(f'SELECT COUNT(*) FROM "{DATABASE}"."{SCHEMA}".NEBULA_LEDGER')[0][0][0]
    except Exception:
        return 0


def copied(stack: Stack) -> int:
    try:
        return stack.sql(f"SELECT COUNT(*) FROM {TABLE} WHERE OPERATION = 'snapshot'")[0][0][0]
    except Exception:
        return 0


def sabotage(stack: Stack) -> None:
    """Removes one row and doubles another, both events that a later event of their key follows."""
    events = [row[0] for row in stack.sql(
        f"SELECT EVENT_ID FROM (SELECT EVENT_ID, OPERATION, ROW_NUMBER() OVER (PARTITION BY TO_JSON(DOCUMENT_KEY) "
        f"ORDER BY SEQUENCE DESC) AS NEWEST FROM {TABLE}) WHERE NEWEST > 1 AND OPERATION = 'update' "
        f"ORDER BY EVENT_ID LIMIT 2")[0]]
    stack.sql(f"DELETE FROM {TABLE} WHERE EVENT_ID = '{events[0]}'",
              f"INSERT INTO {TABLE} SELECT * FROM {TABLE} WHERE EVENT_ID = '{events[1]}'")
    say("SABOTAGE=1: removed one row, doubled one")


def main() -> int:
    with Stack() as stack, tempfile.TemporaryDirectory(prefix="nebula-run-") as folder:
        stack.mongo({"sandboxLoad": "shop.orders", "count": DOCUMENTS, "seed": 1, "mixedIds": True})
        say(f"stand-ins started, {DOCUMENTS} documents loaded into shop.orders, now changing them")
        stack.mongo({"sandboxWorkload": "shop.orders", "seed": 2, "rate": CHANGES_PER_SECOND, "mixedIds": True})
        environment = stack.environment(table=TABLE)
        command = ["run", "--source", "mongo", "--dest", "snowflake_optimized", "--state", f"{folder}/state",
                   "--set", "destination.micro_batch_size=20000", "--set", "destination.micro_batch_timeout_ms=500",
                   "--set", "pipeline.epoch_records=25000"]
        say("nebula-swift run --source mongo --dest snowflake_optimized")
        log = Path(folder) / "nebula.log"

        first = Run(command, environment, log)
        wait_until(lambda: 0 < copied(stack), 120, "the first commit", first)
        first.signal(signal.SIGKILL)
        first.wait(10)
        say(f"killed (SIGKILL) in the copy: {copied(stack)} of {DOCUMENTS} documents are in the table")

        second = Run(command, environment, log)
        wait_until(lambda: copied(stack) >= DOCUMENTS * 0.95, 300, "the end of the copy", second)
        before = epochs(stack)
        wait_until(lambda: epochs(stack) > before + 1, 120, "commits of the stream", second)
        second.signal(signal.SIGKILL)
        second.wait(10)
        say(f"killed (SIGKILL) in the stream, after {epochs(stack)} commits")

        third = Run([*command, "--until-caught-up"], environment, log)
        time.sleep(2)  # the changes go on while it catches up
        stack.mongo({"sandboxWorkload": "stop"})
        code = third.wait(300)
        if code != 0:
            print(third.output[-4000:])
            say(f"the program ended with {code}")
            return 1
        # Its end was fixed when it started; what was changed after that comes with one more run.
        last = Run([*command, "--until-caught-up"], environment, log)
        if last.wait(300) != 0:
            print(last.output[-4000:])
            return 1
        print("\n".join(line for line in last.output.splitlines()[-8:]))

        if os.environ.get("SABOTAGE"):
            sabotage(stack)
        say("comparing the table with the stand-in's own log")
        truth = stack.truth(Path(folder) / "truth.sqlite")
        table = stack.export(TABLE, Path(folder) / "table.parquet")
        result = compare(truth, table, "shop", "orders")
        for example in result.examples:
            say(example)
        print(result, flush=True)
        return 0 if result.is_equal else 1


if __name__ == "__main__":
    sys.exit(main())
