"""A stand-in whose stores have owners with keys of their own, and the official SDKs on them."""
import base64
import json

import boto3
import botocore.config
import google.auth.credentials
import google.cloud.storage
import pytest
from azure.storage.blob import BlobServiceClient
from google.oauth2 import credentials, service_account
from snowflake_rig import StandIn, resolve_localhost_names, trust

KEY, SECRET, ACCOUNT, ACCOUNT_KEY = "AKIDOFTHETEST", "secret/of+the=test", "sandboxaccount", base64.b64encode(b"k" * 64).decode()
TOKEN, IDENTITY, REGION = "ya29.of-the-test", "web.identity.token", "us-west-2"


@pytest.fixture(scope="module")
def standin(tmp_path_factory):
    resolve_localhost_names()
    folder = tmp_path_factory.mktemp("snowflake")
    standin = StandIn(folder, "--s3-key", f"{KEY}:{SECRET}", "--azure-account", f"{ACCOUNT}:{ACCOUNT_KEY}", "--gcs-token", TOKEN,
                      "--gcs-service-account", str(folder / "service.json"), "--web-identity-token", IDENTITY)
    trust(standin.folder / "data" / "ca.pem")
    yield standin
    standin.stop()


def s3(standin, key=KEY, secret=SECRET, token=None, region=REGION, attempts=1, **given):
    return boto3.client("s3", endpoint_url=f"http://127.0.0.1:{standin.ports['s3']}", region_name=region, aws_access_key_id=key,
                        aws_secret_access_key=secret, aws_session_token=token,
                        config=botocore.config.Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": attempts, "mode": "standard"}, **given))


def gcs(standin, given=None):
    given = given or credentials.Credentials(TOKEN)
    client = google.cloud.storage.Client(project="sandbox", credentials=given, client_options={"api_endpoint": f"http://127.0.0.1:{standin.ports['gcs']}"})
    return client


def service(standin):
    return service_account.Credentials.from_service_account_file(standin.folder / "service.json", scopes=["https://www.googleapis.com/auth/devstorage.read_write"])


def service_facts(standin):
    return json.loads((standin.folder / "service.json").read_text())


def azure(standin, credential=ACCOUNT_KEY):
    return BlobServiceClient(f"http://127.0.0.1:{standin.ports['azure']}/{ACCOUNT}", credential=credential, retry_total=0)


@pytest.fixture(autouse=True)
def settings(standin):
    before = standin.control("settings")
    standin.faults()
    yield
    standin.faults()
    standin.control("settings", before)
