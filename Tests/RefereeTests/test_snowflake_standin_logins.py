"""Logins of the Snowflake stand-in, driven by connector 4.8.1: passcodes, OAuth client credentials, tokens that expire."""
import pytest
import requests
from snowflake_fixtures import Error, in_thread, settings, standin  # noqa: F401

PASSCODE = {"user": "MFA", "password": "pw", "passcode": "123456"}


@pytest.fixture
def mfa(standin):
    standin.control("user", {"name": "MFA", "password": "pw", "passcode": "123456"})


@pytest.fixture
def client(standin):
    standin.control("oauth", {"client_id": "the client", "client_secret": "s:e/c+r=t", "user": "LOADER", "scopes": ["session:role:LOAD", "session:role-any", ""]})
    return {"authenticator": "OAUTH_CLIENT_CREDENTIALS", "oauth_client_id": "the client", "oauth_client_secret": "s:e/c+r=t", "user": None, "password": None,
            "oauth_token_request_url": standin.url + "/oauth/token-request", "oauth_scope": "session:role:LOAD"}


def works(standin, **given):
    with standin.connect(**given) as connection:
        return connection.cursor().execute("SELECT CURRENT_USER(), CURRENT_ROLE()").fetchone()


def refused(standin, **given):
    with pytest.raises(Error) as found:
        standin.connect(**given)
    return found.value.errno, str(found.value)


class TestPasscode:
    @pytest.mark.parametrize("authenticator", [None, "username_password_mfa"])
    def test_given_apart_or_in_the_password(self, standin, mfa, authenticator):
        given = {**PASSCODE, "authenticator": authenticator}
        assert works(standin, **given)[0] == "MFA"
        assert works(standin, **{**given, "passcode": None, "password": "pw123456", "passcode_in_password": True})[0] == "MFA"

    @pytest.mark.parametrize("change, code", [({"passcode": "000000"}, 390127), ({"passcode": None}, 394508), ({"password": "no"}, 390100),
                                              ({"passcode": None, "password": "pw000000", "passcode_in_password": True}, 390127),
                                              ({"passcode": None, "password": "pw", "passcode_in_password": True}, 390100)])
    def test_refused(self, standin, mfa, change, code):
        number, text = refused(standin, **{**PASSCODE, **change})
        assert number == 250001 and str(code) in text or number == code or code == 390100 and "Incorrect username" in text or "passcode" in text.lower()
        bare = standin.bare(LOGIN_NAME="MFA", PASSWORD=change.get("password", "pw"),
                            **({"EXT_AUTHN_DUO_METHOD": "passcode"} if change.get("passcode", "x") or change.get("passcode_in_password") else {}),
                            **({"PASSCODE": change["passcode"]} if change.get("passcode") else {"PASSCODE": "1"} if "passcode" not in change else {}))
        assert bare.answer["code"] == str(code)

    def test_once_only(self, standin, mfa):
        standin.control("settings", {"passcode_once": True})
        works(standin, **PASSCODE)
        refused(standin, **PASSCODE)

    def test_a_token_instead_of_the_next_passcode(self, standin, mfa):
        first = standin.bare(LOGIN_NAME="MFA", PASSWORD="pw", PASSCODE="123456", EXT_AUTHN_DUO_METHOD="passcode", AUTHENTICATOR="USERNAME_PASSWORD_MFA",
                             SESSION_PARAMETERS={"CLIENT_REQUEST_MFA_TOKEN": True})
        token = first.data["mfaToken"]
        assert token and standin.bare(LOGIN_NAME="MFA", PASSWORD="pw", TOKEN=token, AUTHENTICATOR="USERNAME_PASSWORD_MFA").token
        assert standin.bare(LOGIN_NAME="MFA", PASSWORD="pw", TOKEN="x", AUTHENTICATOR="USERNAME_PASSWORD_MFA").answer["code"] == "394508"


class TestOAuth:
    @pytest.mark.parametrize("in_body", [False, True])
    def test_client_credentials(self, standin, client, in_body):
        assert works(standin, **client, oauth_credentials_in_body=in_body) == ("LOADER", "LOAD")
        last = standin.control("oauth")["requests"][-1]
        assert last["basic"] and ("client_id" in last["form"]) is in_body       # the connector sends the header in both cases

    @pytest.mark.parametrize("change", [{"oauth_client_secret": "no"}, {"oauth_client_id": "nobody"}, {"oauth_scope": "session:role:OTHER"}])
    def test_refused_at_the_token_endpoint(self, standin, client, change):
        refused(standin, **{**client, **change})

    def token(self, standin, **form):
        return requests.post(standin.url + "/oauth/token-request", data={"grant_type": "client_credentials", "scope": "session:role:LOAD", "client_id": "the client",
                                                                         "client_secret": "s:e/c+r=t", **form})

    def test_tokens_and_their_end(self, standin, client):
        answer = self.token(standin)
        token = answer.json()["access_token"]
        assert answer.status_code == 200 and answer.json()["expires_in"] == 600
        assert works(standin, authenticator="oauth", token=token, password=None) == ("LOADER", "LOAD")
        assert standin.bare(AUTHENTICATOR="OAUTH", TOKEN=token, LOGIN_NAME="OTHER", PASSWORD=None).answer["code"] is None        # an unknown name is not looked at
        standin.control("oauth", {"expire": True})
        assert standin.bare(AUTHENTICATOR="OAUTH", TOKEN=token, PASSWORD=None).answer["code"] == "390318"
        assert standin.bare(AUTHENTICATOR="OAUTH", TOKEN="x", PASSWORD=None).answer["code"] == "390303"
        standin.control("settings", {"oauth_seconds": 0})
        assert standin.bare(AUTHENTICATOR="OAUTH", TOKEN=self.token(standin).json()["access_token"], PASSWORD=None).answer["code"] == "390318"

    def test_another_role_than_the_tokens(self, standin, client):
        token = self.token(standin).json()["access_token"]
        refused(standin, authenticator="oauth", token=token, password=None, role="OTHER")
        assert works(standin, authenticator="oauth", token=token, password=None, role="LOAD")[1] == "LOAD"

    def test_errors_of_the_endpoint(self, standin, client):
        for form, status, error in (({"grant_type": "password"}, 400, "unsupported_grant_type"), ({"client_secret": "x"}, 401, "invalid_client"), ({"scope": "x"}, 400, "invalid_scope")):
            answer = self.token(standin, **form)
            assert (answer.status_code, answer.json()["error"]) == (status, error)
        standin.faults({"path": "^/oauth/", "action": "status", "status": 503})
        assert self.token(standin).status_code == 503 and self.token(standin).status_code == 200


def test_programmatic_access_token(standin):
    assert works(standin, authenticator="PROGRAMMATIC_ACCESS_TOKEN", token="pat-of-the-test", password=None)[0] == "LOADER"
    assert "394400" in str(refused(standin, authenticator="PROGRAMMATIC_ACCESS_TOKEN", token="x", password=None))


def test_a_pool_of_logins(standin, mfa):
    assert [wait() for wait in [in_thread(lambda: works(standin, **PASSCODE)[0]) for _ in range(4)]] == ["MFA"] * 4
