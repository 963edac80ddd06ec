"""Credentials: each kind, what is renewed when it is refused, and what is saved."""

import base64
import hashlib
import hmac
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from etl_assets.exceptions import AuthenticationError, ConfigError
from etl_assets.sources.rest import (
    ApiKey,
    Basic,
    Bearer,
    ClientCredentials,
    Endpoint,
    Login,
    PageNumber,
    RefreshToken,
    Request,
    RestSource,
    TokenFile,
)
from tests.sources.rest.conftest import rows_of
from tests.sources.rest.server import Asked, Reply, Server

Api = Callable[..., RestSource]
GOOD = [{"id": 1}]
ROWS = Endpoint("rows", "/rows")


def guarded(server: Server, allowed: Callable[[Asked], bool]) -> None:
    server.routes["/rows"] = lambda asked: (
        GOOD if allowed(asked) else Reply({"error": "who are you?"}, 401)
    )


@pytest.mark.parametrize(
    ("auth", "header", "text"),
    [
        (Bearer("token-1"), "Authorization", "Bearer token-1"),
        (Bearer("token-1", scheme="Token"), "Authorization", "Token token-1"),
        (
            Basic("ada", "pass-word"),
            "Authorization",
            "Basic " + base64.b64encode(b"ada:pass-word").decode(),
        ),
        (ApiKey("key-123", header="X-Key"), "X-Key", "key-123"),
    ],
)
def test_credentials_in_a_header(
    server: Server, api: Api, auth: Any, header: str, text: str
) -> None:
    guarded(server, lambda asked: asked.headers.get(header) == text)
    assert rows_of(api(ROWS, auth=auth)) == GOOD
    assert "token-1" not in repr(auth)
    assert "pass-word" not in repr(auth)
    assert "key-123" not in repr(auth)


def test_no_credentials_and_wrong_ones(server: Server, api: Api) -> None:
    guarded(server, lambda asked: asked.headers.get("Authorization") == "Bearer right-one")
    with pytest.raises(AuthenticationError, match=r"GET /rows answered 401. .*who are you"):
        rows_of(api(ROWS))
    with pytest.raises(AuthenticationError, match="401"):
        rows_of(api(ROWS, auth=Bearer("wrong-one")))
    assert len(server.asked) == 2, "never asked again with the same"
    with pytest.raises(ConfigError, match="a header or a param"):
        ApiKey("key-123")
    with pytest.raises(ConfigError, match="auth is a int"):
        api(ROWS, auth=3)


