"""Shared Key: the string to sign is made from the request as it came, and compared with the signature that it carries."""
import base64
import email.utils
import functools
import hmac

from .errors import AzureError

_PLAIN = ("content-encoding", "content-language", "content-length", "content-md5", "content-type", "date", "if-modified-since", "if-match",
          "if-none-match", "if-unmodified-since", "range")


def sign(key, text):
    return base64.b64encode(hmac.digest(key, text.encode("utf-8"), "sha256")).decode()


def string_to_sign(request, account):
    headers = request.headers
    values = [headers.get(name, "") for name in _PLAIN]
    if values[2] == "0":
        values[2] = ""
    if "x-ms-date" in headers:
        values[5] = ""
    own = "".join(f"{name}:{headers[name]}\n" for name in sorted(n for n in headers if n.startswith("x-ms-")))
    parameters = {}
    for name, value in request.pairs:
        parameters.setdefault(name, []).append(value)
    tail = "".join(f"\n{name}:{','.join(sorted(parameters[name]))}" for name in sorted(parameters))
    return "\n".join([request.method, *values]) + f"\n{own}/{account}{request.raw_path}{tail}"


@functools.lru_cache(64)
def _seconds(text):
    return email.utils.parsedate_to_datetime(text).timestamp()


def verify(world, call):
    request, headers = call.request, call.headers
    if not world.settings.shared_key_allowed:
        raise AzureError("KeyBasedAuthenticationNotPermitted")
    account, _, given = headers["authorization"][10:].partition(":")
    if account != world.account:
        raise AzureError("AuthenticationFailed", f"The account '{account}' is not '{world.account}'.")
    text = string_to_sign(request, account)
    if not any(hmac.compare_digest(sign(key, text), given) for key in world.keys):
        raise AzureError("AuthenticationFailed", "The MAC signature found in the HTTP request is not the same as any computed signature. "
                         f"Server used following string to sign: '{text}'.")
    date = headers.get("x-ms-date") or headers.get("date")
    try:
        when = _seconds(date or "")
    except (TypeError, ValueError):
        raise AzureError("AuthenticationFailed", "The Date header in the request is missing or incorrect.") from None
    if abs(when - call.now) > world.settings.max_skew_seconds:
        raise AzureError("AuthenticationFailed", f"Request date header too old: '{date}'")
