"""Stages: PUT's answer, LIST, REMOVE, and reading a staged file as COPY does."""
import base64
import bz2
import hashlib
import os
import secrets
import shutil
import time
import zlib

import zstandard
from isal import isal_zlib

from . import external
from .accounts import BUCKET
from .catalog import resolve
from .encryption import BadEncryption, Digest, check_matdesc, decryptor, material_of
from .errors import SnowflakeError, does_not_exist, unsupported
from .lexer import Cursor, tokens_of

CHUNK = 1 << 20


class Stages:
    """Staged files of every location type, and the credentials that were handed out for them."""

    def __init__(self, folder, objects, settings, catalog, accounts):
        self.local, self.objects, self.settings, self.catalog = os.path.join(folder, "local"), objects, settings, catalog
        self.accounts = accounts
        self.endpoints = {}                # location → plain URL; "tls" + location → host:port
        self.credentials = Credentials(settings)

    def prefix(self, stage):
        return f"stages/{stage.number}/"

    def location(self, stage):
        return stage.location or self.settings.default_location

    def files(self, stage):
        """Every file as (path within the stage, size, md5, modified, Object or None)."""
        if stage.external:
            return external.files(self, stage)
        prefix, found = f"{BUCKET}/{self.prefix(stage)}", []
        for thing in self.objects.under(prefix):
            found.append(Staged(thing.key[len(prefix):], thing.size, thing.md5, thing.modified, thing.path, thing))
        folder = os.path.join(self.local, str(stage.number))
        for base, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(base, name)
                facts = os.stat(path)
                found.append(Staged(os.path.relpath(path, folder), facts.st_size, None, facts.st_mtime, path, None))
        return sorted(found, key=lambda f: f.name)

    def find(self, stage, name):
        if stage.external:
            return external.find(self, stage, name)
        thing = self.objects.get(f"{BUCKET}/{self.prefix(stage)}{name}")
        if thing is not None:
            return Staged(name, thing.size, thing.md5, thing.modified, thing.path, thing)
        path = os.path.join(self.local, str(stage.number), name)
        if ".." not in name.split("/") and os.path.isfile(path):
            facts = os.stat(path)
            return Staged(name, facts.st_size, None, facts.st_mtime, path, None)
        return None

    def remove(self, stage, staged):
        if stage.external:
            external.authorise(self, stage, "d")
        if staged.object is not None:
            self.objects.delete(staged.object.key)
        else:
            os.unlink(staged.path)

    def forget(self, stage):
        if stage.external:
            return                                    # what is not ours stays
        for staged in self.files(stage):
            self.remove(stage, staged)
        shutil.rmtree(os.path.join(self.local, str(stage.number)), ignore_errors=True)

    def smk_id(self, stage):
        return 92019681909886000 + stage.number

    def open_plain(self, stage, staged):
        """Chunks of the file as the client had it before encryption; checks encryption and digest."""
        digest, step = Digest(), None
        expected = None
        if stage.external:
            with open(staged.path, "rb") as file:
                while chunk := file.read(CHUNK):
                    yield chunk
            return
        if staged.object is not None:
            wrapped, iv, matdesc, expected = material_of(staged.object.meta, staged.object.location)
            if stage.encrypted:
                check_matdesc(matdesc, len(base64.b64decode(stage.master_key)), self.smk_id(stage),
                              None if self.catalog.restored else stage.query_ids)
                step = decryptor(stage.master_key, wrapped, iv)
            elif wrapped or iv:
                raise BadEncryption("the stage is not client-side encrypted, but the object is")
            if not expected:
                raise BadEncryption("the object has no sfc digest")
        with open(staged.path, "rb") as file:
            while chunk := file.read(CHUNK):
                plain = step(chunk) if step else chunk
                digest.update(plain)
                yield plain
        if step:
            plain = step(None)
            digest.update(plain)
            yield plain
        if expected is not None and digest.text() != expected and self.settings.strict_digest:
            raise BadEncryption(f"digest {expected}, the content has {digest.text()}")

    def put_data(self, call, stage, path, sources, options):
        """`data` of PUT's answer."""
        location, settings = self.location(stage), self.settings
        if location == "GCS" and stage.presigned and len(sources) == 1 and not any(c in sources[0] for c in "*?"):
            name = os.path.basename(sources[0])
        else:
            name = ""
        info = self.stage_info(call, stage, path, name)
        data = {"stageInfo": info, "src_locations": sources, "command": "UPLOAD",
                "parallel": options.get("PARALLEL", 4), "autoCompress": options.get("AUTO_COMPRESS", True),
                "sourceCompression": str(options.get("SOURCE_COMPRESSION", "AUTO_DETECT")).lower(),
                "overwrite": options.get("OVERWRITE", False), "threshold": settings.threshold_bytes,
                "clientShowEncryptionParameter": True, "statementTypeId": None, "queryId": call.query.id}
        if stage.encrypted and location != "LOCAL_FS":
            stage.query_ids.add(call.query.id)
            data["encryptionMaterial"] = {"queryStageMasterKey": stage.master_key, "queryId": call.query.id,
                                          "smkId": self.smk_id(stage)}
        return data

    def get_data(self, call, stage, path, found, target, options):
        """`data` of GET's answer."""
        location = self.location(stage)
        prefix = path[:path.rfind("/") + 1]              # the client writes what comes after the first "/" of each name
        info = self.stage_info(call, stage, prefix.rstrip("/"), "")
        data = {"stageInfo": info, "src_locations": [f.name[len(prefix):] for f in found], "command": "DOWNLOAD", "localLocation": target,
                "parallel": options.get("PARALLEL", 10), "statementTypeId": None, "queryId": call.query.id,
                "clientShowEncryptionParameter": True}
        if stage.encrypted and location != "LOCAL_FS":
            data["encryptionMaterial"] = [{"queryStageMasterKey": stage.master_key, "queryId": call.query.id, "smkId": self.smk_id(stage)}
                                          for _ in found]
        if location == "GCS" and stage.presigned:
            base = info["presignedUrl"].split(f"/{BUCKET}/")[0]
            data["presignedUrls"] = [self.credentials.presigned(base, f.object.key, "GET") for f in found]
        return data

    def stage_info(self, call, stage, path, name):
        location, key = self.location(stage), self.prefix(stage) + (path + "/" if path else "")
        info = {"locationType": location, "location": f"{BUCKET}/{key}", "path": key, "region": "us-west-2",
                "storageAccount": None, "endPoint": None, "isClientSideEncrypted": stage.encrypted, "creds": {},
                "presignedUrl": None, "useS3RegionalUrl": False, "useRegionalUrl": False, "useVirtualUrl": False,
                "volumeHash": None}
        if location == "LOCAL_FS":
            info["location"] = os.path.join(self.local, str(stage.number), path)
            os.makedirs(info["location"], exist_ok=True)
            info["isClientSideEncrypted"] = False
            return info
        style = self.settings.endpoint_style
        official = call.session.application in ("PythonConnector", "Go", "JDBC", "ODBC")
        tls = f"tls{location}" in self.endpoints and (style == "tls" or style == "auto" and official)
        info["endPoint"] = self.endpoints[f"tls{location}" if tls else location]
        if location == "S3":
            info["creds"] = self.credentials.s3()
        elif location == "AZURE":
            info["storageAccount"] = "sfcsandbox"
            info["creds"] = {"AZURE_SAS_TOKEN": "?" + self.credentials.sas("sfcsandbox", BUCKET)}
        elif location == "GCS":
            if stage.presigned:
                base = info["endPoint"] if not tls else "https://" + info["endPoint"]
                info["presignedUrl"] = self.credentials.presigned(base, f"{BUCKET}/{key}{name}")
            else:
                info["creds"] = {"GCS_ACCESS_TOKEN": self.credentials.gcs()}
        return info


