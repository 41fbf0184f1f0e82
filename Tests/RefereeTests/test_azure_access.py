"""The Azure stand-in driven by Microsoft's own clients: keys, shared access signatures, tokens (azure-identity), endpoints."""
import base64
import os
import re
import time
import urllib.parse
import uuid

import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientAssertionCredential, ClientSecretCredential, ManagedIdentityCredential, WorkloadIdentityCredential
from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas, generate_blob_sas
from azure.storage.filedatalake import (
    DirectorySasPermissions, FileSasPermissions, FileSystemSasPermissions, generate_directory_sas, generate_file_sas,
    generate_file_system_sas)
from azure_rig import code_of, container, defaults, fs, hour, lake, refused, signed, standin, written  # noqa: F401 (fixtures)

from Sandbox.azure.world import ACCOUNT, ASSERTION, CLIENT, IDENTITY_HEADER, KEY, SECRET, SYSTEM_IDENTITY, TENANT, USER_IDENTITY


# --- keys

class TestSharedKey:
    def test_wrong_key(self, standin, fs):
        lake = standin.lake(credential=base64.b64encode(b"x" * 64).decode()).get_file_system_client(fs.file_system_name)
        blobs = standin.blobs(credential=base64.b64encode(b"x" * 64).decode()).get_container_client(fs.file_system_name)
        for attempt in (lake.get_file_client("f").create_file, lambda: list(lake.get_paths()), lambda: list(blobs.list_blobs())):
            with pytest.raises(ClientAuthenticationError) as found:
                attempt()
            assert code_of(found) == "AuthenticationFailed" and found.value.status_code == 403

    def test_rotation(self, standin, fs):
        second = base64.b64encode(os.urandom(64)).decode()
        standin.control("keys", {"keys": [KEY, second]})
        standin.lake(credential=second).get_file_system_client(fs.file_system_name).get_file_client("f").create_file()
        standin.control("keys", {"keys": [second]})
        with pytest.raises(ClientAuthenticationError):
            fs.get_file_client("g").create_file()
        standin.control("keys", {"keys": [KEY]})

    @pytest.mark.parametrize("offset", [1000, -1000])
    def test_clock_skew(self, standin, fs, offset):
        standin.control("settings", {"clock_offset_seconds": offset * 0.8})
        fs.get_file_client("f").create_file()
        standin.control("settings", {"clock_offset_seconds": offset})
        error = refused("AuthenticationFailed", fs.get_file_client("g").create_file, status=403)
        assert "Request date header too old" in error.response.text()

    def test_versions_are_checked(self, fs):
        for version in ("2099-01-01", "nonsense", "2015-12-11"):
            url, headers = signed(fs, "GET", "f", "", {"x-ms-version": version})
            answer = requests.get(url, headers=headers)
            assert (answer.status_code, answer.headers["x-ms-error-code"]) == (400, "InvalidHeaderValue")

    def test_without_authorization(self, standin, fs):
        answer = requests.get(f"{standin.url}/{fs.file_system_name}/f", headers={"x-ms-version": "2023-11-03"})
        assert (answer.status_code, answer.headers["x-ms-error-code"]) == (401, "NoAuthenticationInformation")
        assert f"/{TENANT}/oauth2/authorize" in answer.headers["WWW-Authenticate"]

    def test_http_and_keys_may_be_forbidden(self, standin, fs):
        standin.control("settings", {"https_only": True})
        refused("AccountRequiresHttps", fs.get_file_client("f").create_file, status=400)
        tls = standin.lake(standin.tls_url).get_file_system_client(fs.file_system_name)
        tls.get_file_client("f").create_file()
        standin.control("settings", {"shared_key_allowed": False})
        refused("KeyBasedAuthenticationNotPermitted", tls.get_file_client("f").create_file, status=403)
        standin.control("settings", {"shared_key_allowed": True, "https_only": False})

    def test_every_error_says_who_it_is(self, fs):
        error = refused("PathNotFound", fs.get_file_client("no").append_data, b"x", 0, 1)
        assert re.search(r"RequestId:\S+\nTime:\d{4}-\d\d-\d\dT", error.message)
        assert error.response.headers["x-ms-request-id"] in error.message
        assert error.response.headers["x-ms-client-request-id"] == error.response.request.headers["x-ms-client-request-id"]
        assert "application/json" in error.response.headers["Content-Type"]


