"""Loads through external stages by the program: a bucket of one's own in each cloud, each way of logging in, read back by
Snowflake's connector; what lies in the buckets is looked at by the clouds' own clients."""
import csv
import datetime
import json
import os
import random
import subprocess

import pytest
from azure.storage.blob import ContainerSasPermissions, generate_container_sas
from snowflake_buckets import ACCOUNT, ACCOUNT_KEY, IDENTITY, KEY, SECRET, TOKEN, azure, gcs, s3, settings, standin  # noqa: F401
from snowflake_rig import PASSWORD, ROOT, USER

PROGRAM = os.environ.get("NEBULA_PROGRAM", str(ROOT / ".build/release/nebula-swift"))
ROOTS = {"S3": "s3://lake/", "AZURE": f"azure://{ACCOUNT}.blob.core.windows.net/lake/", "GCS": "gcs://lake/"}
EXTRA = {"S3": "STORAGE_AWS_ROLE_ARN = 'arn:aws:iam::1:role/r'", "AZURE": "AZURE_TENANT_ID = 't'", "GCS": ""}
CLOUDS = ("AWS_", "GOOGLE_", "AZURE_", "CLOUDSDK_", "GCE_", "STORAGE_", "IDENTITY_")


def sas(**rights):
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    rights = rights or {"read": True, "list": True, "create": True, "write": True, "delete": True, "add": True}
    return generate_container_sas(ACCOUNT, "lake", ACCOUNT_KEY, permission=ContainerSasPermissions(**rights), expiry=until)


