"""Stages in a bucket of somebody else's: what their URL says, who may read there, and what their files are."""
import re
import time

from ..azure.errors import AzureError
from .azure_access import check_token
from .errors import SnowflakeError, does_not_exist, unsupported
from .lexer import show_name

URL = re.compile(r"(s3|gcs|azure)://([^/]+)/?(.*)", re.S)


class Place:
    """Where a URL points: `bucket` is a container on Azure, `path` ends with a slash or is empty."""

    def __init__(self, provider, account, bucket, path):
        self.provider, self.account, self.bucket, self.path = provider, account, bucket, path

    @property
    def prefix(self):
        """As keys begin in the stores."""
        return f"{self.bucket}/{self.path}"


def parse_url(url):
    found = URL.fullmatch(url)
    if not found:
        raise SnowflakeError("001011", "42601", f"SQL compilation error:\ninvalid URL prefix found in: '{url}'")
    scheme, host, path = found.groups()
    account, bucket = None, host
    if scheme == "azure":
        account, dot, domain = host.partition(".")
        bucket, _, path = path.partition("/")
        if domain != "blob.core.windows.net" or not bucket:
            raise SnowflakeError("001011", "42601", f"SQL compilation error:\ninvalid URL prefix found in: '{url}'")
    if path and not path.endswith("/"):
        path += "/"
    return Place({"s3": "S3", "gcs": "GCS", "azure": "AZURE"}[scheme], account, bucket, path)


def checked(call, given):
    """The options of CREATE STAGE for an external one; credentials are not tried before the stage is used, as in Snowflake."""
    place = parse_url(given["url"])
    credentials, integration = given.get("credentials"), given.get("integration")
    known = {"S3": {"AWS_KEY_ID", "AWS_SECRET_KEY", "AWS_TOKEN"}, "AZURE": {"AZURE_SAS_TOKEN"}, "GCS": set()}[place.provider]
    for name in credentials or {}:
        if name not in known:
            raise unsupported(f"CREDENTIALS {name} of a stage in {place.provider}")
    if integration is not None:
        allowed(call.catalog, integration, given["url"])
    elif place.provider == "GCS":
        raise SnowflakeError("001008", "22023", "SQL compilation error:\na stage in Google Cloud Storage needs a STORAGE_INTEGRATION")
    return {"url": given["url"], "integration": integration, "credentials": credentials}


def allowed(catalog, name, url):
    integration = catalog.find("integrations", ("", "", name))
    if integration is None:
        raise does_not_exist("Integration", show_name(name))
    if not integration["ENABLED"]:
        raise SnowflakeError("003090", "42601", f"SQL compilation error:\nIntegration '{name}' is not enabled.")
    url = url if url.endswith("/") else url + "/"
    within = lambda locations: any(l == "*" or url.startswith(l if l.endswith("/") else l + "/") for l in locations)
    if parse_url(url).provider != integration["STORAGE_PROVIDER"] or not within(integration["STORAGE_ALLOWED_LOCATIONS"]) \
            or within(integration.get("STORAGE_BLOCKED_LOCATIONS", [])):
        raise SnowflakeError("003089", "42601", f"SQL compilation error:\nLocation '{url}' is not allowed by integration '{name}'. Please use "
                             "DESC INTEGRATION to check out allowed and blocked locations.")


# --- using it

def failure(cause, status, code):
    return SnowflakeError("091003", "55000", f"Failure using stage area. Cause: [{cause} (Status Code: {status}; Error Code: {code})]")


def shown(stage):
    """What LIST and COPY put before a file's path."""
    place = parse_url(stage.external["url"])
    host = f"{place.account}.blob.core.windows.net/" if place.account else ""
    return f"{place.provider.lower()}://{host}{place.prefix}".rstrip("/")


def authorise(stages, stage, right, path=""):
    """Raises unless the stage's integration or credentials allow it; `right` is one of r, l, d, as in a SAS."""
    given, place = stage.external, parse_url(stage.external["url"])
    names = stages.settings.buckets
    if names and place.bucket not in names.split(","):
        raise failure("The specified bucket does not exist", 404, "ContainerNotFound" if place.account else "NoSuchBucket")
    if given["integration"] is not None:
        if place.account is not None and place.account not in stages.accounts.azure:
            raise failure("The storage account is not known", 404, "ResourceNotFound")
        return allowed(stages.catalog, given["integration"], given["url"])
    credentials = given["credentials"] or {}
    if place.provider == "S3":
        return _authorise_s3(stages.accounts, credentials)
    if place.account not in stages.accounts.azure or not credentials:
        raise failure("Server failed to authenticate the request.", 403, "AuthenticationFailed")
    try:
        check_token(credentials["AZURE_SAS_TOKEN"], place.account, stages.accounts.azure_keys(place.account), place.bucket, place.path + path, right)
    except AzureError as error:
        raise failure(error.message, error.status, error.code) from None


def _authorise_s3(accounts, credentials):
    if not credentials:
        raise failure("Access Denied", 403, "AccessDenied")
    known = accounts.s3.get(credentials.get("AWS_KEY_ID"))
    if known is None:
        raise failure("The AWS Access Key Id you provided is not valid.", 403, "InvalidAccessKeyId")
    secret, token, until = known
    if secret != credentials.get("AWS_SECRET_KEY"):
        raise failure("The request signature we calculated does not match the signature you provided.", 403, "SignatureDoesNotMatch")
    if token != credentials.get("AWS_TOKEN"):
        raise failure("The provided token is malformed or otherwise invalid.", 400, "InvalidToken")
    if until is not None and until < time.time():
        raise failure("The provided token has expired.", 400, "ExpiredToken")


def _key(place):
    return f"{place.account}:{place.prefix}" if place.account else place.prefix


def files(stages, stage):
    from .stages import Staged
    authorise(stages, stage, "l")
    key = _key(parse_url(stage.external["url"]))
    return [Staged(t.key[len(key):], t.size, t.md5, t.modified, t.path, t) for t in stages.objects.under(key)]


def find(stages, stage, name):
    from .stages import Staged
    authorise(stages, stage, "r", name)
    thing = stages.objects.get(_key(parse_url(stage.external["url"])) + name)
    return None if thing is None else Staged(name, thing.size, thing.md5, thing.modified, thing.path, thing)
