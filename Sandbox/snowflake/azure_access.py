"""Who may do what with a blob of a storage account: Shared Key and SAS, checked by the Azure stand-in's own code."""
import time
import types
import urllib.parse

from ..azure import sas, shared_key
from ..azure.errors import AzureError
from ..azure.settings import Settings

READ, LIST, WRITE, DELETE = "r", "l", "cw", "d"


def _world(account, keys):
    return types.SimpleNamespace(account=account, keys=keys, settings=Settings())


def _call(request, query, container, path, wanted, secure, peer="127.0.0.1"):
    operation = types.SimpleNamespace(name="list" if wanted == LIST else "blob", sas=wanted, level="c" if wanted == LIST else "o", right="")
    return types.SimpleNamespace(request=request, headers=request.headers if request else {}, query={} if wanted == LIST else query, operation=operation,
                                 path=path, filesystem=container, now=time.time(), connection=types.SimpleNamespace(secure=secure, peer=peer))


def check_request(request, account, keys, container, path, wanted):
    """Raises AzureError unless the request's own signature allows it."""
    pairs = [(urllib.parse.unquote_plus(n).lower(), urllib.parse.unquote_plus(v))
             for n, _, v in (p.partition("=") for p in request.raw_query.split("&") if p)]
    signed = types.SimpleNamespace(method=request.method, headers=request.headers, raw_path=request.raw_path, pairs=pairs, query=dict(pairs))
    call = _call(signed, dict(pairs), container, path, wanted, request.secure)
    if "authorization" in request.headers:
        if not request.headers["authorization"].startswith("SharedKey "):
            raise AzureError("InvalidAuthenticationInfo")
        return shared_key.verify(_world(account, keys), call)
    if "sig" not in signed.query:
        raise AzureError("NoAuthenticationInformation")
    sas.verify(_world(account, keys), call, signed.query)


def check_token(token, account, keys, container, path, wanted):
    """The same of a SAS that somebody else will use: COPY reads with the stage's."""
    query = dict(urllib.parse.parse_qsl(token.lstrip("?"), keep_blank_values=True))
    if "sig" not in query:
        raise AzureError("AuthenticationFailed", "Signature fields not well formed.")
    sas.verify(_world(account, keys), _call(None, query, container, path, wanted, True), query)
