"""Recomputes the signature of a request as it came over the wire, with botocore's own code."""
import hashlib
import re
import urllib.parse

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

FORM = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?"
                  r"SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$")


def encode(text, safe=""):
    return urllib.parse.quote(text, safe="-._~" + safe)


class Signed(S3SigV4Auth):
    """Signs exactly the headers that the client says it signed."""

    def __init__(self, names, *arguments):
        super().__init__(*arguments)
        self.names = names

    def headers_to_sign(self, request):
        headers = HTTPHeaders()
        for name in self.names:
            headers[name] = request.headers.get(name, "")
        return headers


def problems(method, target, headers, body_sha256, secrets, region, secure=False):
    """What is wrong with the request, in S3's words; nothing when the list is empty."""
    match = FORM.match(headers.get("Authorization", ""))
    if not match:
        return ["AccessDenied: no or odd Authorization"]
    access, _, signed_region, service, names, signature = match.groups()
    if access not in secrets:
        return ["InvalidAccessKeyId"]
    found = []
    if signed_region != region:
        found.append("AuthorizationHeaderMalformed")
    path, _, query = target.partition("?")
    pairs = [(urllib.parse.unquote_to_bytes(name), urllib.parse.unquote_to_bytes(value))
             for name, _, value in (pair.partition("=") for pair in query.split("&") if pair)]
    url = "http://" + headers["Host"] + encode(urllib.parse.unquote_to_bytes(path), "/")
    if pairs:
        url += "?" + "&".join(encode(name) + "=" + encode(value) for name, value in sorted(pairs))
    names = names.split(";")
    request = AWSRequest(method=method, url=url, headers={n: headers[n] for n in names if n in headers})
    request.context["timestamp"] = headers.get("X-Amz-Date", "")
    claimed = headers.get("x-amz-content-sha256")
    if claimed:
        request.headers["X-Amz-Content-SHA256"] = claimed
    signer = Signed(names, Credentials(access, secrets[access]), service, signed_region)
    expected = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    if expected != signature:
        found.append("SignatureDoesNotMatch")
    absent = [n for n in names if n not in {k.lower() for k in headers}]
    if absent:
        found.append("SignatureDoesNotMatch: signed but absent: " + ",".join(absent))
    unsigned = [k.lower() for k in headers if k.lower().startswith("x-amz-") and k.lower() not in names]
    if unsigned or "host" not in names:
        found.append("AccessDenied: headers present in the request which were not signed: " + ",".join(unsigned))
    if not claimed:
        found.append("InvalidRequest: Missing required header x-amz-content-sha256")
    elif claimed == "UNSIGNED-PAYLOAD" and not secure:
        found.append("InvalidRequest: an unsigned payload over plain http")
    elif claimed != "UNSIGNED-PAYLOAD" and not claimed.startswith("STREAMING") and claimed != body_sha256:
        found.append("XAmzContentSHA256Mismatch")
    return found


def sha256(body):
    return hashlib.sha256(body).hexdigest()