def test_references_are_resolved_when_a_connection_is_opened(
    server: Server, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CRM_TOKEN", raising=False)
    guarded(server, lambda asked: asked.headers.get("Authorization") == "Bearer from-outside")
    source = api(
        Endpoint("rows", "/rows", params={"account": dg.EnvVar("CRM_ACCOUNT")}),
        auth=Bearer(dg.EnvVar("CRM_TOKEN")),
        headers={"X-Tenant": dg.EnvVar("CRM_TENANT")},
    )
    assert [one.name for one in source.declared_catalog().streams] == ["rows"]  # type: ignore[union-attr]
    for name, text in (("TOKEN", "from-outside"), ("ACCOUNT", "acc-1"), ("TENANT", "tenant-1")):
        with pytest.raises(ConfigError, match="has no value"):
            rows_of(source)
        monkeypatch.setenv(f"CRM_{name}", text)
    assert rows_of(source) == GOOD
    assert server.asked[-1].query == {"account": "acc-1"}
    assert server.asked[-1].headers["X-Tenant"] == "tenant-1"


def test_a_rotated_secret_is_seen_in_the_midst_of_a_read(
    server: Server, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRM_TOKEN", "first-token")
    valid = "Bearer first-token"

    def answer(asked: Asked) -> Any:
        nonlocal valid
        if asked.headers.get("Authorization") != valid:
            return Reply({"error": "expired"}, 401)
        page = int(asked.query["page"])
        if page == 1:
            monkeypatch.setenv("CRM_TOKEN", "other-token")
            valid = "Bearer other-token"
        return [{"id": page}] if page < 3 else []

    server.routes["/rows"] = answer
    source = api(Endpoint("rows", "/rows", pages=PageNumber()), auth=Bearer(dg.EnvVar("CRM_TOKEN")))
    assert rows_of(source) == [{"id": 1}, {"id": 2}]


def test_a_function_signs_each_request(server: Server, api: Api) -> None:
    def sign(request: Request) -> Request:
        told = f"{request.method} {request.full_url}".encode() + (request.content or b"")
        mark = hmac.new(b"key", told, hashlib.sha256).hexdigest()
        return request.with_headers({"X-Signature": mark})

    def allowed(asked: Asked) -> bool:
        url = f"{server.url}/rows?page={asked.query['page']}"
        told = f"{asked.method} {url}".encode() + asked.body
        return asked.headers["X-Signature"] == hmac.new(b"key", told, hashlib.sha256).hexdigest()

    guarded(server, allowed)
    endpoint = Endpoint("rows", "/rows", method="POST", json={"n": 1}, params={"page": 1})
    assert rows_of(api(endpoint, auth=sign)) == GOOD


def test_a_function_begins_a_session_and_once_more_when_it_has_ended(
    server: Server, api: Api
) -> None:
    sessions = iter(["session-1", "session-2"])
    server.routes["/login"] = lambda asked: {"session": next(sessions)}
    server.route("/rows", Reply(None, 401), GOOD)

    def begin(send: Any) -> dict[str, str]:
        answer = send(Request("POST", f"{server.url}/login", json={"user": "ada"}))
        return {"X-Session": answer.document["session"]}

    assert rows_of(api(ROWS, auth=Login(begin))) == GOOD
    assert server.paths() == ["/login", "/rows", "/login", "/rows"]
    assert server.asked[-1].headers["X-Session"] == "session-2"


# OAuth 2


def giving_tokens(server: Server, *answers: dict[str, Any]) -> None:
    server.route("/token", *answers)


@pytest.mark.parametrize("send_as", ["body", "basic"])
def test_client_credentials(server: Server, api: Api, send_as: str) -> None:
    giving_tokens(server, {"access_token": "access-1", "expires_in": 3600})
    guarded(server, lambda asked: asked.headers.get("Authorization") == "Bearer access-1")
    auth = ClientCredentials(
        f"{server.url}/token", "me", "client-secret", scope="read", send_as=send_as
    )
    assert rows_of(api(ROWS, auth=auth)) == GOOD
    asked = server.asked[0]
    assert b"grant_type=client_credentials" in asked.body
    assert b"scope=read" in asked.body
    assert (b"client_secret=client-secret" in asked.body) == (send_as == "body")
    assert ("Authorization" in asked.headers) == (send_as == "basic")
    with pytest.raises(ConfigError, match="send_as is 'header'"):
        ClientCredentials("https://x", "me", "client-secret", send_as="header")


def test_a_token_is_renewed_once_when_it_is_refused(server: Server, api: Api) -> None:
    tokens = [{"access_token": f"access-{n}"} for n in range(3)]
    giving_tokens(server, *tokens)
    guarded(server, lambda asked: asked.headers.get("Authorization") == "Bearer access-1")
    auth = ClientCredentials(f"{server.url}/token", "me", "client-secret")
    assert rows_of(api(ROWS, auth=auth)) == GOOD
    assert server.paths() == ["/token", "/rows", "/token", "/rows"]
    guarded(server, lambda _: False)
    server.asked.clear()
    with pytest.raises(AuthenticationError, match="GET /rows answered 401"):
        rows_of(api(ROWS, auth=auth))
    assert server.paths().count("/rows") == 2


def test_a_token_that_ends_is_renewed_before(server: Server, api: Api) -> None:
    giving_tokens(
        server,
        {"access_token": "access-1", "expires_in": 0},
        {"access_token": "access-2", "expires_in": 3600},
    )
    server.routes["/rows"] = lambda asked: [{"id": 1}] if asked.query["page"] == "1" else []
    auth = ClientCredentials(f"{server.url}/token", "me", "client-secret")
    rows_of(api(Endpoint("rows", "/rows", pages=PageNumber()), auth=auth))
    told = [one.headers["Authorization"] for one in server.asked if one.path == "/rows"]
    assert told == ["Bearer access-1", "Bearer access-2"]


def test_a_server_without_a_token_is_told(server: Server, api: Api) -> None:
    auth = ClientCredentials(f"{server.url}/token", "me", "client-secret")
    server.route("/token", Reply({"error": "invalid_client", "was": "client-secret"}, 400))
    with pytest.raises(AuthenticationError, match=r"gave no token.*invalid_client") as raised:
        rows_of(api(ROWS, auth=auth))
    assert "client-secret" not in str(raised.value)
    server.route("/token", {"token": "?"})
    with pytest.raises(AuthenticationError, match="has no access_token"):
        rows_of(api(ROWS, auth=auth))


def rotating(server: Server) -> list[str]:
    """Have each refresh token serve once."""
    used: list[str] = []

    def answer(asked: Asked) -> Any:
        (token,) = [
            one.partition("=")[2]
            for one in asked.body.decode().split("&")
            if one.startswith("refresh_token=")
        ]
        if token != f"refresh-{len(used)}":
            return Reply({"error": "invalid_grant"}, 400)
        used.append(token)
        return {
            "access_token": f"access-{len(used)}",
            "refresh_token": f"refresh-{len(used)}",
            "expires_in": 3600,
        }

    server.routes["/token"] = answer
    server.routes["/rows"] = lambda _: GOOD
    return used


def test_a_refresh_token_that_is_rotated_is_saved(
    server: Server, api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = rotating(server)
    monkeypatch.setenv("CRM_REFRESH", "refresh-0")
    file = tmp_path / "tokens" / "crm"
    auth = RefreshToken(f"{server.url}/token", TokenFile(file, dg.EnvVar("CRM_REFRESH")), "me")
    for _ in range(3):
        assert rows_of(api(ROWS, auth=auth)) == GOOD
    assert used == ["refresh-0", "refresh-1", "refresh-2"]
    assert file.read_text() == "refresh-3"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_refresh_token_that_cannot_be_saved_fails_the_read(server: Server, api: Api) -> None:
    rotating(server)

    def save(token: str) -> None:
        raise OSError(f"no place for {token}")

    auth = RefreshToken(f"{server.url}/token", "refresh-0", save=save)
    with pytest.raises(Exception, match="no place for"):
        rows_of(api(ROWS, auth=auth))
    assert "/rows" not in server.paths()


def test_a_refresh_token_that_nobody_saves_is_warned_of(
    server: Server, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    rotating(server)
    auth = RefreshToken(f"{server.url}/token", "refresh-0")
    assert rows_of(api(ROWS, auth=auth)) == GOOD
    assert "nothing saves the new one" in caplog.text
    with pytest.raises(AuthenticationError, match="invalid_grant"):
        rows_of(api(ROWS, auth=auth))
