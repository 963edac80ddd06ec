"""What stands for a secret stays what it is until a connection is opened: in configs, in caches, under Dagster."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from typing_extensions import override

from etl_assets import DuckDBDestination, Source, Stream, stream_assets
from etl_assets.caches import MySQLCache, PostgresCache
from etl_assets.exceptions import InputError
from etl_assets.scripts.stored_names import secret_places, without_secrets
from etl_assets.secrets import SecretHandle, SecretString
from etl_assets.secrets.managers import EnvironmentSecrets
from etl_assets.secrets.redaction import MASK

NAME = "ETL_ASSETS_TEST_REFERENCE"
VALUE = "what-it-stands-for"
LOGIN: dict[str, Any] = {"host": "127.0.0.1", "database": "test", "username": "me"}
REFERENCES = {
    "EnvVar": dg.EnvVar(NAME),
    "text": f"secret_reference::{NAME}",
    "handle": SecretHandle(EnvironmentSecrets(), NAME),
}


@pytest.fixture(autouse=True)
def no_value_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NAME, raising=False)


@pytest.mark.parametrize("kind", REFERENCES)
@pytest.mark.parametrize("cls", [PostgresCache, MySQLCache])
def test_a_cache_resolves_its_password_when_it_connects(
    kind: str, cls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = cls(**LOGIN, password=REFERENCES[kind])
    assert cache.password is REFERENCES[kind]
    assert cache.destination.options.password is REFERENCES[kind]
    assert cache.model_dump()["password"] == f"secret_reference::{NAME}"
    monkeypatch.setenv(NAME, VALUE)
    assert cache.make_url().password == VALUE
    assert VALUE not in f"{cache!r} {cache.model_dump_json()} {cache.config_hash}"


def test_a_cache_takes_a_plain_password_as_a_secret() -> None:
    cache = PostgresCache(**LOGIN, password=VALUE)
    assert isinstance(cache.password, SecretString)
    assert cache.make_url().password == VALUE
    assert cache.model_dump()["password"] == MASK
    assert PostgresCache.model_json_schema()["properties"]["password"]["writeOnly"] is True
    assert PostgresCache(**LOGIN).make_url().password is None
    with pytest.raises(InputError, match="a text, or a reference") as caught:
        PostgresCache(**LOGIN, password=12)
    assert VALUE not in str(caught.value)


@pytest.mark.parametrize("field", sorted(LOGIN))
def test_a_reference_where_none_is_taken_is_refused_and_never_goes_out_as_its_name(
    field: str,
) -> None:
    with pytest.raises(InputError, match=rf"(?s){field}.*only a secret can be a reference.*{NAME}"):
        PostgresCache(**{**LOGIN, field: dg.EnvVar(NAME)})


class Deep(Source):
    """Gives what its config says, resolved."""

    streams = (Stream("things"),)
    seen: list[Any] = []

    @override
    def load_data(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        Deep.seen.append(self.config)
        yield [{"id": 1}]


def test_a_run_gets_the_value_and_keeps_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"list": [{"token": REFERENCES["text"]}, REFERENCES["EnvVar"]], "plain": "word"}
    source = Deep(name="deep", config=config)
    assets = stream_assets(source, destination=DuckDBDestination(str(tmp_path / "w.duckdb")))
    job = dg.Definitions(assets=assets).resolve_implicit_global_asset_job_def()
    monkeypatch.setenv(NAME, VALUE)
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance)
        run = instance.get_run_by_id(result.run_id)
        assert run is not None
        told = [
            json.dumps(run.run_config),
            *(str(entry) for entry in instance.all_logs(result.run_id)),
        ]
    assert Deep.seen[-1] == {"list": [{"token": VALUE}, VALUE], "plain": "word"}
    assert source.get_config() == config
    assert len(told) > 5
    assert [line for line in told if VALUE in line] == []


# The name under which a script's connector has its state

SPEC = {
    "type": "object",
    "properties": {
        "account": {"type": "string"},
        "pat": {"type": "string", "airbyte_secret": True},
        "login": {
            "oneOf": [
                {
                    "properties": {
                        "kind": {"const": "key"},
                        "pin": {"type": "string", "secret": True},
                    }
                }
            ]
        },
        "shards": {
            "type": "array",
            "items": {"properties": {"url": {"airbyte_secret": True}, "n": {}}},
        },
    },
}
CONFIG = {
    "account": "one",
    "pat": "a",
    "login": {"kind": "key", "pin": "b"},
    "shards": [{"url": "c", "n": 1}, {"url": "d", "n": 2}],
    "refresh_token": "e",
    "more": [SecretString("a secret text"), "plain", dg.EnvVar(NAME), REFERENCES["text"]],
    "client": REFERENCES["handle"],
}


def test_secrets_of_a_config_are_left_out_by_their_place_their_name_and_what_they_are() -> None:
    assert without_secrets(CONFIG, set(secret_places(SPEC))) == {
        "account": "one",
        "login": {"kind": "key"},
        "shards": [{"n": 1}, {"n": 2}],
        "more": ["plain"],
    }
