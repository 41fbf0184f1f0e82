"""Signs the requests of Tests/ObjectStoresTests/Fixtures/azure_signatures.json by Microsoft's own client: `python
test_azure_signatures.py` writes their `authorization` anew, the test says whether it is still the same.

The requests are what azure-storage-file-datalake and azure-storage-blob sent; the key is the public one of emulators."""
import json
import pathlib

from azure.core.pipeline import PipelineContext, PipelineRequest
from azure.core.rest import HttpRequest
from azure.storage.filedatalake._shared.authentication import SharedKeyCredentialPolicy

FIXTURE = pathlib.Path(__file__).parent.parent / "ObjectStoresTests" / "Fixtures" / "azure_signatures.json"


def sign(vectors, request):
    made = HttpRequest(request["method"], "http://127.0.0.1" + request["target"], headers=request["headers"])
    made.headers.pop("Content-Length", None)
    if "Content-Length" in request["headers"]:
        made.headers["Content-Length"] = request["headers"]["Content-Length"]
    SharedKeyCredentialPolicy(vectors["account"], vectors["key"]).on_request(PipelineRequest(made, PipelineContext(None)))
    return made.headers["Authorization"]


def signed(vectors):
    return {**vectors, "requests": [{**r, "authorization": sign(vectors, r)} for r in vectors["requests"]]}


def test_the_fixture_is_what_microsofts_client_signs():
    vectors = json.loads(FIXTURE.read_text())
    assert len(vectors["requests"]) > 20
    assert signed(vectors) == vectors


if __name__ == "__main__":
    text = json.dumps(signed(json.loads(FIXTURE.read_text())), indent=1, ensure_ascii=False)
    FIXTURE.write_text(text + "\n")
