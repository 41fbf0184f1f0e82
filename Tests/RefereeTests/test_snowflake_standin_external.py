"""External stages: objects written by the clouds' own SDKs, stages and COPY by connector 4.8.1."""
import datetime
import gzip

import pytest
from azure.storage.blob import ContainerSasPermissions, generate_container_sas
from snowflake_buckets import ACCOUNT, ACCOUNT_KEY, KEY, SECRET, azure, gcs, s3, settings, standin  # noqa: F401
from snowflake_fixtures import Error, name, named_rows, run, session  # noqa: F401

ROOTS = {"S3": "s3://lake/", "AZURE": f"azure://{ACCOUNT}.blob.core.windows.net/lake/", "GCS": "gcs://lake/"}
EXTRA = {"S3": "STORAGE_AWS_ROLE_ARN = 'arn:aws:iam::1:role/r'", "AZURE": "AZURE_TENANT_ID = 't'", "GCS": ""}


def write(standin, provider, path, content):
    if provider == "S3":
        s3(standin).put_object(Bucket="lake", Key=path, Body=content)
    elif provider == "AZURE":
        azure(standin).get_container_client("lake").upload_blob(path, content, overwrite=True)
    else:
        gcs(standin).bucket("lake").blob(path).upload_from_string(content)


def integration(run, provider, locations=None, **more):
    made = name("INT")
    allowed = ", ".join(f"'{l}'" for l in locations or [ROOTS[provider]])
    run(f"CREATE STORAGE INTEGRATION {made} TYPE = EXTERNAL_STAGE STORAGE_PROVIDER = '{provider}' {EXTRA[provider]} ENABLED = {more.get('enabled', 'TRUE')} "
        f"STORAGE_ALLOWED_LOCATIONS = ({allowed}) {more.get('blocked', '')}")
    return made


def sas(minutes=60, **rights):
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    return generate_container_sas(ACCOUNT, "lake", ACCOUNT_KEY, permission=ContainerSasPermissions(**(rights or {"read": True, "list": True})), expiry=until)


def fails(run, sql):
    with pytest.raises(Error) as found:
        run(sql)
    return found.value.errno, found.value.sqlstate, str(found.value)


@pytest.fixture
def table(run):
    made = name()
    run(f"CREATE TABLE {made} (V VARIANT, F VARCHAR)")
    return made


COPY = "COPY INTO {} FROM (SELECT $1, METADATA$FILENAME FROM @{}) {} FILE_FORMAT = (TYPE = JSON)"


@pytest.mark.parametrize("provider", ["S3", "AZURE", "GCS"])
class TestEachCloud:
    def test_list_copy_and_remove(self, standin, run, session, table, provider):
        folder, stage = name("dir"), name("STAGE")
        root = f"{ROOTS[provider]}{folder}/"
        for file, content in (("a.json", b'{"i":1}\n'), ("b.json.gz", gzip.compress(b'{"i":2}\n{"i":3}\n')), ("sub/c x.json", b'{"i":4}\n')):
            write(standin, provider, f"{folder}/{file}", content)
        run(f"CREATE STAGE IF NOT EXISTS {stage} URL = '{root}' STORAGE_INTEGRATION = {integration(run, provider)} COMMENT = 'it''s'")
        listed = named_rows(session.cursor().execute(f"LIST @{stage}"))
        assert [(r["name"], r["size"]) for r in listed] == [(root + "a.json", 8), (root + "b.json.gz", len(gzip.compress(b'{"i":2}\n{"i":3}\n'))), (root + "sub/c x.json", 8)]
        assert all(r["md5"] for r in listed)
        rows = run(COPY.format(table, stage, "FILES = ('a.json', 'b.json.gz')"))
        assert [r[:4] for r in rows] == [(root + "a.json", "LOADED", 1, 1), (root + "b.json.gz", "LOADED", 2, 2)]
        assert [r[1] for r in run(COPY.format(table, f"{stage}/sub/", ""))] == ["LOADED"]
        assert run(f"SELECT V:i::INT, F FROM {table} ORDER BY 1") == [
            (1, f"{folder}/a.json"), (2, f"{folder}/b.json.gz"), (3, f"{folder}/b.json.gz"), (4, f"{folder}/sub/c x.json")]
        assert [r[1] for r in run(COPY.format(table, stage, "FILES = ('a.json')"))] == ["LOAD_SKIPPED"]
        assert run(COPY.format(table, stage, "PATTERN = '.*json'")) == [("Copy executed with 0 files processed.",)]
        write(standin, provider, f"{folder}/a.json", b'{"i":9}\n')
        assert [r[1] for r in run(COPY.format(table, stage, "FILES = ('a.json')"))] == ["LOADED"]
        assert fails(run, COPY.format(table, stage, "FILES = ('nope.json')"))[0] == 91016
        assert len(run(f"REMOVE @{stage}/sub/")) == 1 and len(run(f"LIST @{stage}")) == 2
        run(f"DROP STAGE {stage}")
        other = name("STAGE")
        run(f"CREATE STAGE {other} URL = '{root}' STORAGE_INTEGRATION = {integration(run, provider)}")
        assert len(run(f"LIST @{other}")) == 2                          # what lies in the bucket is not the stage's

    def test_integration_bounds(self, run, table, provider):
        allowed = integration(run, provider, [ROOTS[provider] + "mine/"], blocked=f"STORAGE_BLOCKED_LOCATIONS = ('{ROOTS[provider]}mine/secret/')")
        for path, good in (("mine/", True), ("mine/a/b/", True), ("other/", False), ("mine2/", False), ("mine/secret/", False), ("", False)):
            sql = f"CREATE OR REPLACE STAGE {name('S')} URL = '{ROOTS[provider]}{path}' STORAGE_INTEGRATION = {allowed}"
            if good:
                run(sql)
            else:
                assert fails(run, sql)[:2] == (3089, "42601")
        stage = name("S")
        run(f"CREATE STAGE {stage} URL = '{ROOTS[provider]}mine/' STORAGE_INTEGRATION = {allowed}")
        run(f"ALTER STORAGE INTEGRATION {allowed} SET STORAGE_ALLOWED_LOCATIONS = ('{ROOTS[provider]}elsewhere/')")
        assert fails(run, f"LIST @{stage}")[0] == 3089
        run(f"ALTER STORAGE INTEGRATION {allowed} SET STORAGE_ALLOWED_LOCATIONS = ('{ROOTS[provider]}mine/') ENABLED = FALSE")
        assert "not enabled" in fails(run, COPY.format(table, stage, ""))[2]
        run(f"DROP INTEGRATION {allowed}")
        assert fails(run, f"LIST @{stage}")[0] == 2003

    def test_put_and_get_are_refused(self, run, tmp_path, provider):
        stage = name("S")
        run(f"CREATE STAGE {stage} URL = '{ROOTS[provider]}' STORAGE_INTEGRATION = {integration(run, provider)}")
        (tmp_path / "f").write_text("x")
        for sql in (f"PUT file://{tmp_path}/f @{stage}", f"GET @{stage} file://{tmp_path}/"):
            assert fails(run, sql)[1] == "0A000"


