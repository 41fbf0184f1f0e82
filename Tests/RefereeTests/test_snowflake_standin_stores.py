"""The stand-in's S3, Azure and GCS stores as general ones: boto3, google-cloud-storage and azure-storage-blob drive them."""
import base64
import datetime
import hashlib
import os

import botocore.exceptions
import google.api_core.exceptions
import google.auth.compute_engine.credentials
import google.auth.transport.requests
import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import ContainerSasPermissions, generate_container_sas
from boto3.s3.transfer import TransferConfig
from snowflake_buckets import ACCOUNT, ACCOUNT_KEY, IDENTITY, REGION, azure, gcs, s3, service, service_facts, settings, standin  # noqa: F401
from snowflake_fixtures import name

ClientError = botocore.exceptions.ClientError
OTHERS_MD5 = base64.b64encode(hashlib.md5(b"other").digest()).decode()
ODD = "dir/ö x+y=1&(2)/~file'.json"


def code(found):
    return found.value.response["Error"]["Code"]


class TestS3:
    @pytest.mark.parametrize("key", ["plain.json", ODD, "a//b", "year=2025/x y.csv.gz"])
    def test_put_head_get_delete(self, standin, key):
        client, bucket = s3(standin), name("b").lower()
        etag = client.put_object(Bucket=bucket, Key=key, Body=b"0123456789", Metadata={"writer": "me"}, ContentType="text/plain")["ETag"]
        head = client.head_object(Bucket=bucket, Key=key)
        assert (head["ETag"], head["ContentLength"], head["Metadata"], head["ContentType"]) == (etag, 10, {"writer": "me"}, "text/plain")
        assert client.get_object(Bucket=bucket, Key=key)["Body"].read() == b"0123456789"
        part = client.get_object(Bucket=bucket, Key=key, Range="bytes=2-4")
        assert part["Body"].read() == b"234" and part["ContentRange"] == "bytes 2-4/10"
        assert client.get_object(Bucket=bucket, Key=key, Range="bytes=-3")["Body"].read() == b"789"
        with pytest.raises(ClientError) as found:
            client.get_object(Bucket=bucket, Key=key, Range="bytes=10-")
        assert code(found) == "InvalidRange"
        client.delete_object(Bucket=bucket, Key=key), client.delete_object(Bucket=bucket, Key=key)
        with pytest.raises(ClientError) as found:
            client.get_object(Bucket=bucket, Key=key)
        assert code(found) == "NoSuchKey"

    def test_only_when_nothing_is_there(self, standin):
        client = s3(standin)
        etag = client.put_object(Bucket="conditions", Key="k", Body=b"1", IfNoneMatch="*")["ETag"]
        for given in ({"IfNoneMatch": "*"}, {"IfMatch": '"0"'}):
            with pytest.raises(ClientError) as found:
                client.put_object(Bucket="conditions", Key="k", Body=b"2", **given)
            assert code(found) == "PreconditionFailed"
        client.put_object(Bucket="conditions", Key="k", Body=b"3", IfMatch=etag)
        assert client.get_object(Bucket="conditions", Key="k")["Body"].read() == b"3"

    def test_multipart(self, standin, tmp_path):
        client, data = s3(standin), os.urandom(13 << 20)
        (tmp_path / "big").write_bytes(data)
        client.upload_file(str(tmp_path / "big"), "multi", "big", Config=TransferConfig(multipart_threshold=6 << 20, multipart_chunksize=5 << 20))
        head = client.head_object(Bucket="multi", Key="big")
        assert head["ETag"].endswith('-3"') and client.get_object(Bucket="multi", Key="big")["Body"].read() == data

    def test_multipart_step_by_step(self, standin):
        client, key = s3(standin), {"Bucket": "multi", "Key": "steps"}
        upload = {**key, "UploadId": client.create_multipart_upload(**key)["UploadId"]}
        small = [{"PartNumber": n, "ETag": client.upload_part(**upload, PartNumber=n, Body=b"x")["ETag"]} for n in (1, 2)]
        assert [p["PartNumber"] for p in client.list_parts(**upload)["Parts"]] == [1, 2]
        for parts, wanted in ((small, "EntityTooSmall"), (small[::-1], "InvalidPartOrder"), ([{"PartNumber": 1, "ETag": '"0"'}], "InvalidPart")):
            with pytest.raises(ClientError) as found:
                client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
            assert code(found) == wanted
        client.complete_multipart_upload(**upload, MultipartUpload={"Parts": small[:1]}, IfNoneMatch="*")
        with pytest.raises(ClientError) as found:
            client.complete_multipart_upload(**upload, MultipartUpload={"Parts": small[:1]})
        assert code(found) == "NoSuchUpload"
        again = {**key, "UploadId": client.create_multipart_upload(**key)["UploadId"]}
        part = {"PartNumber": 1, "ETag": client.upload_part(**again, PartNumber=1, Body=b"y")["ETag"]}
        with pytest.raises(ClientError) as found:
            client.complete_multipart_upload(**again, MultipartUpload={"Parts": [part]}, IfNoneMatch="*")
        assert code(found) == "PreconditionFailed"
        assert [u["UploadId"] for u in client.list_multipart_uploads(Bucket="multi")["Uploads"]] == [again["UploadId"]]
        client.abort_multipart_upload(**again)
        with pytest.raises(ClientError) as found:
            client.upload_part(**again, PartNumber=1, Body=b"y")
        assert code(found) == "NoSuchUpload"

    def test_the_checksum_of_a_part(self, standin):
        client, key = s3(standin), {"Bucket": "multi", "Key": "summed"}
        part = {**key, "UploadId": client.create_multipart_upload(**key)["UploadId"], "PartNumber": 1}
        client.upload_part(**part, Body=b"other", ContentMD5=OTHERS_MD5)
        with pytest.raises(ClientError) as found:
            client.upload_part(**part, Body=b"damaged", ContentMD5=OTHERS_MD5)
        assert code(found) == "BadDigest"

    def test_an_error_in_the_body_of_200(self, standin):
        """CompleteMultipartUpload's trap: boto3 sees it and repeats."""
        client, key = s3(standin, attempts=3), {"Bucket": "multi", "Key": "late"}
        upload = {**key, "UploadId": client.create_multipart_upload(**key)["UploadId"]}
        part = {"PartNumber": 1, "ETag": client.upload_part(**upload, PartNumber=1, Body=b"z")["ETag"]}
        body = "<?xml version='1.0'?><Error><Code>InternalError</Code><Message>We encountered an internal error. Please try again.</Message></Error>"
        standin.faults({"service": "s3", "method": "POST", "path": "uploadId", "action": "status", "status": 200, "body": body})
        client.complete_multipart_upload(**upload, MultipartUpload={"Parts": [part]})
        assert standin.control("faults")["faults"][0]["done"] == 1 and client.head_object(**key)["ContentLength"] == 1

    def test_list(self, standin):
        client, bucket = s3(standin), name("l").lower()
        keys = sorted([f"p/{i:03d} ü&.json" for i in range(25)] + ["p/sub/x", "p/sub/y", "q"])
        for key in keys:
            client.put_object(Bucket=bucket, Key=key, Body=b"")
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="p/", PaginationConfig={"PageSize": 4})
        assert [o["Key"] for page in pages for o in page["Contents"]] == keys[:-1]
        standin.control("settings", {"list_page": 10})
        pages = list(client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Delimiter="/", Prefix="p/"))
        assert [o["Key"] for page in pages for o in page.get("Contents", [])] == keys[:25]
        assert [p["Prefix"] for page in pages for p in page.get("CommonPrefixes", [])] == ["p/sub/"] and len(pages) == 3
        assert client.list_objects_v2(Bucket=bucket, StartAfter="p/sub/x")["KeyCount"] == 2
        client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": k} for k in keys[:20]]})
        assert client.list_objects_v2(Bucket=bucket)["KeyCount"] == 8

    @pytest.mark.parametrize("wrong, expected", [({"secret": "no"}, "SignatureDoesNotMatch"), ({"key": "AKIDNOBODY"}, "InvalidAccessKeyId"),
                                                 ({"token": "none"}, "InvalidToken")])
    def test_who_is_refused(self, standin, wrong, expected):
        with pytest.raises(ClientError) as found:
            s3(standin, **wrong).list_objects_v2(Bucket="b")
        assert code(found) == expected

    def test_a_wrong_region_is_told(self, standin):
        """boto3 reads the right one from the answer, and asks again."""
        assert s3(standin, region="eu-central-1").list_objects_v2(Bucket="elsewhere")["KeyCount"] == 0
        standin.control("settings", {"s3_region": "eu-central-1"})
        assert s3(standin, region="eu-central-1").list_objects_v2(Bucket="elsewhere")["KeyCount"] == 0

    def test_payloads_and_buckets(self, standin):
        url = f"http://127.0.0.1:{standin.ports['s3']}/b/k"
        assert requests.put(url, data=b"x").status_code == 403
        unsigned = s3(standin, signature_version="s3v4")
        unsigned.meta.events.register("before-sign.s3.PutObject", lambda request, **_: request.headers.__setitem__("X-Amz-Content-SHA256", "UNSIGNED-PAYLOAD"))
        unsigned.put_object(Bucket="b", Key="k", Body=b"unsigned")
        standin.control("settings", {"buckets": "there,other"})
        s3(standin).put_object(Bucket="there", Key="k", Body=b"")
        with pytest.raises(ClientError) as found:
            s3(standin).put_object(Bucket="b", Key="k", Body=b"")
        assert code(found) == "NoSuchBucket"
        with pytest.raises(ClientError) as found:
            s3(standin).list_objects_v2(Bucket="sfc-sandbox-stages")
        assert code(found) == "AccessDenied"

    def test_boto3_gets_over_faults(self, standin):
        standin.faults({"service": "s3", "method": "PUT", "action": "status", "status": 503, "times": 2, "body": "<Error><Code>SlowDown</Code></Error>"},
                       {"service": "s3", "method": "GET", "action": "truncate", "keep": 3})
        client = s3(standin, attempts=5)
        client.put_object(Bucket="faults", Key="k", Body=b"content")
        assert standin.control("faults")["faults"][0]["done"] == 2


