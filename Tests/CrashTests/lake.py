"""mongo -> adls: one or more collections of one database, into a file system that is emptied for each scenario."""
from Sandbox.lake import judge
from Sandbox.stack import FILESYSTEM

from .mongo_scenario import MongoScenario, Result, Run, Stack, wait_until


class MongoToLake(MongoScenario):
    destination = "adls"

    def __init__(self, stack: Stack, name: str, seed: int = 1, documents: int = 2000, rate: float = 400,
                 layout: str = "rolling", collections: int = 1):
        name = "".join(c if c.isalnum() else "_" for c in name)
        self.layout, self.database = layout, f"db_{name}"
        self.collections = [name] if collections == 1 else [f"c{number:03}" for number in range(collections)]
        stack.azure("filesystem", method="DELETE", name=FILESYSTEM)
        stack.azure("filesystem", {"name": FILESYSTEM})
        stack.azure("faults", {"faults": []})
        super().__init__(stack, name, [f"{self.database}.{one}" for one in self.collections], seed, documents, rate)

    def settings(self) -> list[str]:
        return ["--name", "lake", "--set", f"destination.layout={self.layout}", "--set", "destination.flush_interval=150ms",
                "--set", "destination.close_after=2s", "--set", "destination.max_file_bytes=300000"]

    def environment(self) -> dict[str, str]:
        environment = self.stack.adls_environment(self.database, self.collections[0])
        if len(self.collections) > 1:
            del environment["MONGO_COLL"]
        return environment

    def files(self) -> list[dict]:
        """What the stand-in says of the files, without the pipeline's own."""
        files = self.stack.azure("files", filesystem=FILESYSTEM)["files"]
        return [file for file in files if not file["directory"] and not file["path"].startswith("_nebula")]

    def bytes(self) -> int:
        """How much is visible."""
        return sum(file["length"] for file in self.files())

    def progress(self) -> int:
        return self.bytes()

    def result(self) -> Result:
        truth = self.stack.truth(self.folder / "truth.sqlite")
        return judge(self.stack.account_url, truth, self.collections, self.folder, self.layout, self.database)


__all__ = ["MongoToLake", "Run", "Stack", "wait_until"]