class TestCredentials:
    @pytest.mark.parametrize("given, code", [
        (f"AWS_KEY_ID = '{KEY}' AWS_SECRET_KEY = '{SECRET}'", None), (f"AWS_KEY_ID = '{KEY}' AWS_SECRET_KEY = 'wrong'", "SignatureDoesNotMatch"),
        ("AWS_KEY_ID = 'AKIDNOBODY' AWS_SECRET_KEY = 'x'", "InvalidAccessKeyId"), (f"AWS_KEY_ID = '{KEY}' AWS_SECRET_KEY = '{SECRET}' AWS_TOKEN = 'x'", "InvalidToken")])
    def test_s3(self, standin, run, table, given, code):
        folder, stage = name("dir"), name("S")
        write(standin, "S3", f"{folder}/a.json", b"{}\n")
        run(f"CREATE STAGE {stage} URL = 's3://lake/{folder}' CREDENTIALS = ({given})")
        if code is None:
            assert run(COPY.format(table, stage, "FILES = ('a.json')"))[0][:2] == (f"s3://lake/{folder}/a.json", "LOADED")
            return
        for sql in (f"LIST @{stage}", COPY.format(table, stage, "FILES = ('a.json')"), COPY.format(table, stage, "")):
            number, state, message = fails(run, sql)
            assert (number, state) == (91003, "55000") and code in message

    @pytest.mark.parametrize("token, code", [(sas, None), (lambda: sas(minutes=-1), "AuthenticationFailed"), (lambda: sas() + "x", "AuthenticationFailed"),
                                             (lambda: sas(write=True), "AuthorizationPermissionMismatch"), (lambda: "nonsense", "AuthenticationFailed")])
    def test_azure(self, standin, run, table, token, code):
        folder, stage = name("dir"), name("S")
        write(standin, "AZURE", f"{folder}/a.json", b"{}\n")
        run(f"CREATE STAGE {stage} URL = '{ROOTS['AZURE']}{folder}/' CREDENTIALS = (AZURE_SAS_TOKEN = '?{token()}')")
        if code is None:
            assert run(COPY.format(table, stage, ""))[0][1] == "LOADED"
            assert "AuthorizationPermissionMismatch" in fails(run, f"REMOVE @{stage}")[2]
        else:
            number, state, message = fails(run, COPY.format(table, stage, ""))
            assert (number, state) == (91003, "55000") and code in message

    def test_none_at_all_and_buckets_that_are_not_there(self, standin, run):
        stage = name("S")
        run(f"CREATE STAGE {stage} URL = 's3://lake/'")
        assert "AccessDenied" in fails(run, f"LIST @{stage}")[2]
        run(f"ALTER STAGE {stage} SET CREDENTIALS = (AWS_KEY_ID = '{KEY}' AWS_SECRET_KEY = '{SECRET}')")
        run(f"LIST @{stage}")
        standin.control("settings", {"buckets": "another"})
        assert "NoSuchBucket" in fails(run, f"LIST @{stage}")[2]