class Staged:
    def __init__(self, name, size, md5, modified, path, thing):
        self.name, self.size, self._md5, self.modified, self.path, self.object = name, size, md5, modified, path, thing

    @property
    def md5(self):
        if self._md5 is None:
            with open(self.path, "rb") as file:
                self._md5 = hashlib.file_digest(file, "md5").hexdigest()
        return self._md5


class Credentials:
    """Short-lived keys. `expire()` makes every one handed out so far invalid."""

    def __init__(self, settings):
        self.settings = settings
        self.s3_keys, self.gcs_tokens, self.links = {}, {}, {}
        self.azure_key, self.azure_past_keys = secrets.token_bytes(32), []

    def _until(self):
        return time.time() + self.settings.credential_validity_seconds

    def s3(self):
        key = "ASIA" + secrets.token_hex(8).upper()
        made = {"AWS_KEY_ID": key, "AWS_SECRET_KEY": secrets.token_urlsafe(30), "AWS_TOKEN": secrets.token_urlsafe(60)}
        made["AWS_ID"], made["AWS_KEY"] = made["AWS_KEY_ID"], made["AWS_SECRET_KEY"]
        self.s3_keys[key] = (made["AWS_SECRET_KEY"], made["AWS_TOKEN"], self._until())
        return made

    def gcs(self):
        token = "ya29." + secrets.token_urlsafe(80)
        self.gcs_tokens[token] = self._until()
        return token

    def presigned(self, base, key, method="PUT"):
        signature = secrets.token_hex(32)
        self.links[signature] = (key, self._until(), method)
        from urllib.parse import quote
        return f"{base}/{quote(key)}?X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Expires=3600&X-Goog-Signature={signature}"

    def sas(self, account, container):
        from .store_azure import sign_sas
        stamp = lambda t: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(t))
        return sign_sas(self.azure_key, account, container, stamp(time.time() - 60), stamp(self._until()))

    def expire(self):
        past = time.time() - 1
        self.s3_keys = {k: (s, t, past) for k, (s, t, _) in self.s3_keys.items()}
        self.gcs_tokens = {t: past for t in self.gcs_tokens}
        self.links = {s: (k, past, m) for s, (k, _, m) in self.links.items()}
        # A SAS knows whole seconds only: which ones were handed out before now is told by their key.
        self.azure_past_keys.append(self.azure_key)
        self.azure_key = secrets.token_bytes(32)


