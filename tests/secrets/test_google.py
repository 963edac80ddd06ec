"""Google Secret Manager: its own client library, with a server of ours behind it in place of Google's."""

from collections.abc import Iterator
from typing import Any

import pytest
from google.api_core import exceptions as google
from google.cloud import secretmanager

from etl_assets.exceptions import (
    AuthenticationError,
    ConfigError,
    InputError,
    SecretNotFoundError,
    UnavailableError,
)
from etl_assets.secrets import GoogleGSMSecretManager, SecretString
from etl_assets.secrets.registry import _managers, get_secret

HELD = {
    "github": ("ghp-the-token", {"connector": "source-github", "team": "data"}),
    "faker": ("{}", {"connector": "source-faker"}),
}


class Server:
    """Answers as Google does, with the messages of Google's own library."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.error: Exception | None = None

    def access_secret_version(self, *, name: str) -> secretmanager.AccessSecretVersionResponse:
        if self.error:
            raise self.error
        _, project, _, secret, _, version = name.split("/")
        assert (project, version) == ("the-project", "latest")
        if secret not in HELD:
            raise google.NotFound(secret)  # type: ignore[no-untyped-call]
        payload = secretmanager.SecretPayload(data=HELD[secret][0].encode())
        return secretmanager.AccessSecretVersionResponse(name=name, payload=payload)

    def get_secret(self, *, name: str) -> secretmanager.Secret:
        secret = name.rpartition("/")[2]
        if secret not in HELD:
            raise google.NotFound(secret)  # type: ignore[no-untyped-call]
        return secretmanager.Secret(name=name, labels=HELD[secret][1])

    def list_secrets(self, *, request: dict[str, str]) -> Iterator[secretmanager.Secret]:
        assert request["parent"] == "projects/the-project"
        label, _, value = request["filter"].removeprefix("labels.").partition("=")
        for name, (_, labels) in HELD.items():
            if labels.get(label) == value:
                yield secretmanager.Secret(name=f"projects/7/secrets/{name}", labels=labels)


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Iterator[GoogleGSMSecretManager]:
    monkeypatch.setattr(secretmanager, "SecretManagerServiceClient", Server)
    before = list(_managers)
    yield GoogleGSMSecretManager("the-project")
    _managers[:] = before


def test_secrets_by_name(manager: GoogleGSMSecretManager) -> None:
    found = manager.get_secret("github")
    assert found == "ghp-the-token"
    assert isinstance(found, SecretString)
    assert manager.get_secret("projects/the-project/secrets/github") == "ghp-the-token"
    assert (
        manager.get_secret("projects/the-project/secrets/github/versions/latest") == "ghp-the-token"
    )
    assert manager.get_secret("none") is None
    handle = manager.get_secret_handle("github")
    assert handle.labels == {"connector": "source-github", "team": "data"}
    assert handle.get_value() == "ghp-the-token"


def test_secrets_by_label(manager: GoogleGSMSecretManager) -> None:
    (found,) = manager.fetch_connector_secrets("source-faker")
    assert found.secret_name == "faker"  # noqa: S105 - its name
    assert found.parse_json() == {}
    assert [h.secret_name for h in manager.fetch_secrets_by_label("team", "data")] == ["github"]
    assert manager.fetch_connector_secret("source-github").labels["team"] == "data"
    with pytest.raises(SecretNotFoundError, match="source-none"):
        manager.fetch_connector_secret("source-none")


def test_it_is_asked_by_get_secret_once_it_is_registered(manager: GoogleGSMSecretManager) -> None:
    with pytest.raises(SecretNotFoundError):
        get_secret("github", allow_prompt=False)
    manager.register()
    assert get_secret("github") == "ghp-the-token"


def test_its_errors_are_ours(manager: GoogleGSMSecretManager) -> None:
    server = manager._client()
    server.error = google.PermissionDenied("no")  # type: ignore[no-untyped-call]
    with pytest.raises(AuthenticationError, match="the-project"):
        manager.get_secret("github")
    server.error = google.ServiceUnavailable("later")  # type: ignore[no-untyped-call]
    with pytest.raises(UnavailableError) as caught:
        manager.get_secret("github")
    assert caught.value.retryable


def test_wrong_arguments() -> None:
    with pytest.raises(InputError, match="project"):
        GoogleGSMSecretManager("")
    with pytest.raises(InputError, match="not both"):
        GoogleGSMSecretManager("p", credentials_path="x", credentials_json="{}")
    with pytest.raises(ConfigError, match="service account") as caught:
        GoogleGSMSecretManager(
            "p", credentials_json='{"private_key": "the-private-key"}'
        ).get_secret("x")
    assert "the-private-key" not in str(caught.value)
