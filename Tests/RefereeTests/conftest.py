import pytest
from pipelines import Files, ToSnowflake

from Sandbox.stack import Stack


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    with Stack(str(tmp_path_factory.mktemp("stack")), snowflake=["--tls"]) as running:
        yield running


@pytest.fixture
def files(tmp_path):
    """Runs file -> file in the test's folder, and reads back."""
    return Files(tmp_path)


@pytest.fixture
def target(stack, tmp_path, request):
    def make(**environment: str) -> ToSnowflake:
        name = "".join(c if c.isalnum() else "_" for c in request.node.name.removeprefix("test_")).strip("_")
        return ToSnowflake(stack, tmp_path, name[:60], **environment)
    return make
