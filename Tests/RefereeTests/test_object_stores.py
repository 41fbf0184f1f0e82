"""Amazon's own client against the stand-in that our stores are tested with, and the signature check shown to refuse."""
import hashlib
import http.client
import json
import os
import subprocess
import sys

import boto3
import botocore.config
import botocore.exceptions
import pytest

HERE = os.path.dirname(__file__)
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


@pytest.fixture(scope="module")
def server():
    process = subprocess.Popen([sys.executable, os.path.join(HERE, "object_store_server.py")],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    yield json.loads(process.stdout.readline())
    process.stdin.close()
    process.wait()


def client(server, secret=SECRET, region="us-east-1", secure=False, **config):
    scheme, port = ("https", server["secure"]) if secure else ("http", server["port"])
    return boto3.client(
        "s3", endpoint_url=f"{scheme}://127.0.0.1:{port}", aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key=secret,
        region_name=region, verify=server["authority"] if secure else None,
        config=botocore.config.Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required",
                                      response_checksum_validation="when_required",
                                      retries={"max_attempts": 0}, **config))


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("key", ["plain", "year=2025/a b+c&d(é)~'x'", "a//b", "./../x"])
def test_amazons_client_is_served(server, key, secure):
    s3 = client(server, secure=secure)
    s3.put_object(Bucket="bucket", Key=key, Body=b"content", Metadata={"a": "1", "b": "two  words"})
    told = s3.head_object(Bucket="bucket", Key=key)
    assert told["ContentLength"] == 7 and told["Metadata"] == {"a": "1", "b": "two  words"}
    assert told["ETag"].strip('"') == hashlib.md5(b"content").hexdigest()
    assert s3.get_object(Bucket="bucket", Key=key)["Body"].read() == b"content"
    s3.delete_object(Bucket="bucket", Key=key)
    with pytest.raises(botocore.exceptions.ClientError):
        s3.head_object(Bucket="bucket", Key=key)


def test_parts(server):
    s3 = client(server)
    upload = s3.create_multipart_upload(Bucket="bucket", Key="parts", Metadata={"a": "1"})["UploadId"]
    parts = [{"PartNumber": n, "ETag": s3.upload_part(Bucket="bucket", Key="parts", UploadId=upload, PartNumber=n,
                                                      Body=bytes([n]) * 10)["ETag"]} for n in (1, 2, 3)]
    s3.complete_multipart_upload(Bucket="bucket", Key="parts", UploadId=upload, MultipartUpload={"Parts": parts})
    body = s3.get_object(Bucket="bucket", Key="parts")["Body"].read()
    assert body == b"\1" * 10 + b"\2" * 10 + b"\3" * 10


def test_create_only(server):
    s3 = client(server)
    s3.put_object(Bucket="bucket", Key="once", Body=b"1", IfNoneMatch="*")
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3.put_object(Bucket="bucket", Key="once", Body=b"2", IfNoneMatch="*")
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412


def test_wrong_secret_is_refused(server):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        client(server, secret="wrong").put_object(Bucket="bucket", Key="k", Body=b"x")
    assert error.value.response["Error"]["Code"] == "SignatureDoesNotMatch"


def signed(server, **changes):
    """A request signed by botocore, with something changed afterwards."""
    caught = {}
    s3 = client(server)

    def stop(request, **_):
        caught.update(method=request.method, url=request.url, headers=dict(request.headers), body=b"x")
        raise InterruptedError

    s3.meta.events.register("before-send.s3", stop)
    with pytest.raises(InterruptedError):
        s3.put_object(Bucket="bucket", Key="tampered", Body=b"x", Metadata={"a": "1"})
    caught["headers"] = {k: v.decode() if isinstance(v, bytes) else v for k, v in caught["headers"].items()}
    caught["headers"].update(changes.get("headers", {}))
    connection = http.client.HTTPConnection("127.0.0.1", server["port"])
    connection.request(caught["method"], changes.get("path", "/bucket/tampered"), changes.get("body", b"x"),
                       {k: v for k, v in caught["headers"].items() if v is not None})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_what_was_signed_cannot_be_changed(server):
    assert signed(server)[0] == 200
    for changes, code in [
        ({"path": "/bucket/other"}, "SignatureDoesNotMatch"),
        ({"path": "/bucket/tampered?x=1"}, "SignatureDoesNotMatch"),
        ({"body": b"y"}, "XAmzContentSHA256Mismatch"),
        ({"headers": {"x-amz-meta-a": "2"}}, "SignatureDoesNotMatch"),
        ({"headers": {"x-amz-meta-b": "2"}}, "AccessDenied"),
        ({"headers": {"Authorization": "Bearer x"}}, "AccessDenied"),
        ({"headers": {"X-Amz-Date": "20200101T000000Z"}}, "SignatureDoesNotMatch"),
    ]:
        status, body = signed(server, **changes)
        assert status == 403 and code in body, (changes, body)