# --- names

def parse_stage(call, written):
    """(Stage, path within it, shown prefix) of @name/path."""
    body = written[1:]
    if body.startswith(("~", "%")):
        raise unsupported("user and table stages")
    cursor_text, path, quoted = "", "", False
    for i, c in enumerate(body):
        if c == '"':
            quoted = not quoted
        if c == "/" and not quoted:
            cursor_text, path = body[:i], body[i + 1:]
            break
    else:
        cursor_text = body
    parts = Cursor(tokens_of(cursor_text)).name()
    full = resolve(call.session, parts)
    stage = call.catalog.get("stages", full)
    call.session.require("USAGE", "stage", full[2])
    return stage, path, external.shown(stage) if stage.external else full[2].lower()


def stage_token(cursor):
    token = cursor.next()
    if token.kind == "stage":
        return token.text
    if token.kind == "string" and token.value.startswith("@"):
        return token.value
    raise does_not_exist("Stage", token.text)


def matches(pattern, name):
    import re
    return pattern is None or re.fullmatch(pattern, name) is not None


def decompressor(kind, name, first):
    """A function chunk → chunk; None ends it. kind as COMPRESSION says; AUTO looks at the content."""
    if kind == "AUTO":
        kind = "GZIP" if first[:2] == b"\x1f\x8b" else "ZSTD" if first[:4] == b"\x28\xb5\x2f\xfd" else \
            "BZ2" if first[:3] == b"BZh" else "NONE"
    if kind == "NONE":
        return lambda chunk: chunk or b""
    if kind == "ZSTD":
        return _Frames(lambda: zstandard.ZstdDecompressor().decompressobj(), zstandard.ZstdError)
    if kind == "BZ2":
        return _Frames(bz2.BZ2Decompressor, OSError)
    bits = {"GZIP": 31, "DEFLATE": 15, "RAW_DEFLATE": -15}[kind]
    return _Frames(lambda: isal_zlib.decompressobj(bits), (isal_zlib.error, zlib.error))


class _Frames:
    """Concatenated frames or members, each to its end."""

    def __init__(self, make, failure):
        self.make, self.failure, self.current, self.fed = make, failure, make(), False

    def __call__(self, chunk):
        try:
            if chunk is None:
                if self.fed and not self.current.eof:
                    raise _damaged("unexpected end of compressed data")
                return b""
            out = []
            while chunk:
                if self.current.eof:
                    self.current = self.make()
                self.fed = True
                out.append(self.current.decompress(chunk))
                chunk = self.current.unused_data if self.current.eof else b""
            return b"".join(out)
        except self.failure as error:
            raise _damaged(str(error)) from None


def _damaged(why):
    return SnowflakeError("100073", "22000", f"Error while decompressing: {why}")