class TestSas:
    def client(self, standin, fs, sas):
        return standin.lake(credential=sas).get_file_system_client(fs.file_system_name)

    def test_file_system(self, standin, fs):
        sas = generate_file_system_sas(ACCOUNT, fs.file_system_name, KEY, FileSystemSasPermissions.from_string("racwdlm"), hour())
        mine = self.client(standin, fs, sas)
        file = written(mine.get_file_client("a/b é"), b"hi")
        assert file.download_file().readall() == b"hi" and [p.name for p in mine.get_paths("a")] == ["a/b é"]
        file = file.rename_file(f"{fs.file_system_name}/a/c")
        lease = file.acquire_lease(15)
        lease.release()
        file.delete_file()

    def test_permissions(self, standin, fs):
        written(fs.get_file_client("f"), b"hi")
        mine = self.client(standin, fs, generate_file_system_sas(ACCOUNT, fs.file_system_name, KEY, "r", hour()))
        assert mine.get_file_client("f").download_file().readall() == b"hi"
        for attempt in (lambda: list(mine.get_paths()), lambda: mine.get_file_client("f").append_data(b"x", 2, 1), mine.get_file_client("g").create_file,
                        mine.get_file_client("f").delete_file, lambda: mine.get_file_client("f").flush_data(2)):
            refused("AuthorizationPermissionMismatch", attempt, status=403)

    def test_file_and_directory(self, standin, fs):
        written(fs.get_file_client("d/e/f"), b"hi")
        written(fs.get_file_client("other"), b"no")
        one = generate_file_sas(ACCOUNT, fs.file_system_name, "d/e", "f", KEY, FileSasPermissions(read=True), hour())
        assert self.client(standin, fs, one).get_file_client("d/e/f").download_file().readall() == b"hi"
        many = generate_directory_sas(ACCOUNT, fs.file_system_name, "d", KEY, DirectorySasPermissions(read=True, write=True, create=True), hour())
        mine = self.client(standin, fs, many)
        written(mine.get_file_client("d/g"), b"x")
        for sas in (one, many):
            error = refused("AuthenticationFailed", self.client(standin, fs, sas).get_file_client("other").download_file, status=403)
            assert "Signature did not match" in error.response.text()

    def test_time_and_protocol(self, standin, fs):
        make = lambda **more: generate_file_system_sas(ACCOUNT, fs.file_system_name, KEY, "racwdl", **{"expiry": hour(), **more})
        for sas in (make(expiry=hour(-1)), make(start=hour(0.5))):
            error = refused("AuthenticationFailed", self.client(standin, fs, sas).get_file_client("f").create_file, status=403)
            assert "Signature not valid in the specified time frame" in error.response.text()
        refused("AuthorizationProtocolMismatch", self.client(standin, fs, make(protocol="https")).get_file_client("f").create_file, status=403)
        refused("AuthorizationSourceIPMismatch", self.client(standin, fs, make(ip="10.0.0.1-10.0.0.9")).get_file_client("f").create_file, status=403)
        self.client(standin, fs, make(ip="127.0.0.0-127.0.0.9")).get_file_client("f").create_file()
        tls = standin.lake(standin.tls_url, make(protocol="https")).get_file_system_client(fs.file_system_name)
        tls.get_file_client("f").create_file()
        standin.control("settings", {"clock_offset_seconds": 7200})
        refused("AuthenticationFailed", self.client(standin, fs, make()).get_file_client("f").create_file, status=403)

    def test_listing_by_directory(self, standin, fs):
        fs.get_file_client("d/e/f").create_file()
        fs.get_file_client("other").create_file()
        mine = self.client(standin, fs, generate_directory_sas(ACCOUNT, fs.file_system_name, "d", KEY, "rl", hour()))
        assert [p.name for p in mine.get_paths("d")] == ["d/e", "d/e/f"]
        refused("AuthenticationFailed", lambda: list(mine.get_paths()), status=403)

    def test_account(self, standin, fs):
        make = lambda types: generate_account_sas(ACCOUNT, KEY, ResourceTypes.from_string(types),
                                                  AccountSasPermissions(read=True, write=True, list=True, create=True), hour())
        mine = self.client(standin, fs, make("sco"))
        written(mine.get_file_client("f"), b"hi")
        assert [p.name for p in mine.get_paths()] == ["f"]
        refused("AuthorizationResourceTypeMismatch", lambda: list(self.client(standin, fs, make("o")).get_paths()), status=403)
        refused("AuthorizationPermissionMismatch", mine.get_file_client("f").delete_file, status=403)

    def test_forged(self, standin, fs):
        sas = generate_file_system_sas(ACCOUNT, fs.file_system_name, KEY, "r", hour()).replace("sp=r", "sp=rw")
        refused("AuthenticationFailed", self.client(standin, fs, sas).get_file_client("f").create_file, status=403)

    def test_blob(self, standin, fs, container):
        container.upload_blob("x/y", b"data")
        sas = generate_blob_sas(ACCOUNT, fs.file_system_name, "x/y", account_key=KEY, permission="r", expiry=hour())
        mine = standin.blobs(credential=sas).get_container_client(fs.file_system_name)
        assert mine.download_blob("x/y").readall() == b"data"
        refused("AuthorizationPermissionMismatch", mine.upload_blob, "x/y", b"new", overwrite=True, status=403)


