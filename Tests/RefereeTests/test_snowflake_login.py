"""Ways into Snowflake through the real program: what it sends is what Snowflake's own connector sends for the same settings;
second factors, tokens that end, connections.toml; and nothing secret is shown or kept."""
import json
from pathlib import Path

import pytest
import snowflake.connector
from snowflake_gate import Gate

from Sandbox.program import call, settings
from Sandbox.stack import DATABASE, PASSWORD, SCHEMA, USER, Stack

PASSCODE, CLIENT, CLIENT_SECRET, TOKEN = "483920", "cl1ent", "pl@nted:client/s3cr+t", "planted.token+value/1"


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    with Stack(str(tmp_path_factory.mktemp("stack")), mongo=None) as running:
        yield running


@pytest.fixture
def gate(stack):
    made = Gate(stack.snowflake_url, USER, PASSWORD)
    yield made
    made.close()


class Load:
    """A file of 200 rows into a table, with a home folder of its own."""

    def __init__(self, stack, folder, gate, table):
        self.stack, self.folder, self.gate, self.table = stack, folder, gate, table
        (folder / "home" / ".snowflake").mkdir(parents=True)
        (folder / "in.csv").write_text("ID,NAME\n" + "".join(f"{n},name {n}\n" for n in range(200)))
        self.place = {"account": "sandbox", "host": gate.url, "user": USER, "database": DATABASE, "schema": SCHEMA,
                      "warehouse": "LOAD_WH"}
        self.said = ""

    def verb(self, name, *extra, env=None, **given):
        answer = call(name, "--source", "file", "--dest", "snowflake_optimized", "--name", self.table, "--state", self.folder / "state",
                      *settings(source__path=self.folder / "in.csv", pipeline__retry_for="5s", destination__table=self.table,
                                destination__micro_batch_timeout_ms=200),
                      *settings(**{f"destination__{name}": value for name, value in given.items()}), *extra,
                      env={"HOME": str(self.folder / "home")} | (env or {}))
        self.said += "".join(map(json.dumps, answer.said)) + answer.log
        return answer

    def run(self, *extra, env=None, **given):
        return self.verb("run", "--until-caught-up", *extra, "--log-level", "debug", env=env, **given)

    def connections(self, text, mode=0o600, name="connections.toml"):
        path = self.folder / "home" / ".snowflake" / name
        path.write_text(text)
        path.chmod(mode)
        return path

    def rows(self):
        return self.stack.sql(f'SELECT COUNT(*), COUNT(DISTINCT ID) FROM "{DATABASE}"."{SCHEMA}"."{self.table}"')[0][0]

    def hides(self, *secrets):
        """Neither said nor kept."""
        kept = b"".join(p.read_bytes() for p in (self.folder / "state").rglob("*") if p.is_file())
        for secret in secrets:
            assert secret not in self.said, secret
            assert secret.encode() not in kept, secret


@pytest.fixture
def killed(stack):
    """Sessions die under their COPY, twice: the load needs further logins."""
    stack.snowflake("faults", {"faults": [{"sql": "^COPY", "action": "kill", "times": 2}]})
    yield
    assert stack.snowflake("faults")["faults"][0]["done"] == 2
    stack.snowflake("faults", {"faults": []})


@pytest.fixture
def load(stack, tmp_path, gate, request):
    made = Load(stack, tmp_path, gate, "".join(c if c.isalnum() else "_" for c in request.node.name).upper()[-50:].strip("_"))
    yield made
    made.hides(PASSWORD, PASSCODE, CLIENT_SECRET, TOKEN, "planted-access-token", "planted-mfa-token")


# --- The same as Snowflake's own connector ---------------------------------------------------------------------------

SHOWN = ("LOGIN_NAME", "PASSWORD", "AUTHENTICATOR", "TOKEN", "PASSCODE", "EXT_AUTHN_DUO_METHOD")


def essence(data):
    """What says who logs in; a key pair's token is another each time."""
    told = {name: data[name] for name in SHOWN if data.get(name) is not None}
    if told.get("AUTHENTICATOR") == "SNOWFLAKE_JWT":
        told["TOKEN"] = "a JWT" if told["TOKEN"].count(".") == 2 else told["TOKEN"]
    told["OAUTH_TYPE"] = data["CLIENT_ENVIRONMENT"].get("OAUTH_TYPE")
    told["MFA"] = (data.get("SESSION_PARAMETERS") or {}).get("CLIENT_REQUEST_MFA_TOKEN")
    return told


