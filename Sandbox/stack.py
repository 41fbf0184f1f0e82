"""The stand-ins as child processes, with the environment that points nebula-swift at them."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

from .azure.world import ACCOUNT as AZURE_ACCOUNT
from .azure.world import KEY as AZURE_KEY
from .mongo.client import Client

ROOT = Path(__file__).resolve().parent.parent
USER, PASSWORD, DATABASE, SCHEMA = "LOADER", "sandbox-password", "RAW", "SHOP"
FILESYSTEM = "raw"
# Whose buckets the Snowflake stand-in's stores hold, beside its own stages.
S3_KEY, S3_SECRET, GCS_TOKEN = "AKIDOFTHESANDBOX", "secret/of+the=sandbox", "ya29.of-the-sandbox"
CLOUDS = {"S3": "s3://lake/", "AZURE": f"azure://{AZURE_ACCOUNT}.blob.core.windows.net/lake/", "GCS": "gcs://lake/"}


class Stack:
    """Starts the stand-ins in `folder`; `with Stack() as stack:` ends them and removes a folder of its own.

    Each takes its own arguments; None leaves it out, as Azure is unless asked for."""

    def __init__(self, folder: str | None = None, mongo: list[str] | None = (), snowflake: list[str] | None = (),
                 azure: list[str] | None = None):
        self.owns_folder = folder is None
        self.folder = Path(folder or tempfile.mkdtemp(prefix="nebula-sandbox-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.children: list[subprocess.Popen] = []
        try:
            if mongo is not None:
                self.mongo_port = int(self._start("mongo", list(mongo)))
            if snowflake is not None:
                self.snowflake_ports = json.loads(self._start("snowflake", [
                    "--data", str(self.folder / "snowflake"), "--user", USER, "--password", PASSWORD,
                    "--database", f"{DATABASE}.{SCHEMA}", "--s3-key", f"{S3_KEY}:{S3_SECRET}",
                    "--azure-account", f"{AZURE_ACCOUNT}:{AZURE_KEY}", "--gcs-token", GCS_TOKEN, *snowflake], "ports.json"))
                self.snowflake_port = self.snowflake_ports["api"]
            if azure is not None:
                self.azure_port = int(self._start("azure", [
                    "--data", str(self.folder / "azure"), "--filesystem", FILESYSTEM, *azure]))
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> "Stack":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self, name: str, arguments: list[str], suffix: str = "port") -> str:
        """What the child writes once it listens: its port, or all of them."""
        port_file = self.folder / f"{name}.{suffix}"
        port_file.unlink(missing_ok=True)
        with open(self.folder / f"{name}.log", "ab") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", f"Sandbox.{name}", "--port", "0", "--port-file", str(port_file), *arguments],
                cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.children.append(child)
        until = time.monotonic() + 60
        while not port_file.exists():
            if child.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the {name} stand-in did not start: {(self.folder / (name + '.log')).read_text()[-2000:]}")
            time.sleep(0.02)
        return port_file.read_text()

    def stop(self) -> None:
        for child in self.children:
            child.send_signal(signal.SIGTERM)
        for child in self.children:
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self.children = []
        if self.owns_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def mongo_uri(self) -> str:
        return f"mongodb://127.0.0.1:{self.mongo_port}/?replicaSet=rs0"

    @property
    def snowflake_url(self) -> str:
        return f"http://127.0.0.1:{self.snowflake_port}"

    def environment(self, database: str = "shop", collection: str = "orders", table: str = "ORDERS") -> dict[str, str]:
        """What `nebula-swift run --source mongo --dest snowflake_optimized` needs, and nothing else."""
        return {
            "MONGO_URI": self.mongo_uri, "MONGO_DB": database, "MONGO_COLL": collection,
            "SNOWFLAKE_HOST": self.snowflake_url, "SNOWFLAKE_ACCOUNT": "sandbox", "SNOWFLAKE_USER": USER,
            "SNOWFLAKE_PASSWORD": PASSWORD, "SNOWFLAKE_DATABASE": DATABASE, "SNOWFLAKE_SCHEMA": SCHEMA,
            "SNOWFLAKE_WAREHOUSE": "LOAD_WH", "SNOWFLAKE_TABLE": table,
        }

    def bucket(self, cloud: str, folder: str) -> dict[str, str]:
        """The destination's properties for an external stage in that cloud; there is an integration for it afterwards."""
        extra = {"S3": "STORAGE_AWS_ROLE_ARN = 'arn:aws:iam::1:role/r'", "AZURE": "AZURE_TENANT_ID = 't'", "GCS": ""}[cloud]
        self.sql(f"CREATE STORAGE INTEGRATION IF NOT EXISTS LAKE_{cloud} TYPE = EXTERNAL_STAGE STORAGE_PROVIDER = '{cloud}' {extra} "
                 f"ENABLED = TRUE STORAGE_ALLOWED_LOCATIONS = ('{CLOUDS[cloud]}')")
        end = f"http://127.0.0.1:{self.snowflake_ports[cloud.lower()]}"
        return {"use_external_stage": "true", "external_stage_url": f"{CLOUDS[cloud]}{folder}/", "storage_integration": f"LAKE_{cloud}",
                "stage_name": f"LAKE_{folder}".upper()} | {
            "S3": {"aws_endpoint": end, "aws_access_key_id": S3_KEY, "aws_secret_access_key": S3_SECRET},
            "AZURE": {"azure_endpoint": f"{end}/{AZURE_ACCOUNT}", "azure_account_key": AZURE_KEY},
            "GCS": {"gcs_endpoint": end, "gcs_access_token": GCS_TOKEN}}[cloud]

    @property
    def azure_url(self) -> str:
        return f"http://127.0.0.1:{self.azure_port}"

    @property
    def account_url(self) -> str:
        """The storage account's address."""
        return f"{self.azure_url}/{AZURE_ACCOUNT}"

    def adls_environment(self, database: str = "shop", collection: str = "orders") -> dict[str, str]:
        """What `nebula-swift run --source mongo --dest adls` needs, and nothing else."""
        return {
            "MONGO_URI": self.mongo_uri, "MONGO_DB": database, "MONGO_COLL": collection,
            "ADLS_ACCOUNT_URL": self.account_url, "ADLS_FILESYSTEM": FILESYSTEM,
            "ADLS_SHARED_KEY": AZURE_KEY,
        }

    def mongo(self, command: dict, database: str = "admin") -> dict:
        client = Client(self.mongo_port)
        try:
            return client.command(database, command)
        finally:
            client.close()

    def snowflake(self, control: str, body: dict | list | None = None, **query: str) -> dict:
        """A control call of the stand-in: POST with a body, else GET."""
        return self._control(self.snowflake_url, control, body, query)

    def azure(self, control: str, body: dict | list | None = None, method: str | None = None, **query: str) -> dict:
        """The same of the Azure stand-in."""
        return self._control(self.azure_url, control, body, query, method)

    @staticmethod
    def _control(base: str, control: str, body: dict | list | None, query: dict[str, str],
                 method: str | None = None) -> dict:
        url = f"{base}/sandbox/{control}"
        if query:
            url += "?" + urllib.parse.urlencode(query)
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(url, data=data, method=method), timeout=600) as answer:
            return json.load(answer)

    def sql(self, *statements: str) -> list[list[tuple]]:
        """Runs statements in one session of Snowflake's own connector."""
        import snowflake.connector

        connection = snowflake.connector.connect(
            account="sandbox", host="127.0.0.1", port=self.snowflake_port, protocol="http", user=USER,
            password=PASSWORD, database=DATABASE, schema=SCHEMA)
        try:
            return [connection.cursor().execute(one).fetchall() for one in statements]
        finally:
            connection.close()

    def export(self, table: str, path: Path) -> Path:
        """The table's rows as a Parquet file, written by the stand-in."""
        answer = self.snowflake("export", table=f"{DATABASE}.{SCHEMA}.{table}", format="parquet", path=str(path))
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return path

    def truth(self, path: Path) -> Path:
        self.mongo({"sandboxTruth": str(path), "documents": True})
        return path


def main() -> int:
    """`make sandbox`: starts them all and prints the environment to export; Ctrl-C ends them."""
    with Stack(azure=[]) as stack:
        stack.mongo({"sandboxLoad": "shop.orders", "count": 10_000, "seed": 1})
        print("# MongoDB, Snowflake and Azure stand-ins are running; paste this into another shell, and end them here by Ctrl-C")
        for name, value in (stack.environment() | stack.adls_environment()).items():
            print(f"export {name}='{value}'", flush=True)
        print("# nebula-swift run --source mongo --dest snowflake_optimized", flush=True)
        print("# nebula-swift run --source mongo --dest adls", flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
