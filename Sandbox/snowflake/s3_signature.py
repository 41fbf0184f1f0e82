"""SigV4 of a request as it came over the wire, recomputed with botocore's own code."""
import calendar
import hmac
import re
import time
import urllib.parse

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

FORM = re.compile(r"AWS4-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$")


class S3Error(Exception):
    def __init__(self, status, code, message="", extra="", **headers):
        super().__init__(code)
        self.status, self.code, self.message, self.extra, self.headers = status, code, message or code, extra, headers


class _Signed(S3SigV4Auth):
    """Signs exactly the headers that the client says it signed."""

    def __init__(self, names, *arguments):
        super().__init__(*arguments)
        self.names = names

    def headers_to_sign(self, request):
        headers = HTTPHeaders()
        for name in self.names:
            headers[name] = request.headers.get(name, "")
        return headers


def _encode(text, safe=""):
    return urllib.parse.quote(text, safe="-._~" + safe)


def verify(request, credentials_of, region, skew=900):
    """The payload hash that was signed. `credentials_of(access key)`: (secret, token, until) or None."""
    headers = request.headers
    authorization = headers.get("authorization", "")
    if not authorization.startswith("AWS4-HMAC-SHA256 "):
        raise S3Error(403, "AccessDenied", "no SigV4 authorization")
    found = FORM.match(authorization)
    scope = found[1].split("/") if found else []
    if len(scope) != 5 or scope[4] != "aws4_request":
        raise S3Error(400, "AuthorizationHeaderMalformed")
    access, day, signed_region, service, _ = scope
    names, signature = found[2].split(";"), found[3]
    known = credentials_of(access)
    if known is None:
        raise S3Error(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
    secret, token, until = known
    if until is not None and until < time.time():
        raise S3Error(400, "ExpiredToken", "The provided token has expired.")
    if headers.get("x-amz-security-token") != token:
        raise S3Error(400, "InvalidToken", "The provided token is malformed or otherwise invalid.")
    if signed_region != region or service != "s3":
        raise S3Error(400, "AuthorizationHeaderMalformed", f"The authorization header is malformed; the region '{signed_region}' is wrong; "
                      f"expecting '{region}'", f"<Region>{region}</Region>", **{"x-amz-bucket-region": region})
    unsigned = [n for n in headers if (n.startswith("x-amz-") or n == "host") and n not in names]
    if unsigned:
        raise S3Error(403, "AccessDenied", f"There were headers present in the request which were not signed: {', '.join(unsigned)}")
    payload, stamp = headers.get("x-amz-content-sha256"), headers.get("x-amz-date", "")
    if not payload:
        raise S3Error(400, "InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
    if not stamp.startswith(day) or abs(_seconds(stamp) - time.time()) > skew:
        raise S3Error(403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.")
    pairs = sorted((_encode(urllib.parse.unquote_to_bytes(n)), _encode(urllib.parse.unquote_to_bytes(v)))
                   for n, _, v in (p.partition("=") for p in request.raw_query.split("&") if p))
    url = f"http://{headers.get('host', '')}{_encode(urllib.parse.unquote_to_bytes(request.raw_path), '/')}"
    if pairs:
        url += "?" + "&".join(f"{n}={v}" for n, v in pairs)
    made = AWSRequest(method=request.method, url=url, headers={n: headers[n] for n in names if n in headers})
    made.context["timestamp"] = stamp
    made.headers["X-Amz-Content-SHA256"] = payload
    signer = _Signed(names, Credentials(access, secret), "s3", region)
    expected = signer.signature(signer.string_to_sign(made, signer.canonical_request(made)), made)
    if not hmac.compare_digest(expected, signature) or any(n not in headers for n in names):
        raise S3Error(403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. "
                      f"canonical request was: {signer.canonical_request(made)}")
    return payload


def _seconds(stamp):
    try:
        return calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        raise S3Error(403, "AccessDenied", "bad x-amz-date") from None