# --- tokens

class TestTokens:
    def secret(self, standin, secret=SECRET, client=CLIENT, tenant=TENANT):
        return ClientSecretCredential(tenant, client, secret, authority=standin.authority, disable_instance_discovery=True, connection_verify=standin.ca)

    def test_client_secret(self, standin, fs):
        standin.control("signins", method="DELETE")
        mine = standin.lake(standin.tls_url, self.secret(standin)).get_file_system_client(fs.file_system_name)
        file = written(mine.get_file_client("f"), b"hi")
        assert file.download_file().readall() == b"hi"
        posts = [r for r in standin.control("signins")["requests"] if r["method"] == "POST"]
        assert len(posts) == 1 and posts[0]["target"] == f"/{TENANT}/oauth2/v2.0/token"
        form = dict(urllib.parse.parse_qsl(posts[0]["body"]))
        assert {n: form[n] for n in ("client_id", "client_secret", "grant_type", "scope")} == {
            "client_id": CLIENT, "client_secret": SECRET, "grant_type": "client_credentials", "scope": "https://storage.azure.com/.default"}

    @pytest.mark.parametrize("wrong, code", [({"secret": "no"}, "AADSTS7000215"), ({"client": "nobody"}, "AADSTS700016"),
                                             ({"tenant": SYSTEM_IDENTITY}, "AADSTS90002")])
    def test_refused_sign_in(self, standin, wrong, code):
        with pytest.raises(ClientAuthenticationError) as found:
            self.secret(standin, **wrong).get_token("https://storage.azure.com/.default")
        assert code in str(found.value)

    def test_workload_identity(self, standin, fs, tmp_path, monkeypatch):
        token = tmp_path / "token"
        token.write_text(ASSERTION)
        credential = WorkloadIdentityCredential(tenant_id=TENANT, client_id=CLIENT, token_file_path=str(token), authority=standin.authority,
                                                disable_instance_discovery=True, connection_verify=standin.ca)
        written(standin.lake(standin.tls_url, credential).get_file_system_client(fs.file_system_name).get_file_client("f"), b"hi")
        with pytest.raises(ClientAuthenticationError) as found:
            ClientAssertionCredential(TENANT, CLIENT, lambda: "another", authority=standin.authority, disable_instance_discovery=True,
                                      connection_verify=standin.ca).get_token("https://storage.azure.com/.default")
        assert "AADSTS700213" in str(found.value)

    @pytest.mark.parametrize("client", [None, USER_IDENTITY])
    def test_imds(self, standin, fs, monkeypatch, client):
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", standin.origin)
        standin.control("signins", method="DELETE")
        credential = ManagedIdentityCredential(**({"client_id": client} if client else {}))
        written(standin.lake(standin.tls_url, credential).get_file_system_client(fs.file_system_name).get_file_client("f"), b"hi")
        asked = standin.control("signins")["requests"][-1]
        assert asked["target"] == ("/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://storage.azure.com"
                                   + (f"&client_id={client}" if client else "")) and asked["headers"]["metadata"] == "true"

    def test_app_service(self, standin, fs, monkeypatch):
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{standin.origin}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", IDENTITY_HEADER)
        written(standin.lake(standin.tls_url, ManagedIdentityCredential()).get_file_system_client(fs.file_system_name).get_file_client("f"), b"hi")
        monkeypatch.setenv("IDENTITY_HEADER", "wrong")
        with pytest.raises(ClientAuthenticationError):
            ManagedIdentityCredential().get_token("https://storage.azure.com/.default")

    def test_the_forms_are_those_that_were_captured(self, standin):
        """The captured requests, sent as they are; and spoiled, which must not pass."""
        resource = "api-version=2018-02-01&resource=https://storage.azure.com"
        imds = f"{standin.origin}/metadata/identity/oauth2/token?{resource}"
        answer = requests.get(imds, headers={"Metadata": "true"})
        assert answer.status_code == 200 and answer.json()["expires_in"] == "3600"
        assert requests.get(imds).status_code == 400 and requests.get(imds + "&client_id=nobody", headers={"Metadata": "true"}).status_code == 400
        form = (f"client_assertion={ASSERTION}&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_id={CLIENT}"
                "&grant_type=client_credentials&scope=https://storage.azure.com/.default")
        url, kind = f"{standin.origin}/{TENANT}/oauth2/v2.0/token", {"Content-Type": "application/x-www-form-urlencoded"}
        assert requests.post(url, form, headers=kind).json()["expires_in"] == 3600
        for spoiled in (form.replace("jwt-bearer", "saml"), form.replace("client_credentials", "password"), form.replace("/.default", ""),
                        form.replace("client_assertion=", "x=")):
            assert requests.post(url, spoiled, headers=kind).status_code in (400, 401)
        assert requests.post(url, form, headers={"Content-Type": "application/json"}).status_code == 400

    def test_tokens_end(self, standin, fs):
        mine = standin.lake(standin.tls_url, standin.token(seconds=60)).get_file_system_client(fs.file_system_name)
        mine.get_file_client("f").create_file()
        standin.control("settings", {"clock_offset_seconds": 61})
        error = refused("InvalidAuthenticationInfo", mine.get_file_client("f").create_file, status=401)
        assert f"/{TENANT}/oauth2/authorize" in error.response.headers["WWW-Authenticate"]
        standin.control("settings", {"clock_offset_seconds": 0})
        mine.get_file_client("f").create_file()
        standin.control("expire-tokens", {})
        refused("InvalidAuthenticationInfo", mine.get_file_client("f").create_file, status=401)

    def test_the_client_signs_in_again_before_a_token_ends(self, standin, fs):
        """With less than five minutes left a token counts as old: one sign-in for every request."""
        signins = lambda: standin.control("operations")["operations"].get("token", 0)
        for seconds, wanted in ((200, 3), (3600, 1)):
            standin.control("settings", {"token_seconds": seconds})
            mine = standin.lake(standin.tls_url, self.secret(standin)).get_file_system_client(fs.file_system_name)
            before = signins()
            for _ in range(3):
                mine.get_file_client("f").create_file()
            assert signins() - before == wanted

    def test_rights(self, standin, fs):
        written(fs.get_file_client("f"), b"hi")
        roles = {"reader": (True, False), "none": (False, False), "contributor": (True, True)}
        for role, (reads, writes) in roles.items():
            standin.control("principals", {"client_id": f"role-{role}", "role": role})
            file = standin.lake(standin.tls_url, standin.token(f"role-{role}")).get_file_system_client(fs.file_system_name).get_file_client("f")
            for allowed, attempt in ((reads, lambda f=file: f.download_file().readall()), (writes, lambda f=file: f.append_data(b"x", 2, 1))):
                attempt() if allowed else refused("AuthorizationPermissionMismatch", attempt, status=403)

    def test_token_for_something_else(self, standin, fs):
        token = self.secret(standin).get_token("https://vault.azure.net/.default").token
        answer = requests.get(f"{standin.url}/{fs.file_system_name}/f", headers={"x-ms-version": "2023-11-03", "Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.headers["x-ms-error-code"]) == (401, "InvalidAuthenticationInfo")

    def test_recursive_delete_goes_page_by_page(self, standin, fs):
        standin.control("settings", {"delete_page": 3})
        for number in range(10):
            fs.get_file_client(f"d/{number % 3}/{number}").create_file()
        mine = standin.lake(standin.tls_url, standin.token()).get_file_system_client(fs.file_system_name)
        before = standin.control("operations")["operations"].get("delete", 0)
        mine.get_directory_client("d").delete_directory()
        assert list(fs.get_paths()) == [] and standin.control("operations")["operations"]["delete"] - before == 5


# --- endpoints

class TestEndpoints:
    def test_by_host_as_the_service_does(self, standin, fs):
        """ACCOUNT.dfs.… and ACCOUNT.blob.… on one port; the client derives the second name from the first."""
        lake = standin.lake(f"http://{ACCOUNT}.dfs.localhost:{standin.ports['azure']}", {"account_name": ACCOUNT, "account_key": KEY})
        mine = lake.get_file_system_client(fs.file_system_name)
        file = written(mine.get_file_client("a/b ü"), b"hi")
        assert file.download_file().readall() == b"hi" and file.get_file_properties().size == 2
        lease = file.acquire_lease(15)
        file.append_data(b"!", 2, 1, flush=True, lease=lease)
        assert [p.name for p in mine.get_paths()] == ["a", "a/b ü"]
        assert fs.file_system_name in [f.name for f in lake.list_file_systems()]
        file.rename_file(f"{fs.file_system_name}/c", lease=None, source_lease=lease)

    def test_the_lake_forms_that_the_client_does_not_use(self, standin, fs):
        """File systems and HEAD at the DFS endpoint, as the documentation has them."""
        def ask(method, path, query="", **headers):
            url, given = signed(fs, method, path, query, {n.replace("_", "-"): v for n, v in headers.items()})
            answer = requests.request(method, url, headers=given)
            return answer.status_code, answer.headers.get("x-ms-error-code"), answer

        name = "form-" + uuid.uuid4().hex[:8]
        assert ask("PUT", f"/{name}", "resource=filesystem")[0] == 201
        assert ask("PUT", f"/{name}", "resource=filesystem")[:2] == (409, "FilesystemAlreadyExists")
        assert name in [one["name"] for one in ask("GET", "/", "resource=account")[2].json()["filesystems"]]
        assert ask("PUT", f"/{name}/a", "resource=file", x_ms_properties="p=b3JkZXJz,t=AQI=")[0] == 201
        status, _, answer = ask("HEAD", f"/{name}/a")
        assert (status, answer.headers["x-ms-properties"], answer.headers["x-ms-resource-type"]) == (200, "p=b3JkZXJz,t=AQI=", "file")
        assert "x-ms-properties" not in ask("HEAD", f"/{name}/a", "action=getStatus")[2].headers
        assert ask("PATCH", f"/{name}/a", "action=setProperties", x_ms_properties="p=bmV3")[0] == 200
        assert ask("HEAD", f"/{name}/a")[2].headers["x-ms-properties"] == "p=bmV3"
        assert ask("HEAD", f"/{name}/b")[:2] == (404, "PathNotFound")
        assert ask("PUT", f"/{name}/c", "resource=file", x_ms_properties="p=%%%")[:2] == (400, "InvalidHeaderValue")
        assert ask("DELETE", f"/{name}/a")[0] == 200 and ask("DELETE", f"/{name}/a")[:2] == (404, "PathNotFound")
        assert ask("PATCH", f"/{name}/a", "action=fly")[:2] == (400, "InvalidQueryParameterValue")
        assert ask("DELETE", f"/{name}", "resource=filesystem")[0] == 202
        assert ask("GET", f"/{name}", "recursive=true&resource=filesystem")[:2] == (404, "FilesystemNotFound")

    def test_length_is_required(self, standin, fs):
        url, headers = signed(fs, "PATCH", "f", "action=append&position=0")
        answer = requests.patch(url, headers=headers, data=iter([b"chunk"]))
        assert (answer.status_code, answer.headers["x-ms-error-code"]) == (411, "MissingContentLengthHeader")

    def test_strict_ports(self, standin, fs):
        strict = lambda name: f"http://127.0.0.1:{standin.ports[name]}/{ACCOUNT}"
        blob = standin.lake(strict("blob")).get_file_system_client(fs.file_system_name)
        refused("UnsupportedQueryParameter", blob.get_file_client("f").create_file, status=400)
        refused("UnsupportedQueryParameter", standin.blobs(strict("dfs")).get_container_client(fs.file_system_name).upload_blob, "b", b"x", status=400)
        standin.blobs(strict("blob")).get_container_client(fs.file_system_name).upload_blob("b", b"x")

    def test_another_account(self, standin, fs):
        url = standin.url.replace(ACCOUNT, "another")
        refused("InvalidUri", standin.lake(url, {"account_name": ACCOUNT, "account_key": KEY}).get_file_system_client("raw").get_file_client("f").create_file, status=400)
