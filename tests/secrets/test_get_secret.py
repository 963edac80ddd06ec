"""Where secrets are looked for, in which order, and what is an error."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from typing_extensions import override

from etl_assets.exceptions import ConfigError, InputError, SecretNotFoundError
from etl_assets.secrets import (
    CustomSecretManager,
    SecretHandle,
    SecretManager,
    SecretSourceEnum,
    SecretString,
    disable_secret_source,
    get_secret,
    is_secret_available,
    managers,
    register_secret_manager,
    registry,
)
from etl_assets.secrets.references import resolve

NAME = "ETL_ASSETS_TEST_SECRET"


class Vault(CustomSecretManager):
    """Has what it is given, and remembers what it was asked."""

    name = "vault"

    def __init__(self, held: dict[str, str] | None = None) -> None:
        self.held = held or {}
        self.asked: list[str] = []
        super().__init__()

    @override
    def get_secret(self, secret_name: str) -> SecretString | None:
        self.asked.append(secret_name)
        found = self.held.get(secret_name)
        return None if found is None else SecretString(found)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Let each test have managers of its own, and no `.env` above it."""
    before = list(registry._managers)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(NAME, raising=False)
    yield
    registry._managers[:] = before


def test_the_environment_comes_before_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(f"{NAME}=from the file\n")
    assert get_secret(NAME) == "from the file"
    monkeypatch.setenv(NAME, "from the environment")
    assert get_secret(NAME) == "from the environment"
    assert get_secret(NAME, sources=[SecretSourceEnum.DOTENV]) == "from the file"
    assert isinstance(get_secret(f"secret_reference::{NAME}"), SecretString)


def test_a_key_without_a_value_is_no_secret(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"{NAME}\n")
    with pytest.raises(SecretNotFoundError, match=NAME):
        get_secret(NAME)


def test_an_empty_secret_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(NAME, "")
    (tmp_path / ".env").write_text(f"{NAME}=of the file\n")
    assert get_secret(NAME) == "of the file"


def test_a_default_and_availability(monkeypatch: pytest.MonkeyPatch) -> None:
    assert get_secret(NAME, default="fallback") == "fallback"
    assert not is_secret_available(NAME)
    monkeypatch.setenv(NAME, "there it is")
    assert is_secret_available(NAME)
    assert get_secret(NAME, default="fallback") == "there it is"


def test_one_source_need_not_be_a_list_and_a_list_is_not_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(NAME, "there it is")
    assert get_secret(NAME, sources=SecretSourceEnum.ENV) == "there it is"
    given = [SecretSourceEnum.PROMPT, SecretSourceEnum.ENV]
    assert get_secret(NAME, sources=given) == "there it is"
    assert given == [SecretSourceEnum.PROMPT, SecretSourceEnum.ENV]
    with pytest.warns(DeprecationWarning, match="sources"):
        assert get_secret(NAME, source=SecretSourceEnum.ENV) == "there it is"


def test_a_source_that_is_not_registered_is_an_error_that_names_the_others() -> None:
    with pytest.raises(InputError, match=r"google_gsm.*env, dotenv"):
        get_secret(NAME, sources=[SecretSourceEnum.GOOGLE_GSM])


def test_a_manager_of_your_own_comes_first_or_last_or_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(NAME, "from the environment")
    vault = Vault({NAME: "from the vault"})
    assert get_secret(NAME) == "from the vault"
    register_secret_manager(vault, as_backup=True)
    assert get_secret(NAME) == "from the environment"
    assert vault.asked == [NAME]
    register_secret_manager(vault, replace_existing=True)
    assert registry.secret_managers() == [vault]
    disable_secret_source(vault)
    with pytest.raises(SecretNotFoundError, match="nobody was asked"):
        get_secret(NAME)


def test_a_disabled_source_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "there it is")
    disable_secret_source(SecretSourceEnum.ENV)
    assert not is_secret_available(NAME)
    with pytest.raises(InputError, match="env"):
        get_secret(NAME, sources=[SecretSourceEnum.ENV])


def test_nobody_is_asked_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(prompt: str) -> str:
        raise AssertionError(f"asked: {prompt}")

    monkeypatch.setattr(managers, "getpass", ask)
    with pytest.raises(SecretNotFoundError):
        get_secret(NAME, allow_prompt=True)


def test_somebody_at_a_terminal_is_asked_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "is_interactive", lambda: True)
    monkeypatch.setattr(managers, "getpass", lambda _: "typed in")
    assert get_secret(NAME) == "typed in"
    assert get_secret(NAME, default="fallback") == "fallback"
    with pytest.raises(SecretNotFoundError):
        get_secret(NAME, allow_prompt=False)


def test_references_in_a_config_are_resolved_late_nested_and_in_lists(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = {
        "a": [{"b": f"secret_reference::{NAME}"}, "plain"],
        "handle": SecretHandle(Vault({"x": "held"}), "x"),
    }
    with pytest.raises(ConfigError, match=NAME):
        resolve(config)
    monkeypatch.setenv(NAME, "there it is")
    assert resolve(config) == {"a": [{"b": "there it is"}, "plain"], "handle": "held"}


def test_a_handle_writes_a_file_that_only_its_owner_can_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    handle = SecretHandle(Vault({"key": '{"a": 1}'}), "key")
    path = tmp_path / "deep" / "key.json"
    path.parent.mkdir()
    path.write_text("old")
    path.chmod(0o644)
    handle.write_to_file(path)
    assert path.read_text() == '{"a": 1}'
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    said = capsys.readouterr().out
    assert "key.json" in said
    assert '"a"' not in said
    handle.write_to_file(path, silent=True)
    assert not capsys.readouterr().out
    assert handle.parse_json() == {"a": 1}
    with pytest.raises(SecretNotFoundError, match="vault has no secret 'other'"):
        SecretHandle(handle.parent, "other").get_value()


def test_a_manager_that_registers_by_hand() -> None:
    class Quiet(Vault):
        name = "quiet"
        auto_register = False

    quiet = Quiet({NAME: "x"})
    assert not is_secret_available(NAME)
    assert get_secret(NAME, sources=[quiet]) == "x"
    quiet.register()
    assert is_secret_available(NAME)
    assert str(quiet) == "quiet"
    assert isinstance(quiet, SecretManager)