class TestAwsCredentials:
    """boto3's own credential chain against the stand-ins of STS, IMDSv2 and ECS."""

    def use(self, standin, monkeypatch, **environment):
        import boto3
        for variable in [v for v in os.environ if v.startswith("AWS_")]:
            monkeypatch.delenv(variable)
        for variable, value in {"AWS_DEFAULT_REGION": REGION, "AWS_CONFIG_FILE": "/none", "AWS_SHARED_CREDENTIALS_FILE": "/none", **environment}.items():
            monkeypatch.setenv(variable, str(value))
        client = boto3.Session().client("s3", endpoint_url=f"http://127.0.0.1:{standin.ports['s3']}")
        client.put_object(Bucket="chain", Key="k", Body=b"1")
        found = boto3.Session().get_credentials().get_frozen_credentials()
        assert found.access_key.startswith("ASIA") and found.token
        standin.control("expire-credentials", {})
        with pytest.raises(ClientError) as failed:
            client.put_object(Bucket="chain", Key="k", Body=b"1")
        assert code(failed) == "ExpiredToken"

    def base(self, standin):
        return f"http://127.0.0.1:{standin.ports['metadata']}"

    def test_web_identity(self, standin, monkeypatch, tmp_path):
        (tmp_path / "token").write_text(IDENTITY)
        given = {"AWS_ROLE_ARN": "arn:aws:iam::1:role/r", "AWS_WEB_IDENTITY_TOKEN_FILE": tmp_path / "token", "AWS_ROLE_SESSION_NAME": "test",
                 "AWS_ENDPOINT_URL_STS": self.base(standin)}
        self.use(standin, monkeypatch, **given)
        (tmp_path / "token").write_text("another")
        with pytest.raises(ClientError) as found:
            self.use(standin, monkeypatch, **given)
        assert code(found) == "InvalidIdentityToken"

    def test_imds(self, standin, monkeypatch):
        self.use(standin, monkeypatch, AWS_EC2_METADATA_SERVICE_ENDPOINT=self.base(standin))
        assert requests.get(self.base(standin) + "/latest/meta-data/iam/security-credentials/").status_code == 401
        assert [r["method"] for r in standin.control("accounts")["requests"]][-2:] == ["GET", "GET"]

    def test_ecs(self, standin, monkeypatch):
        token = standin.control("accounts")["ecs_token"]
        self.use(standin, monkeypatch, AWS_CONTAINER_CREDENTIALS_FULL_URI=self.base(standin) + "/ecs/credentials", AWS_CONTAINER_AUTHORIZATION_TOKEN=token)
        assert requests.get(self.base(standin) + "/ecs/credentials").status_code == 401