# Settings that both know by one name, and what only theirs calls otherwise.
WAYS = {
    "password": ({"password": PASSWORD}, {}),
    "passcode": ({"password": PASSWORD, "passcode": PASSCODE, "authenticator": "username_password_mfa"},
                 {"client_request_mfa_token": True}),
    "oauth": ({"token": TOKEN, "authenticator": "oauth"}, {}),
    "programmatic access token": ({"token": TOKEN, "authenticator": "programmatic_access_token"}, {}),
    "OAuth client": ({"authenticator": "oauth_client_credentials", "oauth_client_id": CLIENT,
                      "oauth_client_secret": CLIENT_SECRET, "role": "LOADER"}, {}),
    "OAuth client with a scope": ({"authenticator": "oauth_client_credentials", "oauth_client_id": CLIENT,
                                   "oauth_client_secret": CLIENT_SECRET, "oauth_scope": "one two"}, {}),
    "key pair": ({"authenticator": "snowflake_jwt"}, {}),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_is_sent_is_what_snowflakes_own_connector_sends(load, tmp_path, way):
    ours, theirs = WAYS[way]
    if way == "key pair":
        key = key_file(tmp_path)
        ours, theirs = ours | {"private_key_path": key}, {"private_key_file": str(key)}
    listener = Gate()
    listener.token_answers = [(200, b'{"access_token": "the-same-for-both", "expires_in": 600}')] * 2
    try:
        given = {name: value for name, value in ours.items() if name != "private_key_path"}
        if "oauth_client_id" in ours:
            theirs = {"oauth_token_request_url": f"{listener.url}/oauth/token-request"}
        with pytest.raises(snowflake.connector.errors.Error):
            snowflake.connector.connect(
                account="sandbox", host="127.0.0.1", port=listener.port, protocol="http", user=USER, database=DATABASE,
                schema=SCHEMA, warehouse="LOAD_WH", login_timeout=5, **given, **theirs)
        answer = load.verb("validate", **load.place | {"host": listener.url}, **ours)
        assert answer.code == 3 and "snowflake.login_failed" in json.dumps(answer.said)
        [theirs, ours] = [listener.logins[0], listener.logins[-1]]
        assert essence(ours) == essence(theirs) and len(listener.logins) == 2
        assert ours["ACCOUNT_NAME"] == theirs["ACCOUNT_NAME"].upper()
        if listener.token_requests:
            [theirs, ours] = listener.token_requests
            assert (ours["path"], ours["form"]) == (theirs["path"], theirs["form"])
            for name in ("authorization", "accept", "content-type"):
                assert ours["headers"][name] == theirs["headers"][name]
        assert bool(listener.token_requests) == ("client" in way)
    finally:
        listener.close()


def key_file(folder: Path) -> Path:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path = folder / "key.p8"
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return path


# --- A second factor -------------------------------------------------------------------------------------------------

def test_one_passcode_opens_many_sessions(load, killed):
    load.gate.passcode = PASSCODE
    load.run(**load.place, password=PASSWORD, passcode=PASSCODE, connection_pool_size=4).done(committed=200)
    assert load.rows() == (200, 200)
    shown = [(login.get("PASSCODE"), login.get("TOKEN")) for login in load.gate.logins]
    assert shown[0] == (PASSCODE, None) and len(shown) > 2
    assert set(shown[1:]) == {(None, "planted-mfa-token-0")}


def test_without_mfa_tokens_a_pool_says_at_once_what_to_do(load):
    load.gate.passcode, load.gate.gives_mfa_token = PASSCODE, False
    error = load.run(**load.place, password=PASSWORD, passcode=PASSCODE).failed("snowflake.passcode_spent", 3)
    assert "connection_pool_size: 1" in error["remedy"] and "ALLOW_CLIENT_MFA_CACHING" in error["remedy"]
    assert len(load.gate.logins) == 1


def test_without_mfa_tokens_one_session_does(load):
    load.gate.passcode, load.gate.gives_mfa_token = PASSCODE, False
    load.run(**load.place, password=PASSWORD, passcode=PASSCODE, connection_pool_size=1).done(committed=200)
    assert load.rows() == (200, 200) and len(load.gate.logins) == 1


def test_a_wrong_passcode_is_no_reason_to_try_again(load):
    load.gate.passcode = "111111"
    error = load.run(**load.place, password=PASSWORD, passcode=PASSCODE).failed("snowflake.login_failed", 3)
    assert "passcode" in error["message"] and len(load.gate.logins) == 1


def test_without_a_passcode_the_device_is_asked_and_the_person_told(load):
    load.gate.passcode = PASSCODE
    answer = load.run(**load.place, password=PASSWORD, authenticator="username_password_mfa")
    answer.failed("snowflake.login_failed", 3)
    assert load.gate.logins[0]["EXT_AUTHN_DUO_METHOD"] == "push" and f"Approve the login of {USER} on your device" in answer.log


@pytest.mark.parametrize("authenticator", ["externalbrowser", "workload_identity"])
def test_what_needs_a_browser_or_a_cloud_says_so(load, authenticator):
    error = load.run(**load.place, authenticator=authenticator).failed("config.not_supported", 2)
    assert "snowflake_jwt" in error["remedy"] and not load.gate.logins


# --- An OAuth client -------------------------------------------------------------------------------------------------

@pytest.fixture
def client(load):
    load.gate.client = (CLIENT, CLIENT_SECRET)
    return load.place | {"authenticator": "oauth_client_credentials", "oauth_client_id": CLIENT, "oauth_client_secret": CLIENT_SECRET}


def test_one_token_serves_all_sessions(load, client, killed):
    load.run(**client, role="LOADER").done(committed=200)
    assert load.rows() == (200, 200)
    assert len(load.gate.token_requests) == 1 and len(load.gate.logins) > 2
    assert load.gate.token_requests[0]["form"] == {"grant_type": "client_credentials", "scope": "session:role:LOADER"}


def test_a_token_that_snowflake_no_longer_takes_is_replaced(load, client):
    load.gate.refuse_tokens = 1
    load.run(**client).done(committed=200)
    assert len(load.gate.token_requests) == 2 and load.rows() == (200, 200)


def test_a_token_is_not_replaced_for_ever(load, client):
    load.gate.refuse_tokens = 1000
    load.run(**client).failed("snowflake.login_failed", 3)
    assert len(load.gate.token_requests) == 2


def test_a_token_that_lives_short_is_asked_for_anew(load, client, killed):
    load.gate.lifetime = 0
    load.run(**client).done(committed=200)
    assert len(load.gate.token_requests) == len(load.gate.logins) > 2


def test_the_token_server_may_fail_for_a_moment(load, client):
    load.gate.token_answers = [(503, b"busy"), (500, b"{}")]
    load.run(**client).done(committed=200)
    assert len(load.gate.token_requests) == 3


def test_a_wrong_secret_is_told_without_showing_it(load, client):
    error = load.run(**client | {"oauth_client_secret": CLIENT_SECRET + "x"}).failed("credentials.refused", 3)
    assert "invalid_client" in error["message"] and "oauth_client_secret" in error["remedy"]
    assert len(load.gate.token_requests) == 1


def test_the_token_servers_address_may_be_another_but_not_plain(load, client):
    other = Gate()
    try:
        load.gate.tokens = ["planted-access-token-1"]
        load.run(**client, oauth_token_request_url=f"{other.url}/oauth2/token-request").done(committed=200)
        assert other.token_requests[0]["path"] == "/oauth2/token-request" and not load.gate.token_requests
    finally:
        other.close()
    load.run(**client, oauth_token_request_url="http://login.example.com/token").failed("config.bad_property", 2)


# --- A token's file --------------------------------------------------------------------------------------------------

def test_a_token_in_a_file(load, tmp_path):
    (tmp_path / "token").write_text(TOKEN + "\n")
    load.gate.client, load.gate.tokens = (CLIENT, ""), [TOKEN]
    load.run(**load.place, authenticator="oauth", token_file_path=tmp_path / "token").done(committed=200)
    assert load.gate.logins[0]["TOKEN"] == TOKEN
    (tmp_path / "token").unlink()
    load.run(**load.place, authenticator="oauth", token_file_path=tmp_path / "token").failed("credentials.unavailable", 3)


# --- connections.toml ------------------------------------------------------------------------------------------------

def toml(name, values):
    return f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())