class TestStages:
    def test_described_and_shown(self, session, run):
        stage, allowed = name("S"), integration(run, "S3")
        run(f"CREATE OR REPLACE STAGE {stage} URL = 's3://lake/p' STORAGE_INTEGRATION = {allowed} FILE_FORMAT = (TYPE = CSV SKIP_HEADER = 1) COMMENT = 'one'")
        described = {r["property"]: r["property_value"] for r in named_rows(session.cursor().execute(f"DESCRIBE STAGE {stage}"))}
        assert described["URL"] == '["s3://lake/p"]' and described["STORAGE_INTEGRATION"] == allowed and described["SKIP_HEADER"] == "1"
        (row,) = named_rows(session.cursor().execute(f"SHOW STAGES LIKE '{stage}'"))
        assert (row["url"], row["type"], row["cloud"], row["storage_integration"], row["comment"], row["has_credentials"]) == (
            "s3://lake/p", "EXTERNAL", "AWS", allowed, "one", "N")
        run(f"ALTER STAGE {stage} SET URL = 's3://lake/q/' COMMENT = 'two' FILE_FORMAT = (TYPE = JSON)")
        (row,) = named_rows(session.cursor().execute(f"SHOW STAGES LIKE '{stage}'"))
        assert (row["url"], row["comment"]) == ("s3://lake/q/", "two")
        properties = {r["property"]: r["property_value"] for r in named_rows(session.cursor().execute(f"DESC INTEGRATION {allowed}"))}
        assert properties["STORAGE_ALLOWED_LOCATIONS"] == "s3://lake/" and properties["ENABLED"] == "true"
        assert any(r["name"] == allowed for r in named_rows(session.cursor().execute("SHOW INTEGRATIONS")))

    def test_the_stages_format_counts(self, standin, run):
        stage, table, folder = name("S"), name(), name("dir")
        write(standin, "S3", f"{folder}/a.csv", b"h\nx;y\n")
        run(f"CREATE TABLE {table} (A VARCHAR, B VARCHAR)")
        run(f"CREATE STAGE {stage} URL = 's3://lake/{folder}/' STORAGE_INTEGRATION = {integration(run, 'S3')} FILE_FORMAT = (TYPE = CSV SKIP_HEADER = 1 FIELD_DELIMITER = ';')")
        assert run(f"COPY INTO {table} FROM @{stage} FILES = ('a.csv')")[0][1:4] == ("LOADED", 1, 1)

    @pytest.mark.parametrize("sql", [
        "CREATE STAGE {0} URL = 'ftp://x/'", "CREATE STAGE {0} URL = 'azure://account.example.com/c/'", "CREATE STAGE {0} STORAGE_INTEGRATION = NOPE",
        "CREATE STAGE {0} URL = 's3://b/' STORAGE_INTEGRATION = NOT_THERE", "CREATE STAGE {0} URL = 's3://b/' CREDENTIALS = (AWS_ROLE = 'x')",
        "CREATE STAGE {0} URL = 's3://b/' CREDENTIALS = (AZURE_SAS_TOKEN = 'x')", "CREATE STAGE {0} URL = 'gcs://b/'", "CREATE STAGE {0} URL = 's3://b/' ENDPOINT = 'x'",
        "CREATE STAGE {0} URL = 's3://b/' ENCRYPTION = (TYPE = 'AWS_CSE' MASTER_KEY = 'x')", "CREATE STAGE {0} FILE_FORMAT = (TYPE = CSV NOPE = 1)",
        "CREATE STORAGE INTEGRATION {0} TYPE = EXTERNAL_STAGE STORAGE_PROVIDER = 'S3' ENABLED = TRUE STORAGE_ALLOWED_LOCATIONS = ('s3://b/')",
        "CREATE STORAGE INTEGRATION {0} TYPE = EXTERNAL_STAGE STORAGE_PROVIDER = 'GCS' ENABLED = TRUE STORAGE_ALLOWED_LOCATIONS = ('s3://b/')",
        "CREATE STORAGE INTEGRATION {0} TYPE = EXTERNAL_STAGE STORAGE_PROVIDER = 'GCS' ENABLED = TRUE"])
    def test_what_is_refused(self, run, sql):
        fails(run, sql.format(name("S")))

    def test_it_is_there_after_a_restart(self, standin, run):
        stage, folder = name("S"), name("dir")
        write(standin, "S3", f"{folder}/a.json", b"{}\n")
        run(f"CREATE STAGE {stage} URL = 's3://lake/{folder}/' STORAGE_INTEGRATION = {integration(run, 'S3')}")
        view, table = name("V"), name()
        run(f"CREATE TABLE {table} (A INT)"), run(f"CREATE VIEW {view} AS SELECT A FROM {table}")
        standin.kill()
        standin.start()
        with standin.connect() as connection:
            assert len(connection.cursor().execute(f"LIST @{stage}").fetchall()) == 1
            assert connection.cursor().execute(f"SELECT COUNT(*) FROM {view}").fetchall() == [(0,)]
