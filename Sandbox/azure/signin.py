"""The sign-in endpoints: the tenant's token endpoint (client secret, client assertion), IMDS and App Service managed identity."""
import json
import secrets
import time
import urllib.parse
from dataclasses import dataclass, field

from .connection import Response

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
RIGHTS = {"owner": {"read", "write", "delete"}, "contributor": {"read", "write", "delete"}, "reader": {"read"}, "none": set()}
STORAGE = "https://storage.azure.com"


@dataclass
class Principal:
    client_id: str
    secrets: list = field(default_factory=list)
    assertions: list = field(default_factory=list)     # federated tokens that are accepted now
    managed: str = ""                                  # "system", "user" or no managed identity
    role: str = "contributor"

    def may(self, right):
        return right in RIGHTS[self.role]


class Refused(Exception):
    def __init__(self, status, error, description):
        self.status, self.error, self.description = status, error, description


def operation(request):
    """The sign-in operation that a request is, or None."""
    path = request.raw_path
    if path.endswith("/oauth2/v2.0/token"):
        return "token"
    if path.endswith("/.well-known/openid-configuration") or path == "/common/discovery/instance":
        return "discovery"
    return {"/metadata/identity/oauth2/token": "imds", "/msi/token": "app_service"}.get(path)


class SignIn:
    def __init__(self, tenant, header, settings):
        self.tenant, self.header, self.settings = tenant, header, settings
        self.principals, self.tokens, self.requests = {}, {}, []

    def add(self, principal):
        if principal.role not in RIGHTS:
            raise ValueError(f"role {principal.role}; there are: {', '.join(sorted(RIGHTS))}")
        self.principals[principal.client_id] = principal

    def issue(self, principal, audience, now, lifetime=None):
        token = "eyJ." + secrets.token_urlsafe(48) + "." + principal.client_id[:8]
        lifetime = self.settings.token_seconds if lifetime is None else lifetime
        self.tokens[token] = (principal, now + lifetime, audience.rstrip("/"))
        return token, int(lifetime)

    def principal(self, token, now):
        """Whose token this is, or None when it is not, or no longer, valid for storage."""
        found = self.tokens.get(token)
        if found is None or found[1] <= now or found[2] != STORAGE:
            return None
        return found[0]

    def handle(self, name, request, now):
        self.requests.append({"time": time.time(), "method": request.method, "target": request.target, "headers": dict(request.headers),
                              "body": request.body.decode("utf-8", "replace")})
        del self.requests[:-200]
        try:
            status, value = getattr(self, "on_" + name)(request, now)
        except Refused as refused:
            status, value = refused.status, {"error": refused.error, "error_description": refused.description}
        return Response(status, {"Content-Type": "application/json; charset=utf-8", "Cache-Control": "no-store"}, json.dumps(value).encode())

    def on_discovery(self, request, now):
        base = ("https" if request.connection.secure else "http") + "://" + request.headers.get("host", "")
        tenant = request.raw_path.split("/")[1]
        if tenant == "common":
            return 200, {"tenant_discovery_endpoint": f"{base}/{self.tenant}/v2.0/.well-known/openid-configuration", "api-version": "1.1",
                         "metadata": []}
        return 200, {"issuer": f"{base}/{self.tenant}/v2.0", "token_endpoint": f"{base}/{tenant}/oauth2/v2.0/token",
                     "authorization_endpoint": f"{base}/{tenant}/oauth2/v2.0/authorize",
                     "device_authorization_endpoint": f"{base}/{tenant}/oauth2/v2.0/devicecode", "jwks_uri": f"{base}/{tenant}/discovery/v2.0/keys",
                     "response_types_supported": ["token"], "subject_types_supported": ["pairwise"], "tenant_region_scope": "EU"}

    def on_token(self, request, now):
        if request.method != "POST" or not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            raise Refused(400, "invalid_request", "AADSTS900561: The endpoint only accepts POST requests with a form.")
        form = dict(urllib.parse.parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        tenant = request.raw_path.split("/")[1]
        if tenant != self.tenant:
            raise Refused(400, "invalid_request", f"AADSTS90002: Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID.")
        if form.get("grant_type") != "client_credentials":
            raise Refused(400, "unsupported_grant_type", "AADSTS70003: The app requested an unsupported grant type.")
        audience, default, _ = form.get("scope", "").partition("/.default")
        if not default:
            raise Refused(400, "invalid_scope", f"AADSTS70011: The provided value for the input parameter 'scope' is not valid: {form.get('scope')}")
        principal = self._known(form)
        token, lifetime = self.issue(principal, audience, now)
        return 200, {"token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": token}

    def _known(self, form):
        principal = self.principals.get(form.get("client_id", ""))
        if principal is None:
            raise Refused(400, "unauthorized_client", f"AADSTS700016: Application with identifier '{form.get('client_id')}' was not found in the "
                          f"directory '{self.tenant}'.")
        if "client_assertion" in form:
            if form.get("client_assertion_type") != ASSERTION_TYPE:
                raise Refused(400, "invalid_request", "AADSTS50027: The client_assertion_type is not valid.")
            if form["client_assertion"] not in principal.assertions:
                raise Refused(401, "invalid_client", "AADSTS700213: No matching federated identity record found for presented assertion.")
        elif "client_secret" not in form:
            raise Refused(401, "invalid_client", "AADSTS7000218: The request body must contain the following parameter: 'client_assertion' or "
                          "'client_secret'.")
        elif form["client_secret"] not in principal.secrets:
            raise Refused(401, "invalid_client", f"AADSTS7000215: Invalid client secret provided for app '{principal.client_id}'.")
        return principal

    def _managed(self, query):
        wanted = query.get("client_id")
        for principal in self.principals.values():
            if principal.managed and (principal.client_id == wanted if wanted else principal.managed == "system"):
                return principal
        raise Refused(400, "invalid_request", "Identity not found")

    def on_imds(self, request, now):
        if request.method != "GET" or request.headers.get("metadata", "").lower() != "true":
            raise Refused(400, "invalid_request", "Required metadata header not specified")
        query = request.query
        if "api-version" not in query or not query.get("resource"):
            raise Refused(400, "invalid_request", "Required query variable 'api-version' or 'resource' is missing")
        principal = self._managed(query)
        token, lifetime = self.issue(principal, query["resource"], now)
        return 200, {"access_token": token, "client_id": principal.client_id, "expires_in": str(lifetime), "expires_on": str(int(now + lifetime)),
                     "ext_expires_in": str(lifetime), "not_before": str(int(now)), "resource": query["resource"], "token_type": "Bearer"}

    def on_app_service(self, request, now):
        if request.headers.get("x-identity-header") != self.header:
            raise Refused(401, "invalid_request", "The X-IDENTITY-HEADER is missing or wrong")
        query = request.query
        if query.get("api-version") != "2019-08-01" or not query.get("resource"):
            raise Refused(400, "invalid_request", "The api-version or resource is not valid")
        principal = self._managed(query)
        token, lifetime = self.issue(principal, query["resource"], now)
        return 200, {"access_token": token, "client_id": principal.client_id, "expires_on": str(int(now + lifetime)), "resource": query["resource"],
                     "token_type": "Bearer"}