class TestGcs:
    @pytest.mark.parametrize("key", ["plain.json", ODD])
    def test_upload_read_list_delete(self, standin, key):
        client, bucket = gcs(standin), name("g").lower()
        blob = client.bucket(bucket).blob(key)
        blob.metadata = {"writer": "me"}
        blob.upload_from_string(b"0123456789", content_type="text/plain", if_generation_match=0)
        with pytest.raises(google.api_core.exceptions.PreconditionFailed):
            client.bucket(bucket).blob(key).upload_from_string(b"2", if_generation_match=0)
        found = client.bucket(bucket).get_blob(key)
        assert (found.size, found.metadata, found.content_type, found.generation) == (10, {"writer": "me"}, "text/plain", blob.generation)
        assert found.md5_hash and found.crc32c and found.download_as_bytes() == b"0123456789" and found.download_as_bytes(start=2, end=4) == b"234"
        assert [b.name for b in client.list_blobs(bucket)] == [key]
        found.delete()
        assert client.bucket(bucket).get_blob(key) is None
        with pytest.raises(google.api_core.exceptions.NotFound):
            found.delete()

    def test_pages(self, standin):
        client, bucket = gcs(standin), name("g").lower()
        for i in range(7):
            client.bucket(bucket).blob(f"p/{i}").upload_from_string(b"")
        client.bucket(bucket).blob("p/s/x").upload_from_string(b"")
        standin.control("settings", {"list_page": 3})
        assert [b.name for b in client.list_blobs(bucket, prefix="p/")] == [f"p/{i}" for i in range(7)] + ["p/s/x"]
        listed = client.list_blobs(bucket, prefix="p/", delimiter="/")
        assert len(list(listed)) == 7 and listed.prefixes == {"p/s/"}

    def test_resumable(self, standin):
        data = os.urandom(3 * 262144 + 17)
        standin.faults({"service": "gcs", "method": "PUT", "nth": 2, "action": "status", "status": 503},
                       {"service": "gcs", "method": "PUT", "nth": 3, "action": "apply_status", "status": 503})
        blob = gcs(standin).bucket("r").blob("big", chunk_size=262144)
        import io
        blob.upload_from_file(io.BytesIO(data), size=len(data), if_generation_match=0)
        assert gcs(standin).bucket("r").get_blob("big").download_as_bytes() == data

    def test_resumable_on_the_wire(self, standin):
        url = f"http://127.0.0.1:{standin.ports['gcs']}/upload/storage/v1/b/wire/o?uploadType=resumable&name=x&ifGenerationMatch=0"
        given = {"Authorization": "Bearer ya29.of-the-test"}
        assert requests.post(url).status_code == 401
        session = requests.post(url, headers=given).headers["Location"]
        put = lambda span, data=b"": requests.put(session, data=data, headers={"Content-Range": f"bytes {span}"}, allow_redirects=False)
        status = put("*/*")
        assert status.status_code == 308 and "Range" not in status.headers
        assert put("0-9/*", b"x" * 10).status_code == 400                   # not a multiple of 256 KiB
        first = put(f"0-{262143}/*", b"a" * 262144)
        assert (first.status_code, first.headers["Range"]) == (308, "bytes=0-262143")
        assert put("262145-262145/262146", b"b").status_code == 503         # a gap
        done = put("262144-262144/262145", b"b")
        assert done.status_code == 200 and done.json()["size"] == "262145" and put("*/262145").json() == done.json()
        assert requests.post(url, headers=given).status_code == 412
        other = requests.post(url.replace("name=x", "name=y"), headers=given).headers["Location"]
        assert requests.delete(other).status_code == 499 and requests.put(other, headers={"Content-Range": "bytes */*"}).status_code == 404

    def test_service_account(self, standin):
        gcs(standin, service(standin)).bucket("sa").blob("k").upload_from_string(b"1")
        import jwt
        facts = service_facts(standin)
        claims = {"iss": facts["client_email"], "scope": "s", "aud": facts["token_uri"], "iat": 1, "exp": 3601}
        ask = lambda assertion: requests.post(facts["token_uri"], data={"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion})
        assert ask(jwt.encode(claims, facts["private_key"], "RS256")).status_code == 400                  # long past
        assert ask(jwt.encode({**claims, "iss": "nobody"}, facts["private_key"], "RS256")).json()["error"] == "invalid_grant"

    def test_metadata_server(self, standin, monkeypatch):
        import importlib
        monkeypatch.setenv("GCE_METADATA_HOST", f"127.0.0.1:{standin.ports['metadata']}")
        monkeypatch.setenv("GCE_METADATA_IP", f"127.0.0.1:{standin.ports['metadata']}")
        from google.auth.compute_engine import _metadata
        importlib.reload(_metadata)
        found = google.auth.compute_engine.credentials.Credentials()
        found.refresh(google.auth.transport.requests.Request())
        assert found.token.startswith("ya29.c.")
        gcs(standin, found).bucket("gce").blob("k").upload_from_string(b"1")
        standin.control("expire-credentials", {})
        answer = requests.get(f"http://127.0.0.1:{standin.ports['gcs']}/storage/v1/b/gce/o/k", headers={"Authorization": f"Bearer {found.token}"})
        assert answer.status_code == 401
        assert requests.get(f"http://127.0.0.1:{standin.ports['metadata']}/computeMetadata/v1/instance/service-accounts/default/token").status_code == 403

    def test_xml_too(self, standin):
        url, given = f"http://127.0.0.1:{standin.ports['gcs']}/xml/a%20b", {"Authorization": "Bearer ya29.of-the-test", "x-goog-if-generation-match": "0"}
        assert requests.put(url, data=b"abc", headers=given).status_code == 200 and requests.put(url, data=b"abc", headers=given).status_code == 412
        assert requests.get(url, headers={**given, "Range": "bytes=1-1"}).content == b"b"
        assert gcs(standin).bucket("xml").get_blob("a b").size == 3


class TestAzure:
    @pytest.mark.parametrize("key", ["plain.json", ODD])
    def test_upload_read_list_delete(self, standin, key):
        container = azure(standin).get_container_client(name("c").lower())
        container.create_container()
        with pytest.raises(ResourceExistsError):
            container.create_container()
        blob = container.get_blob_client(key)
        blob.upload_blob(b"0123456789", metadata={"writer": "me"})
        with pytest.raises(ResourceExistsError):
            blob.upload_blob(b"2")
        found = blob.get_blob_properties()
        assert (found.size, found.metadata) == (10, {"writer": "me"})
        assert blob.download_blob().readall() == b"0123456789" and blob.download_blob(offset=2, length=3).readall() == b"234"
        blob.upload_blob(b"new", overwrite=True)
        assert [b.name for b in container.list_blobs()] == [key]
        container.delete_blob(key)
        with pytest.raises(ResourceNotFoundError):
            blob.get_blob_properties()

    def test_blocks_and_pages(self, standin):
        container = azure(standin).get_container_client("pages")
        data = os.urandom(9 << 20)
        client = azure(standin)
        client._config.max_single_put_size, client._config.max_block_size = 1 << 20, 4 << 20
        client.get_container_client("pages").get_blob_client("big").upload_blob(data)
        assert container.get_blob_client("big").download_blob().readall() == data
        for i in range(7):
            container.upload_blob(f"p/{i}", b"")
        container.upload_blob("p/s/x", b"")
        standin.control("settings", {"list_page": 3})
        assert [b.name for b in container.list_blobs(name_starts_with="p/")] == [f"p/{i}" for i in range(7)] + ["p/s/x"]
        assert sorted(b.name for b in container.walk_blobs("p/")) == [f"p/{i}" for i in range(7)] + ["p/s/"]

    def test_the_checksum_of_a_block(self, standin):
        blob = azure(standin).get_container_client("summed").get_blob_client("k")
        blob.stage_block("one", b"whole", validate_content=True)
        with pytest.raises(HttpResponseError) as found:
            blob.stage_block("two", b"damaged", headers={"Content-MD5": OTHERS_MD5})
        assert (found.value.status_code, found.value.error_code) == (400, "Md5Mismatch")
        blob.stage_block("two", b"other", headers={"Content-MD5": OTHERS_MD5})
        blob.commit_block_list(["one", "two"])
        assert blob.download_blob().readall() == b"wholeother"

    def sas(self, **given):
        now = datetime.datetime.now(datetime.timezone.utc)
        return generate_container_sas(ACCOUNT, "sas", ACCOUNT_KEY, **{"permission": ContainerSasPermissions(read=True, create=True, write=True, list=True),
                                                                      "expiry": now + datetime.timedelta(hours=1), **given})

    def test_sas(self, standin):
        container = azure(standin, self.sas()).get_container_client("sas")
        container.upload_blob("k", b"1", overwrite=True)
        assert [b.name for b in container.list_blobs()] == ["k"] and container.download_blob("k").readall() == b"1"
        with pytest.raises(HttpResponseError) as found:
            container.delete_blob("k")
        assert found.value.error_code == "AuthorizationPermissionMismatch"
        past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=5)
        for credential in (self.sas(expiry=past), self.sas().replace("sig=", "sig=A"), "bm90IHRoZSBrZXk="):
            with pytest.raises(ClientAuthenticationError) as found:
                azure(standin, credential).get_container_client("sas").download_blob("k")
            assert found.value.error_code == "AuthenticationFailed"
