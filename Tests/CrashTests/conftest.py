import pytest

from Sandbox.stack import Stack


@pytest.fixture(scope="module")
def stack():
    with Stack(snowflake=["--set", "blocking_idle_seconds=2"]) as running:
        yield running
