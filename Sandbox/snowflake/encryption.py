"""Client-side encryption of staged files, checked and undone as a server would."""
import base64
import hashlib
import json

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from .errors import SnowflakeError


class BadEncryption(SnowflakeError):
    def __init__(self, why):
        super().__init__("100183", "22000", f"Failed to decrypt. Check file is not corrupted. [{why}]")


def material_of(meta, location):
    """(wrapped key, iv, matdesc, digest, algorithm fields) from an object's headers of one store."""
    if location == "S3":
        return (meta.get("x-amz-meta-x-amz-key"), meta.get("x-amz-meta-x-amz-iv"), meta.get("x-amz-meta-x-amz-matdesc"),
                meta.get("x-amz-meta-sfc-digest"))
    prefix, digest = ("x-ms-meta-", "x-ms-meta-sfcdigest") if location == "AZURE" else ("x-goog-meta-", "x-goog-meta-sfc-digest")
    raw = meta.get(prefix + "encryptiondata")
    if not raw:
        return None, None, meta.get(prefix + "matdesc"), meta.get(digest)
    try:
        data = json.loads(raw)
        wrapped, iv = data["WrappedContentKey"], data["ContentEncryptionIV"]
        agent = data["EncryptionAgent"]
        if data["EncryptionMode"] != "FullBlob" or wrapped["KeyId"] != "symmKey1" or wrapped["Algorithm"] != "AES_CBC_256" \
                or agent["Protocol"] != "1.0" or agent["EncryptionAlgorithm"] not in ("AES_CBC_128", "AES_CBC_256") \
                or not data["KeyWrappingMetadata"]["EncryptionLibrary"].startswith("Java"):
            raise BadEncryption("encryptiondata says another algorithm")
        return wrapped["EncryptedKey"], iv, meta.get(prefix + "matdesc"), meta.get(digest)
    except (ValueError, KeyError, TypeError) as error:
        raise BadEncryption(f"encryptiondata: {error!r}") from None


ORDERS = (["queryId", "smkId", "keySize"],         # Python, C, JDBC
          ["smkId", "queryId", "keySize"])         # gosnowflake, seen through ADBC 1.11.0


def check_matdesc(text, key_bytes, smk_id, query_ids):
    try:
        pairs = json.loads(text or "", object_pairs_hook=list)
    except ValueError:
        raise BadEncryption(f"matdesc is not JSON: {text!r}") from None
    if [k for k, _ in pairs] not in ORDERS or not all(isinstance(v, str) for _, v in pairs):
        raise BadEncryption(f"matdesc must be queryId, smkId, keySize in an official client's order, as strings: {text}")
    if text != json.dumps(dict(pairs), separators=(",", ":")):
        raise BadEncryption(f"matdesc is not compact: {text}")
    values = dict(pairs)
    if values["keySize"] != str(key_bytes * 8):
        raise BadEncryption(f"keySize {values['keySize']}, the stage key has {key_bytes * 8} bits")
    if values["smkId"] != str(smk_id):
        raise BadEncryption(f"smkId {values['smkId']} is not this stage's {smk_id}")
    if query_ids is not None and values["queryId"] not in query_ids:
        raise BadEncryption(f"queryId {values['queryId']} was never given for this stage")


def decryptor(master_key, wrapped, iv):
    """A function that decrypts chunk by chunk; called with None at the end."""
    if not wrapped or not iv:
        raise BadEncryption("the object has no key or iv")
    try:
        key, iv, wrapped = base64.b64decode(master_key), base64.b64decode(iv, validate=True), base64.b64decode(wrapped, validate=True)
        unwrap = Cipher(algorithms.AES(key), modes.ECB()).decryptor()
        unpad = padding.PKCS7(128).unpadder()
        file_key = unpad.update(unwrap.update(wrapped) + unwrap.finalize()) + unpad.finalize()
        if len(file_key) != len(key):
            raise BadEncryption(f"file key of {len(file_key)} bytes, the stage key has {len(key)}")
        body = Cipher(algorithms.AES(file_key), modes.CBC(iv)).decryptor()
    except ValueError as error:
        raise BadEncryption(str(error)) from None
    strip = padding.PKCS7(128).unpadder()

    def step(chunk):
        try:
            if chunk is not None:
                return strip.update(body.update(chunk))
            return strip.update(body.finalize()) + strip.finalize()
        except ValueError as error:
            raise BadEncryption(str(error)) from None
    return step


class Digest:
    """base64(sha256) of what the client hashed before it encrypted."""

    def __init__(self):
        self.sum = hashlib.sha256()

    def update(self, chunk):
        self.sum.update(chunk)

    def text(self):
        return base64.b64encode(self.sum.digest()).decode()