class Ways:
    """name → (cloud, settings, environment) of each way into a bucket."""

    def __init__(self, standin, folder):
        (folder / "token").write_text(IDENTITY)
        (folder / "aws").write_text(f"[default]\nregion = eu-north-1\n[loader]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n")
        metadata = f"http://127.0.0.1:{standin.ports['metadata']}"
        self.ends = {"S3": {"aws_endpoint": f"http://127.0.0.1:{standin.ports['s3']}", "aws_shared_credentials_file": "/nowhere/a", "aws_config_file": "/nowhere/b"},
                     "AZURE": {"azure_endpoint": f"http://127.0.0.1:{standin.ports['azure']}/{ACCOUNT}"},
                     "GCS": {"gcs_endpoint": f"http://127.0.0.1:{standin.ports['gcs']}", "gcs_config_folder": "/nowhere"}}
        self.ways = {
            "S3 keys": ("S3", {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET}, {}),
            "S3 keys of the environment": ("S3", {}, {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}),
            "S3 profile": ("S3", {"aws_profile": "loader", "aws_shared_credentials_file": str(folder / "aws")}, {}),
            "S3 web identity": ("S3", {}, {"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/loader", "AWS_ENDPOINT_URL_STS": metadata,
                                           "AWS_WEB_IDENTITY_TOKEN_FILE": str(folder / "token")}),
            "S3 machine": ("S3", {}, {"AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata}),
            "GCS token": ("GCS", {"gcs_access_token": TOKEN}, {}),
            "GCS service account": ("GCS", {"gcs_credentials_path": str(standin.folder / "service.json")}, {}),
            "GCS metadata server": ("GCS", {}, {"GCE_METADATA_HOST": metadata}),
            "AZURE account key": ("AZURE", {"azure_account_key": ACCOUNT_KEY}, {}),
            "AZURE signature": ("AZURE", {"azure_sas_token": sas()}, {}),
        }


NAMES = ["S3 keys", "S3 keys of the environment", "S3 profile", "S3 web identity", "S3 machine", "GCS token", "GCS service account",
         "GCS metadata server", "AZURE account key", "AZURE signature"]


@pytest.fixture
def run(standin):
    connection = standin.connect()
    yield lambda sql: connection.cursor().execute(sql).fetchall()
    connection.close()


def integration(run, cloud):
    run(f"CREATE STORAGE INTEGRATION IF NOT EXISTS EXT_{cloud} TYPE = EXTERNAL_STAGE STORAGE_PROVIDER = '{cloud}' {EXTRA[cloud]} ENABLED = TRUE "
        f"STORAGE_ALLOWED_LOCATIONS = ('{ROOTS[cloud]}')")
    return f"EXT_{cloud}"


def rows_file(folder, count=3000, seed=1):
    chance = random.Random(seed)
    rows = [[str(n), chance.choice(["", "a,b", 'say "so"', "two\nlines", "ü 漢字"]), chance.random().hex()] for n in range(count)]
    with open(folder / "rows.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerows([["id", "text", "number"], *rows])
    return folder / "rows.csv", rows


def program(standin, folder, command, table, given, environment, path=None):
    properties = {"source.path": path or "/nowhere", "source.format": "csv", "destination.account": "acme", "destination.host": standin.url,
                  "destination.user": USER, "destination.password": PASSWORD, "destination.database": "DB", "destination.schema": "SCH",
                  "destination.table": table, "destination.use_external_stage": "true",
                  **{f"destination.{n}": v for n, v in given.items()}}
    arguments = [a for name, value in properties.items() for a in ("--set", f"{name}={value}")]
    clean = {n: v for n, v in os.environ.items() if not n.startswith(CLOUDS)}
    done = subprocess.run([PROGRAM, command, "--source", "file", "--dest", "snowflake_optimized", *arguments],
                          env={**clean, "HOME": str(folder), "NEBULA_STATE_DIR": str(folder / f"state-{table}"), **environment},
                          capture_output=True, text=True, timeout=180)
    told = done.stdout + done.stderr
    for secret in (SECRET, ACCOUNT_KEY, TOKEN, IDENTITY, PASSWORD, "sig="):
        assert secret not in told, told[-3000:]
    return done.returncode, told


def keys(standin, cloud):
    if cloud == "S3":
        return {e["Key"] for e in s3(standin).list_objects_v2(Bucket="lake").get("Contents", [])}
    if cloud == "AZURE":
        return {b.name for b in azure(standin).get_container_client("lake").list_blobs()}
    return {b.name for b in gcs(standin).list_blobs("lake")}


@pytest.mark.parametrize("name", NAMES)
def test_every_way_in(standin, run, tmp_path, name):
    cloud, given, environment = Ways(standin, tmp_path).ways[name]
    table = "T_" + name.upper().replace(" ", "_")
    root = f"{ROOTS[cloud]}{table.lower()}/"
    given = {"external_stage_url": root, "storage_integration": integration(run, cloud), "stage_name": f"STAGE_{table}", "micro_batch_size": "500",
             **Ways(standin, tmp_path).ends[cloud], **given}
    path, rows = rows_file(tmp_path)
    before = keys(standin, cloud)
    code, told = program(standin, tmp_path, "run", table, given, environment, path)
    assert code == 0, told[-3000:]
    assert sorted(map(list, run(f"SELECT ID, TEXT, NUMBER FROM DB.SCH.{table}"))) == sorted(rows)
    assert keys(standin, cloud) == before  # what was loaded is removed, and no probe is left
    said = [q["sql"] for q in standin.control("queries?last=5000")["queries"] if table in q["sql"]]
    assert any(q.startswith("COPY INTO") for q in said) and not any(q.startswith("PUT") for q in said)
    assert root in str(run(f"DESCRIBE STAGE DB.SCH.STAGE_{table}"))
    assert program(standin, tmp_path, "validate", table, given, environment, path)[0] == 0


@pytest.mark.parametrize("name", ["S3 keys", "AZURE signature"])
def test_a_stage_with_keys_of_its_own(standin, run, tmp_path, name):
    cloud, given, environment = Ways(standin, tmp_path).ways[name]
    table = "K_" + name.upper().replace(" ", "_")
    given = {"external_stage_url": f"{ROOTS[cloud]}{table.lower()}", "stage_name": f"STAGE_{table}", **Ways(standin, tmp_path).ends[cloud], **given}
    path, rows = rows_file(tmp_path, 100)
    code, told = program(standin, tmp_path, "run", table, given, environment, path)
    assert code == 0, told[-3000:]
    assert run(f"SELECT COUNT(*) FROM DB.SCH.{table}") == [(100,)]


@pytest.mark.parametrize("name", ["S3 keys", "GCS service account", "AZURE account key"])
@pytest.mark.parametrize("policy", ["CONTINUE", "SKIP_FILE"])
def test_rows_that_are_left_out(standin, run, tmp_path, name, policy):
    """They are read back from the bucket, and kept."""
    cloud, given, environment = Ways(standin, tmp_path).ways[name]
    table = f"{policy}_{cloud}"
    run(f"CREATE TABLE DB.SCH.{table} (ID NUMBER(38,0), TEXT VARCHAR, NUMBER VARCHAR(14))")
    given = {"external_stage_url": f"{ROOTS[cloud]}{table.lower()}/", "storage_integration": integration(run, cloud), "stage_name": f"STAGE_{table}",
             "copy_options": f"{{ON_ERROR: {policy}}}", "micro_batch_size": "20", "parallel_uploads": "1", **Ways(standin, tmp_path).ends[cloud], **given}
    path, rows = rows_file(tmp_path, 100)
    bad = [row for row in rows if len(row[2]) > 14]
    numbers = {row[0] for row in rows} if policy == "SKIP_FILE" else {row[0] for row in bad}
    # Rows that fit, in files of their own.
    short = [[str(5000 + n), "fits", "1"] for n in range(40)]
    with open(path, "a", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(short)
    code, told = program(standin, tmp_path, "run", table, given, environment, path)
    assert code == 0, told[-3000:]
    loaded = {str(row[0]) for row in run(f"SELECT ID FROM DB.SCH.{table}")}
    letters = [json.loads(line) for file in (tmp_path / f"state-{table}").rglob("*.jsonl") for line in file.read_text().splitlines()]
    assert bad and loaded == {row[0] for row in rows + short} - numbers
    assert len(letters) == len(numbers) and {letter["code"] for letter in letters} == {"snowflake.row_left_out"}


@pytest.mark.parametrize("name, why", [("S3 machine", "keys that expire"), ("GCS token", "no other way"), ("AZURE account key", "signature only")])
def test_what_cannot_be_written_into_a_stage(standin, tmp_path, name, why):
    cloud, given, environment = Ways(standin, tmp_path).ways[name]
    given = {"external_stage_url": ROOTS[cloud] + "n", "stage_name": f"STAGE_N_{cloud}", **Ways(standin, tmp_path).ends[cloud], **given}
    path, _ = rows_file(tmp_path, 10)
    code, told = program(standin, tmp_path, "run", f"N_{cloud}", given, environment, path)
    assert code == 2 and why in told and "storage_integration" in told, told[-3000:]


@pytest.mark.parametrize("cloud, name", [("S3", "S3 keys"), ("AZURE", "AZURE account key"), ("GCS", "GCS service account")])
def test_others_in_the_same_bucket(standin, run, tmp_path, cloud, name):
    """Another pipeline's files stay, and a run that died half-way leaves what the next one sweeps."""
    _, given, environment = Ways(standin, tmp_path).ways[name]
    table = f"O_{cloud}"
    given = {"external_stage_url": f"{ROOTS[cloud]}others", "storage_integration": integration(run, cloud), "stage_name": f"STAGE_{table}",
             "micro_batch_size": "100", **Ways(standin, tmp_path).ends[cloud], **given}
    others = {"others/nebula/another/T/1-1-000001.csv", "others/1-1-x", "others/readme"}
    for key in others:
        if cloud == "S3":
            s3(standin).put_object(Bucket="lake", Key=key, Body=b"x")
        elif cloud == "AZURE":
            azure(standin).get_container_client("lake").upload_blob(key, b"x", overwrite=True)
        else:
            gcs(standin).bucket("lake").blob(key).upload_from_string(b"x")
    path, rows = rows_file(tmp_path)
    before = keys(standin, cloud)
    code, _ = program(standin, tmp_path, "run", table, given, {**environment, "NEBULA_CRASH_AT": "after-upload:2"}, path)
    assert code != 0
    left = keys(standin, cloud) - before
    assert left, "nothing was left to sweep"
    if cloud == "S3":
        found = s3(standin).head_object(Bucket="lake", Key=sorted(left)[0])
        assert len(found["Metadata"]["nebulasha256"]) == 64
    code, told = program(standin, tmp_path, "run", table, given, environment, path)
    assert code == 0, told[-3000:]
    assert sorted(map(list, run(f"SELECT ID, TEXT, NUMBER FROM DB.SCH.{table}"))) == sorted(rows)
    assert keys(standin, cloud) == before and others <= before


def test_a_stage_that_lies_elsewhere(standin, run, tmp_path):
    cloud, given, environment = Ways(standin, tmp_path).ways["S3 keys"]
    run(f"CREATE STAGE DB.SCH.STAGE_ELSEWHERE URL = 's3://lake/a/' STORAGE_INTEGRATION = {integration(run, 'S3')}")
    given = {"external_stage_url": "s3://lake/b", "stage_name": "STAGE_ELSEWHERE", **Ways(standin, tmp_path).ends[cloud], **given}
    path, _ = rows_file(tmp_path, 10)
    for command in ("validate", "run"):
        code, told = program(standin, tmp_path, command, "ELSEWHERE", given, environment, path)
        assert code in (2, 3) and "lies in s3://lake/a/" in told, told[-3000:]
