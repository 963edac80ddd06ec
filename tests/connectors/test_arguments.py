"""Arguments of `get_source` and `get_destination` that are wrong: an error of ours says which, and what to give."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from etl_assets import get_destination, get_secret, get_source, new_local_cache
from etl_assets.caches.duckdb import DuckDBCache
from etl_assets.connectors.executors import LocalExecutor
from etl_assets.destinations.noop import NoopDestination
from etl_assets.exceptions import ConfigError, EtlAssetsError, InputError, StreamNotFoundError
from etl_assets.sources.connector import ConnectorSource

Get = Callable[..., Any]
BOTH = [
    pytest.param(get_source, "source-faker", id="source"),
    pytest.param(get_destination, "target-jsonl", id="dest"),
]


@pytest.mark.parametrize(("get", "name"), BOTH)
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"configs": {"count": 1}}, "no argument 'configs'. Did you mean 'config'?"),
        ({"instal_root": "x"}, "no argument 'instal_root'. Did you mean 'install_root'?"),
        (
            {"config": '{"password": "hunter22"}'},
            r"config must be an object \(a dict\).* not of the type str",
        ),
        ({"config": ["hunter22"]}, "config must be an object"),
        ({"env": ["A=hunter22"]}, "env must be an object"),
        ({"version": 1.0}, "version must be a text, not of the type float"),
        ({"use_python": 3.11}, r'such as "3\.11", not of the type float'),
        ({"docker_image": 5}, "docker_image must be the name of an image"),
        ({"local_executable": 5}, "local_executable must be a path or a name"),
        ({"install_root": 5}, "install_root must be a path"),
        ({"config_change_callback": {}}, "config_change_callback must be a function"),
        ({"limits": 30}, "limits must be a Limits"),
        ({"protocol": "http"}, "Use 'airbyte' or 'singer'"),
    ],
)
def test_what_is_no_argument_or_of_another_type_is_told(
    get: Get, name: str, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said) as caught:
        get(name, **given)
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"stream": "users"}, "no argument 'stream'. Did you mean 'streams'?"),
        ({"streams": 5}, r"streams must be a name, '\*', or a list of names"),
        ({"streams": ["users", 5]}, "Each name is a text"),
        ({"types": ["users"]}, "types must be an object of streams"),
        ({"cursor_keys": "updated_at"}, "cursor_keys must be an object of streams"),
        ({"source_manifest": 5}, "source_manifest must be a document"),
        ({"source_name": 5}, "source_name must be a text"),
        ({"use_properties": True}, "no argument 'use_properties'"),  # of a tap, and this is none
    ],
)
def test_so_are_those_that_only_a_source_has(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        get_source("source-faker", {}, **given)


@pytest.mark.parametrize(
    ("args", "given", "said"),
    [
        (("source-faker",), {"name": "mine"}, "source_name= is the name that tells it from others"),
        (
            ("source-faker", {}, ["users"]),
            {},
            "Give what comes behind the name and the config by its word",
        ),
        ((), {"config": {}}, "Give the connector's name first"),
        ((5,), {}, "name must be the connector's name"),
        ((None,), {}, "name must be the connector's name"),
    ],
)
def test_a_name_that_comes_twice_or_not_at_all_is_told(
    args: tuple[Any, ...], given: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        get_source(*args, **given)


def test_what_each_kind_of_connector_takes_is_taken() -> None:
    faker: Any = get_source(name="source-faker", catalog=None, cursor_keys={"a": "b"})
    assert faker.cursor_keys == {"a": ["b"]}
    tap: Any = get_source("tap-csv", use_properties=True, batch_folder="x", pip_url="tap-csv")
    assert tap.use_properties
    assert (
        get_destination(
            "target-jsonl", activate_version=True, pip_url="target-jsonl", staging_dir="x"
        )
        is not None
    )


def test_true_stands_for_the_program_of_the_connectors_own_name() -> None:
    found = get_source("source-mine", local_executable=True).executor
    assert isinstance(found, LocalExecutor)
    assert found.executable == "source-mine"


Make = Callable[..., ConnectorSource]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda s: s.get_records("a", limit="x"),
            "get_records: limit must be a whole number, not of the type str",
        ),
        (lambda s: s.get_records("a", limt=3), "argument 'limt'. Did you mean 'limit'?"),
        (lambda s: s.get_records(), "argument: 'stream'. It takes: stream, limit"),
        (lambda s: s.get_samples(limit="x"), "limit must be a whole number"),
        (lambda s: s.get_documents("a", 5), "title_property must be the name of a field"),
        (lambda s: s.read(stream="a"), "argument 'stream'. Did you mean 'streams'?"),
        (lambda s: s.read(None, "a"), "too many positional arguments. It takes: cache, streams"),
        (
            lambda s: s.set_cursor_key("a", 5),
            "cursor_key must be the name of a field, or a list of names",
        ),
        (
            lambda s: s.set_cursor_key(5, "id"),
            'stream_name must be the name of a stream, a text such as "orders"',
        ),
        (lambda s: s.set_primary_key("a", None), "primary_key must be the name of a field"),
        (lambda s: s.set_primary_keys(a=5), "the key of 'a' must be the name of a field"),
        (
            lambda s: s.set_primary_keys("a"),
            "too many positional arguments. It takes: words of the form name=value",
        ),
        (lambda s: s.set_config(None), r"config must be an object \(a dict\)"),
        (
            lambda s: cast("Any", NoopDestination()).write(s, stream="a"),
            "argument 'stream'. Did you mean 'streams'?",
        ),
        (lambda _: new_local_cache(5), "cache_name must be a text"),  # type: ignore[arg-type]
        (lambda _: new_local_cache("c", 5), "cache_dir must be a path"),  # type: ignore[arg-type]
        (
            lambda _: new_local_cache(cachename="c"),  # type: ignore[call-arg]
            "argument 'cachename'. Did you mean 'cache_name'",
        ),
        (lambda _: get_secret(5), "secret_name must be the name of a secret, a text"),  # type: ignore[arg-type]
        (lambda _: get_secret("X", sources=5), "sources must be managers"),  # type: ignore[arg-type]
        (lambda _: get_secret("X", sorces=[]), "Did you mean 'sources'"),  # type: ignore[call-arg]
        (lambda _: DuckDBCache(db_path="c.duckdb").run_sql_query(5), "sql_query must be a text"),  # type: ignore[arg-type]
    ],
)
def test_wrong_arguments_of_verbs_are_errors_that_scripts_expect(
    airbyte: Make, call: Callable[[Any], Any], said: str
) -> None:
    source = airbyte(streams=["a"])
    with pytest.raises(InputError, match=said) as caught:
        call(source)
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize("name", [5, None, 1.5, b"a", ["a"], "nope"])
def test_what_is_no_streams_name_is_told_with_those_there_are(
    airbyte: Make, name: Any, tmp_path: Path
) -> None:
    source = airbyte(["record", "a", {"id": 1}], streams=["a"])
    with pytest.raises(StreamNotFoundError, match=r"Known: 'a'|Did you mean 'a'"):
        source.get_records(name)
    with pytest.raises(StreamNotFoundError, match=r"Known: 'a'|Did you mean 'a'"):
        source.select_streams([name])
    cache = DuckDBCache(db_path=str(tmp_path / "c.duckdb"))
    result = source.read(cache)
    for mapping in (cache, result):
        with pytest.raises(StreamNotFoundError, match=r"Known: 'a'|Did you mean 'a'") as caught:
            mapping[name]
        assert isinstance(caught.value, KeyError)


def test_an_error_of_somebody_without_a_docstring_says_its_name() -> None:
    class OutOfPaperError(EtlAssetsError):
        pass

    class NoInkError(ConfigError):
        """
        The ink is gone.
        """  # noqa: D200, D212

    assert OutOfPaperError().message == "OutOfPaperError"
    assert str(OutOfPaperError(hint="Fill it.")) == "OutOfPaperError Fill it."
    assert NoInkError().message == "The ink is gone."
