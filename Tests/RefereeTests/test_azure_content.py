"""What the Azure stand-in keeps, against a dictionary: random appends, flushes, block lists, renames and deletes, with lost answers."""
import os
import random

import pytest
from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError
from azure.storage.blob import BlobBlock
from azure_rig import StandIn, same

NAMES = ["a/1", "a/2", "b/c/3", "d"]


class Model:
    """What the files must hold; `apply` repeats a request whose answer was lost, as a client does."""

    def __init__(self, standin, seed):
        self.random, self.committed, self.pending = random.Random(seed), {}, {}
        standin.control("filesystem", {"name": f"lake{seed}"})
        self.fs = standin.lake().get_file_system_client(f"lake{seed}")
        self.blobs = standin.blobs().get_container_client(f"blobs{seed}")
        standin.control("filesystem", {"name": f"blobs{seed}"})
        self.blocks = {}

    def body(self):
        return self.random.randbytes(self.random.choice([1, 500, 16384, 16385, 60_000, 400_000]))

    def step(self):
        name = self.random.choice(NAMES)
        getattr(self, self.random.choice(["create", "append", "append", "append", "flush", "flush", "append_flush", "rename", "delete", "blob", "blob"]))(name)

    def create(self, name):
        apply(self.fs.get_file_client(name).create_file)
        self.committed[name], self.pending[name] = b"", b""

    def append(self, name):
        if name in self.committed:
            data, at = self.body(), len(self.committed[name]) + len(self.pending[name])
            apply(lambda: self.fs.get_file_client(name).append_data(data, at, len(data)))
            self.pending[name] += data

    def flush(self, name):
        if name in self.committed:
            keeps = self.random.random() < 0.7        # else the clearing flush
            total = self.committed[name] + (self.pending[name] if keeps else b"")
            apply(lambda: self.fs.get_file_client(name).flush_data(len(total)))
            self.committed[name], self.pending[name] = total, b""

    def append_flush(self, name):
        if name in self.committed:
            self.flush(name)
            data, at, file = self.body(), len(self.committed[name]), self.fs.get_file_client(name)
            try:
                file.append_data(data, at, len(data), flush=True)
            except (ServiceRequestError, ServiceResponseError, HttpResponseError):
                if file.get_file_properties().size == at:      # what a careful client does: look, then repeat
                    apply(lambda: file.append_data(data, at, len(data), flush=True))
            self.committed[name] += data

    def rename(self, name):
        target = self.random.choice(NAMES)
        if name in self.committed and target != name and target in self.committed:
            try:
                self.fs.get_file_client(name).rename_file(f"{self.fs.file_system_name}/{target}")
            except (ServiceRequestError, ServiceResponseError):
                assert not self.fs.get_file_client(name).exists()
            self.committed[target], self.pending[target] = self.committed.pop(name), self.pending.pop(name)

    def delete(self, name):
        if name in self.committed:
            try:
                self.fs.get_file_client(name).delete_file()
            except (ServiceRequestError, ServiceResponseError):
                assert not self.fs.get_file_client(name).exists()
            del self.committed[name], self.pending[name]

    def blob(self, name):
        """New blocks, mixed with blocks that the blob has already."""
        blob, old = self.blobs.get_blob_client(name), self.blocks.get(name, {})
        made = {f"{self.random.randrange(10**6):06d}": self.body() for _ in range(self.random.randrange(1, 4))}
        for one, data in made.items():
            apply(lambda one=one, data=data: blob.stage_block(one, data))
        chosen = self.random.sample(sorted(old | made), self.random.randrange(1, len(old | made) + 1))
        apply(lambda: blob.commit_block_list([BlobBlock(one) for one in chosen]))
        self.blocks[name] = {one: (old | made)[one] for one in chosen}

    def check(self):
        for name, content in self.committed.items():
            assert same(self.fs.get_file_client(name).download_file().readall(), content)
        for name, blocks in self.blocks.items():
            assert same(self.blobs.download_blob(name).readall(), b"".join(blocks.values()))


def apply(action):
    try:
        action()
    except (ServiceRequestError, ServiceResponseError):
        action()


@pytest.mark.parametrize("seed", [1, 2])
def test_content_is_what_was_written(tmp_path, seed):
    standin = StandIn(tmp_path, "--set", "segment_bytes=1000000")
    try:
        model, folder = Model(standin, seed), tmp_path / "data" / "segments"
        standin.faults({"chance": 0.03, "times": 0, "action": "apply_close", "seed": seed, "path": "(action=|comp=block|mode=legacy)"})
        for _ in range(250):
            model.step()
        lost = standin.control("faults")["faults"][0]["done"]
        standin.faults()
        model.check()
        assert lost > 3 and standin.control("operations")["codes"].get("InternalError") is None
        kept = sum(map(len, model.committed.values())) + sum(map(len, model.pending.values())) + sum(len(b) for m in model.blocks.values() for b in m.values())
        # A segment goes when nothing of it is referred to, so some of what is gone may linger, but far less than all that was written.
        assert len(os.listdir(folder)) < 2 + standin.control("operations")["received_bytes"] / 1_000_000 / 2 + kept / 500_000
        for filesystem in (f"lake{seed}", f"blobs{seed}"):
            standin.control("filesystem", method="DELETE", name=filesystem)
        assert len(os.listdir(folder)) == 1
    finally:
        standin.stop()
