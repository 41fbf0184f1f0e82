"""Where clouds hand out temporary credentials: STS, EC2's IMDSv2, ECS, Google's token endpoint and metadata server. One listener for all."""
import secrets
import time
import urllib.parse
from xml.sax.saxutils import escape

import jwt

from .http_server import Response

STS = "https://sts.amazonaws.com/doc/2011-06-15/"
FLAVOR = {"Metadata-Flavor": "Google", "Server": "Metadata Server for VM"}


class MetadataServer:
    def __init__(self, accounts):
        self.accounts = accounts

    def handle(self, request):
        body = request.body()
        self.accounts.requests.append({"method": request.method, "target": request.target, "headers": dict(request.headers)})
        del self.accounts.requests[:-200]
        path = request.raw_path
        if path == "/token" and request.method == "POST":
            return self._google_token(request, body)
        if path.startswith("/computeMetadata/") or path == "/" and "metadata-flavor" in request.headers:
            return self._google_metadata(request, path)
        if path.startswith("/latest/"):
            return self._imds(request, path)
        if path == "/ecs/credentials":
            return self._ecs(request)
        form = dict(urllib.parse.parse_qsl(body.decode("utf-8", "replace") or request.raw_query))
        if form.get("Action") == "AssumeRoleWithWebIdentity":
            return self._web_identity(form)
        return Response(404)

    # --- AWS

    def _keys(self, first, second, third):
        key, secret, token, until = self.accounts.temporary_s3()
        return {first: key, second: secret, third: token, "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(until))}

    def _web_identity(self, form):
        def failed(status, code, message):
            return Response(status, f'<ErrorResponse xmlns="{STS}"><Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message>'
                                    f"</Error><RequestId>{secrets.token_hex(8)}</RequestId></ErrorResponse>".encode(), {"Content-Type": "text/xml"})
        if form.get("Version") != "2011-06-15" or not form.get("RoleSessionName") or not form.get("RoleArn", "").startswith("arn:aws:iam::"):
            return failed(400, "ValidationError", "Version, RoleArn and RoleSessionName are needed")
        if form.get("WebIdentityToken") not in self.accounts.web_identity:
            return failed(400, "InvalidIdentityToken", "No OpenIDConnect provider found in your account for this token")
        made = self._keys("AccessKeyId", "SecretAccessKey", "SessionToken")
        inner = "".join(f"<{n}>{escape(v)}</{n}>" for n, v in made.items())
        return Response(200, (f'<AssumeRoleWithWebIdentityResponse xmlns="{STS}"><AssumeRoleWithWebIdentityResult><Credentials>{inner}</Credentials>'
                              f"<AssumedRoleUser><Arn>{escape(form['RoleArn'])}</Arn><AssumedRoleId>AROA:{escape(form['RoleSessionName'])}</AssumedRoleId>"
                              "</AssumedRoleUser></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>").encode(),
                        {"Content-Type": "text/xml"})

    def _imds(self, request, path):
        accounts, headers = self.accounts, request.headers
        if path == "/latest/api/token":
            seconds = headers.get("x-aws-ec2-metadata-token-ttl-seconds", "")
            if request.method != "PUT" or not seconds.isdigit() or not 1 <= int(seconds) <= 21600:
                return Response(400)
            token = secrets.token_urlsafe(40)
            accounts.imds_tokens[token] = time.time() + int(seconds)
            return Response(200, token.encode(), {"x-aws-ec2-metadata-token-ttl-seconds": seconds})
        if accounts.imds_tokens.get(headers.get("x-aws-ec2-metadata-token"), 0) < time.time():
            return Response(401)                          # version 2 only
        base = "/latest/meta-data/iam/security-credentials/"
        if path == base:
            return Response(200, accounts.role.encode(), {"Content-Type": "text/plain"})
        if path == base + accounts.role:
            made = self._keys("AccessKeyId", "SecretAccessKey", "Token")
            return Response.json({"Code": "Success", "LastUpdated": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "Type": "AWS-HMAC", **made})
        if path == "/latest/meta-data/placement/region":
            return Response(200, accounts.settings.s3_region.encode())
        return Response(404)

    def _ecs(self, request):
        if request.headers.get("authorization") != self.accounts.ecs_token:
            return Response.json({"code": "Unauthorized", "message": "the token is not the container's"}, 401)
        return Response.json({"RoleArn": "arn:aws:iam::1:role/" + self.accounts.role, **self._keys("AccessKeyId", "SecretAccessKey", "Token")})

    # --- Google

    def _google_token(self, request, body):
        form = dict(urllib.parse.parse_qsl(body.decode("utf-8", "replace")))
        grant, refused = form.get("grant_type"), lambda why, code="invalid_grant": Response.json({"error": code, "error_description": why}, 400)
        if grant == "refresh_token":
            if form.get("refresh_token") not in self.accounts.refresh:
                return refused("Token has been expired or revoked.")
        elif grant == "urn:ietf:params:oauth:grant-type:jwt-bearer":
            problem = self._assertion(form.get("assertion", ""), request)
            if problem:
                return refused(problem)
        else:
            return refused(f"grant_type {grant}", "unsupported_grant_type")
        token, seconds = self.accounts.temporary_token()
        return Response.json({"access_token": token, "expires_in": seconds, "token_type": "Bearer"})

    def _assertion(self, assertion, request):
        """What is wrong with a service account's JWT."""
        try:
            claims = jwt.decode(assertion, options={"verify_signature": False})
            key = self.accounts.services.get(claims.get("iss"))
            if key is None:
                return "Invalid grant: account not found"
            jwt.decode(assertion, key, algorithms=["RS256"], options={"verify_aud": False})
        except jwt.PyJWTError as error:
            return f"Invalid JWT Signature: {error}"
        if urllib.parse.urlsplit(str(claims.get("aud"))).path != "/token":
            return "Invalid JWT: the audience is not the token endpoint"
        if not str(claims.get("scope", "")).strip():
            return "Invalid OAuth scope or ID token audience provided."
        if claims.get("exp", 0) - claims.get("iat", 0) > 3600:
            return "Invalid JWT: Token must be a short-lived token (60 minutes)"
        return None

    def _google_metadata(self, request, path):
        if request.headers.get("metadata-flavor") != "Google":
            return Response(403, b"Missing Metadata-Flavor:Google header.")
        base = "/computeMetadata/v1/instance/service-accounts/default"
        if path == base + "/token":
            token, seconds = self.accounts.temporary_token()
            return Response.json({"access_token": token, "expires_in": seconds, "token_type": "Bearer"}, 200, **FLAVOR)
        if path.rstrip("/") == base:
            return Response.json({"aliases": ["default"], "email": "default@sandbox", "scopes": ["https://www.googleapis.com/auth/cloud-platform"]}, 200, **FLAVOR)
        plain = {"/": "computeMetadata/\n", "/computeMetadata/v1/project/project-id": "sandbox",
                 "/computeMetadata/v1/universe/universe-domain": "googleapis.com", base + "/email": "default@sandbox"}.get(path)
        return Response(404, b"", dict(FLAVOR)) if plain is None else Response(200, plain.encode(), {**FLAVOR, "Content-Type": "application/text"})