@pytest.fixture
def named(load):
    values = load.place | {"host": "127.0.0.1", "port": load.gate.port, "protocol": "http", "password": PASSWORD}
    return values


def test_connection_suffices(load, named):
    load.connections(toml("other", {"account": "x"}) + toml("loader", named | {"autocommit": True, "paramstyle": "qmark"}))
    answer = load.run(connection="loader")
    answer.done(committed=200)
    assert load.rows() == (200, 200)
    assert "Connection 'loader' of " in answer.log and "autocommit, paramstyle not used here." in answer.log


def test_snowflakes_own_connector_reads_the_same_file_to_the_same_end(load, named, monkeypatch):
    path = load.connections(toml("loader", named))
    with snowflake.connector.connect(connection_name="loader", connections_file_path=path) as connection:
        theirs = connection.cursor().execute("SELECT CURRENT_USER(), CURRENT_DATABASE(), CURRENT_SCHEMA()").fetchone()
    assert theirs == (USER, DATABASE, SCHEMA)
    load.run(connection="loader", connections_file=path).done(committed=200)
    theirs, ours = load.gate.logins[0], load.gate.logins[1]
    assert essence(ours) == essence(theirs)


def test_moving_a_value_between_file_and_configuration_is_no_other_pipeline(load, named):
    load.run(**load.place, password=PASSWORD).done(committed=200)
    load.connections(toml("loader", named))
    load.run(connection="loader").done(committed=0)
    load.connections(toml("loader", {n: v for n, v in named.items() if n not in ("database", "account")}))
    load.run(connection="loader", database=DATABASE, account="sandbox").done(committed=0)
    load.run("--set", "destination.account=sandbox", env={
        "SNOWFLAKE_DEFAULT_CONNECTION_NAME": "loader", "SNOWFLAKE_DATABASE": "ELSEWHERE", "SNOWFLAKE_SCHEMA": SCHEMA,
        "SNOWFLAKE_HOST": load.gate.url, "SNOWFLAKE_USER": USER, "SNOWFLAKE_PASSWORD": PASSWORD}
    ).failed("state.identity_changed", 2)
    load.connections(toml("loader", named | {"schema": "OTHER"}))
    error = load.run(connection="loader").failed("state.identity_changed", 2)
    assert "schema" in error["message"]
    assert load.rows() == (200, 200)


