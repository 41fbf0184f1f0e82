"""The Azure stand-in driven by azure-storage-blob."""
import hashlib
import os
import uuid

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceModifiedError
from azure.storage.blob import BlobBlock, BlobLeaseClient, ContentSettings
from azure_rig import code_of, container, defaults, fs, lake, refused, same, standin  # noqa: F401 (fixtures)


# --- blobs

class TestBlobs:
    def test_put_and_get(self, container):
        blob = container.upload_blob("y=1/k ü.jsonl", b"data", metadata={"pipeline": "orders"}, content_settings=ContentSettings(
            content_type="application/x-ndjson", content_language="de"))
        found = blob.get_blob_properties()
        assert (found.size, found.metadata, found.content_settings.content_type, found.content_settings.content_language) == (
            4, {"pipeline": "orders"}, "application/x-ndjson", "de")
        with pytest.raises(ResourceExistsError) as error:
            container.upload_blob("y=1/k ü.jsonl", b"other")
        assert code_of(error) == "BlobAlreadyExists"
        assert blob.download_blob().readall() == b"data" and blob.download_blob(1, 2).readall() == b"at"
        blob.upload_blob(b"", overwrite=True)
        assert blob.download_blob().readall() == b""
        blob.delete_blob()
        refused("BlobNotFound", blob.delete_blob, status=404)

    def test_md5(self, container):
        content = os.urandom(200_000)
        blob = container.upload_blob("m", content, validate_content=True)
        assert blob.get_blob_properties().content_settings.content_md5 == bytearray(hashlib.md5(content).digest())
        assert blob.download_blob(validate_content=True).readall() == content

    def test_blocks(self, container):
        blob = container.get_blob_client("b")
        ids = [f"{n:04d}" for n in range(4)]
        for n, name in enumerate(ids[:3]):
            blob.stage_block(name, bytes([n]) * 50_000)
        assert not blob.exists()
        assert [b.name for b in container.list_blobs(include=["uncommittedblobs"])] == ["b"]
        committed, waiting = blob.get_block_list("all")
        assert [b.id for b in waiting] == ids[:3] and committed == []
        refused("InvalidBlockList", blob.commit_block_list, [BlobBlock(ids[3])], status=400)
        blob.commit_block_list([BlobBlock(ids[1]), BlobBlock(ids[0]), BlobBlock(ids[1])])
        assert blob.download_blob().readall() == b"\1" * 50_000 + b"\0" * 50_000 + b"\1" * 50_000
        refused("InvalidBlockList", blob.commit_block_list, [BlobBlock(ids[2])], status=400)       # not committed, so gone
        blob.stage_block(ids[3], b"tail")
        blob.commit_block_list([BlobBlock(ids[0]), BlobBlock(ids[3])])
        assert blob.download_blob().readall() == b"\0" * 50_000 + b"tail"
        with pytest.raises(ResourceExistsError):
            blob.commit_block_list([], match_condition=MatchConditions.IfMissing)
        refused("InvalidBlobOrBlock", lambda: [blob.stage_block("aaaa", b"x"), blob.stage_block("a", b"x")], status=400)

    def test_large_upload(self, standin, fs):
        content = os.urandom(5 << 20)
        client = standin.blobs(max_single_put_size=1 << 20, max_block_size=1 << 20).get_container_client(fs.file_system_name)
        blob = client.upload_blob("big", content, max_concurrency=3)
        assert same(blob.download_blob(max_concurrency=3).readall(), content)

    def test_append_blob(self, container, standin):
        blob = container.get_blob_client("a")
        blob.create_append_blob()
        assert blob.append_block(b"one", appendpos_condition=0)["blob_append_offset"] == "0"
        refused("AppendPositionConditionNotMet", blob.append_block, b"one", appendpos_condition=0, status=412)
        refused("MaxBlobSizeConditionNotMet", blob.append_block, b"two", maxsize_condition=5, status=412)
        assert blob.append_block(b"two", appendpos_condition=3)["blob_committed_block_count"] == 2
        assert blob.download_blob().readall() == b"onetwo"
        standin.control("settings", {"max_appends": 2})
        refused("BlockCountExceedsLimit", blob.append_block, b"x", status=409)
        refused("InvalidBlobType", container.upload_blob("block", b"").append_block, b"x", status=409)

    def test_leases(self, container):
        blob = container.upload_blob("l", b"x")
        lease = BlobLeaseClient(blob)
        lease.acquire(-1)
        refused("LeaseIdMissing", blob.delete_blob, status=412)
        refused("LeaseIdMissing", blob.upload_blob, b"new", overwrite=True, status=412)
        refused("LeaseIdMissing", blob.set_blob_metadata, {"a": "1"}, status=412)
        blob.set_blob_metadata({"a": "1"}, lease=lease)
        refused("LeaseIdMismatchWithBlobOperation", blob.get_blob_properties, lease=str(uuid.uuid4()), status=412)
        blob.upload_blob(b"new", overwrite=True, lease=lease)
        assert blob.get_blob_properties().lease.duration == "infinite"
        lease.break_lease()
        blob.delete_blob()

    def test_conditions(self, container):
        blob = container.upload_blob("c", b"x")
        etag = blob.get_blob_properties().etag
        blob.upload_blob(b"y", overwrite=True, etag=etag, match_condition=MatchConditions.IfNotModified)
        with pytest.raises(ResourceModifiedError) as found:
            blob.upload_blob(b"z", overwrite=True, etag=etag, match_condition=MatchConditions.IfNotModified)
        assert code_of(found) == "ConditionNotMet"
        with pytest.raises(HttpResponseError) as found:
            blob.download_blob(etag=blob.get_blob_properties().etag, match_condition=MatchConditions.IfModified)
        assert found.value.status_code == 304

    def test_listing(self, container, standin):
        for name in ("a/1", "a/2", "b/c/3", "d&<e>", "f"):
            container.upload_blob(name, b"x", metadata={"n": "1"})
        flat = ["a", "a/1", "a/2", "b", "b/c", "b/c/3", "d&<e>", "f"]
        assert [b.name for b in container.list_blobs()] == flat
        assert [[b.name for b in page] for page in container.list_blobs(results_per_page=3).by_page()] == [flat[:3], flat[3:6], flat[6:]]
        assert [b.name for b in container.list_blobs(name_starts_with="a/")] == ["a/1", "a/2"]
        assert [b.metadata for b in container.list_blobs(name_starts_with="a/1", include=["metadata"])] == [{"n": "1"}]
        for size in (1, 2, 5000):
            assert [b.name for b in container.walk_blobs(results_per_page=size)] == ["a/", "b/", "d&<e>", "f"]
        listed = next(iter(container.list_blobs(name_starts_with="f")))
        assert (listed.size, listed.etag) == (1, container.get_blob_client("f").get_blob_properties().etag.strip('"'))
