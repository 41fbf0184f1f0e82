"""Who asks, and may they: Shared Key, SAS or a bearer token, the API version, and the protocol."""
import re

from . import sas, shared_key
from .errors import AzureError

_version = re.compile(r"\d{4}-\d{2}-\d{2}")


def authorize(world, call):
    headers, query = call.headers, call.request.query
    if world.settings.https_only and not call.connection.secure:
        raise AzureError("AccountRequiresHttps")
    given = headers.get("authorization")
    _check_version(world, call, given is not None)
    if given is None:
        if "sig" in query:
            return sas.verify(world, call)
        raise AzureError("NoAuthenticationInformation", headers=_challenge(world, call))
    if given.startswith("SharedKey "):
        return shared_key.verify(world, call)
    if given.startswith("Bearer "):
        return _bearer(world, call, given[7:])
    raise AzureError("InvalidAuthenticationInfo", status=400, message="Authentication information is not given in the correct format. Check the "
                     "value of Authorization header.")


def _check_version(world, call, needed):
    version = call.headers.get("x-ms-version")
    if version is None:
        if needed:
            raise AzureError("MissingRequiredHeader", "x-ms-version")
        return
    oldest = "2018-11-09" if call.endpoint == "dfs" else "2009-09-19"
    if not _version.fullmatch(version) or not oldest <= version <= world.settings.newest_version:
        raise AzureError("InvalidHeaderValue", f"x-ms-version: {version}")


def _bearer(world, call, token):
    principal = world.signin.principal(token, call.now)
    if principal is None:
        raise AzureError("InvalidAuthenticationInfo", headers=_challenge(world, call))
    if not principal.may(call.operation.right):
        raise AzureError("AuthorizationPermissionMismatch")
    call.principal = principal


def _challenge(world, call):
    base = ("https" if call.connection.secure else "http") + "://" + call.headers.get("host", "")
    return {"WWW-Authenticate": f"Bearer authorization_uri={base}/{world.signin.tenant}/oauth2/authorize resource_id=https://storage.azure.com"}