def test_the_environment_names_the_connection_and_changes_its_keys(load, named):
    load.connections(toml("loader", named | {"password": "wrong-in-the-file"}))
    load.run(env={"SNOWFLAKE_DEFAULT_CONNECTION_NAME": "loader", "SNOWFLAKE_CONNECTIONS_LOADER_PASSWORD": PASSWORD,
                  "SNOWFLAKE_PASSWORD": "wrong-everywhere", "SNOWFLAKE_HOST": "http://127.0.0.1:1"}).done(committed=200)
    load.hides("wrong-in-the-file", "wrong-everywhere")


def test_what_the_pipeline_writes_wins(load, named):
    load.connections(toml("loader", named | {"password": "wrong-in-the-file", "warehouse": "OTHER_WH"}))
    load.run(connection="loader", password=PASSWORD, warehouse="LOAD_WH").done(committed=200)
    assert load.gate.logins[0]["PASSWORD"] == PASSWORD


def test_validate_names_what_is_missing_with_its_remedy(load, named):
    path = load.connections(toml("loader", {n: v for n, v in named.items() if n not in ("database", "user")}))
    answer = load.verb("validate", "--offline", connection="loader")
    assert answer.code == 2
    errors = {error["place"]["path"].rsplit(".", 1)[-1]: error for error in answer.errors}
    assert set(errors) == {"database", "user"}
    for error in errors.values():
        assert error["code"] == "config.missing_property" and f"or give it in connection 'loader' of {path}." in error["remedy"]
    [error] = load.verb("validate", "--offline", connection="laoder").errors
    assert (error["code"], error["remedy"]) == ("snowflake.no_connection", "Did you mean 'loader'? Known: loader.")


def test_the_files_rights_are_looked_at(load, named):
    path = load.connections(toml("loader", named), mode=0o644)
    answer = load.verb("validate", "--offline", connection="loader")
    assert answer.code == 0 and f"Others may read {path}" in answer.log
    assert not load.verb("validate", "--offline", connection="loader",
                         env={"SF_SKIP_TOKEN_FILE_PERMISSIONS_VERIFICATION": "true"}).log
    path.chmod(0o622)
    [error] = load.verb("validate", "--offline", connection="loader").errors
    assert error["code"] == "snowflake.bad_connections_file" and f"chmod 600 '{path}'" in error["remedy"]


@pytest.mark.parametrize("line", ['password = "planted-in-the-file', "password = planted-in-the-file", 'passcode = 99483920483920483920999',
                                  'password = "planted-in-the-file" planted-in-the-file', 'authenticator = "planted-in-the-file"'])
def test_a_fault_in_the_file_has_its_line_and_shows_no_secret(load, named, line):
    path = load.connections(toml("loader", {n: v for n, v in named.items() if n != "password"}) + line + "\n")
    answer = load.verb("validate", "--offline", connection="loader")
    assert answer.code == 2 and len(answer.errors) == 1
    place = answer.errors[0]["place"]
    assert (place["path"], place["line"]) == (str(path), len(named) + 1)
    if "authenticator" not in line:
        load.hides("planted-in-the-file", "483920483920")


def test_secrets_of_the_file_are_in_no_error(load, named):
    """Each is repeated by an error: only redaction keeps them back."""
    load.connections(toml("loader", named | {"password": "pl@nted/" + PASSWORD, "session_token": TOKEN}))
    for secret in ("pl@nted/" + PASSWORD, TOKEN):
        answer = load.verb("validate", "--offline", connection="loader", parallel_uploads=secret)
        assert answer.code == 2 and "***" in json.dumps(answer.said)
    load.run(connection="loader").failed("snowflake.login_failed", 3)
    load.hides("pl@nted/")
