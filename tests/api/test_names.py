"""Every name that PyAirbyte's documentation shows is there, is called as shown there, and does what our table says."""

import inspect
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

import etl_assets
from etl_assets import (
    DuckDBCache,
    ReadResult,
    Source,
    Stream,
    SyncResult,
    WriteStrategy,
    exceptions,
    get_source,
)
from etl_assets._connector_base import ConnectorBase
from etl_assets._executors.base import Executor
from etl_assets._message_iterators import AirbyteMessageIterator
from etl_assets._writers.base import AirbyteWriterInterface
from etl_assets.connectors.executors import (
    DockerExecutor,
    LocalExecutor,
    ManifestExecutor,
    PythonExecutor,
)
from etl_assets.sources.airbyte.source import AirbyteSource
from etl_assets.sources.singer.source import SingerSource
from tests.api import names

HEAVY = ("pandas", "pyarrow", "duckdb", "sqlalchemy", "rich", "IPython", "dagster", "pydantic")


def found(path: str) -> Any:
    """Return what a dotted path below `etl_assets` stands for: a module, then attributes."""
    parts = path.split(".")
    for cut in range(len(parts), -1, -1):
        try:
            value = import_module(".".join([names.TOP, *parts[:cut]]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            value = getattr(value, part)
        return value
    raise AssertionError(path)


@pytest.mark.parametrize("row", names.ROWS, ids=lambda row: row.names[0])
def test_each_name_is_where_the_table_says_and_one_object_everywhere(row: names.Row) -> None:
    for name in row.names:
        modules = [import_module(".".join(filter(None, [names.TOP, place]))) for place in row.where]
        objects = [getattr(module, name) for module in modules]
        assert all(one is objects[0] for one in objects), name
        if row.where[0] == "":
            assert name in dir(etl_assets)
            assert name in etl_assets.__all__


def test_each_module_is_reached_from_the_top() -> None:
    for name in names.MODULES:
        assert inspect.ismodule(getattr(etl_assets, name))
        assert name in dir(etl_assets)


@pytest.mark.parametrize(("module", "word"), sorted(names.NOT_TAKEN_OVER.items()))
def test_what_is_not_taken_over_says_why(module: str, word: str) -> None:
    with pytest.raises(ImportError, match=word):
        import_module(f"etl_assets.{module}")
    with pytest.raises(AttributeError, match=word):
        getattr(etl_assets, module)
    done = subprocess.run(
        [sys.executable, "-c", f"from etl_assets import {module}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert word in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("members", names.MEMBERS, ids=lambda members: members.cls)
def test_each_member_is_there(members: names.Members) -> None:
    cls = found(f"{members.module}.{members.cls}")
    fields = {*getattr(cls, "model_fields", {}), *getattr(cls, "__dataclass_fields__", {})}
    own = set(inspect.signature(cls.__init__).parameters)
    missing = [
        name for name in members.names if not hasattr(cls, name) and name not in fields | own
    ]
    assert missing == []


@pytest.mark.parametrize(("path", "text"), names.SIGNATURES.items(), ids=names.SIGNATURES)
def test_each_is_called_as_shown(path: str, text: str) -> None:
    shown = inspect.signature(_function(text)).parameters
    ours = inspect.signature(found(path)).parameters
    positional = [name for name, one in shown.items() if one.kind is not one.KEYWORD_ONLY]
    assert list(ours)[: len(positional)] == positional
    for name, one in shown.items():
        mine = ours[name]
        assert mine.kind in {one.kind, mine.POSITIONAL_OR_KEYWORD}, name
        if one.default is not one.empty:
            assert mine.default == one.default, name
    for name, mine in ours.items():
        if name not in shown:
            assert mine.default is not mine.empty or mine.kind is mine.VAR_KEYWORD, name
            assert mine.kind is not mine.POSITIONAL_ONLY, name


def _function(text: str) -> Callable[..., Any]:
    scope: dict[str, Any] = {}
    exec(f"def f{text}: ...", scope)  # noqa: S102 - of the table beside this
    made: Callable[..., Any] = scope["f"]
    return made


def test_each_error_is_one_of_ours_and_can_be_caught_as_the_table_says() -> None:
    import builtins

    for name, bases in names.ERRORS.items():
        error = getattr(exceptions, name)
        for base in bases.split(", "):
            assert issubclass(error, getattr(exceptions, base, None) or getattr(builtins, base)), (
                name,
                base,
            )


def test_each_error_says_what_it_knows() -> None:
    error = exceptions.AirbyteStreamNotFoundError(
        "There is no 'user'.", available_streams=["users"], connector_name="source-x", stream="user"
    )
    assert [hasattr(error, name) for name in names.ERROR_ATTRIBUTES] == [True] * len(
        names.ERROR_ATTRIBUTES
    )
    assert (error.message, error.stream_name, error.input_value) == (
        "There is no 'user'.",
        "user",
        "user",
    )
    assert error.guidance is not None
    assert "'users'" in error.guidance
    assert error.context == {
        "stream_name": "user", "connector_name": "source-x", "available_streams": ["users"], "input_value": "user"
    }  # fmt: skip
    cause = OSError("gone")
    with pytest.raises(exceptions.AirbyteError) as caught:
        raise exceptions.AirbyteConnectorReadError(
            "It ended.", log_text="Traceback: gone"
        ) from cause
    assert caught.value.original_exception is cause
    assert caught.value.log_text == "Traceback: gone"


def test_the_page_is_made_of_the_table() -> None:
    assert names.PAGE.read_text(encoding="utf-8") == names.page(), "run: python -m tests.api.names"


def test_the_names_cost_nothing_until_they_are_used() -> None:
    code = f"""
import json, sys
import etl_assets as ab
from etl_assets import callbacks, constants, experimental, logs, registry, secrets, sources, strategies, version
print(json.dumps([name for name in {HEAVY} if name in sys.modules]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


# The private names, and the constructors


def test_the_kinds_that_scripts_check_for(tmp_path: Path) -> None:
    source = get_source("source-x", {}, local_executable="/bin/true")
    cache = DuckDBCache(db_path=tmp_path / "x.duckdb")
    assert isinstance(source, ConnectorBase)
    assert isinstance(source.executor, Executor)
    assert isinstance(etl_assets.get_noop_destination(), ConnectorBase)
    assert isinstance(etl_assets.get_noop_destination(), AirbyteWriterInterface)
    assert isinstance(cache, AirbyteWriterInterface)
    assert not isinstance(source, AirbyteWriterInterface)


def test_a_connector_is_made_of_its_executor(capsys: pytest.CaptureFixture[str]) -> None:
    starts = LocalExecutor("source-x", "airbyte", "/bin/true")
    changed = list[Any]().append
    called: Any = Source  # its types are those of a source of one's own
    source = called(
        starts,
        "source-x",
        {"a": 1},
        config_change_callback=changed,
        streams=["users"],
        validate=False,
    )
    assert type(source) is AirbyteSource
    assert (source.executor, source.name, source.connector_name) == (starts, "source-x", "source-x")
    assert (source.get_config(), source.config_change_callback) == ({"a": 1}, changed)
    by_keyword = called(
        executor=LocalExecutor("tap-x", "singer", "/bin/true"), name="tap-x", streams="*"
    )
    assert type(by_keyword) is SingerSource
    assert "selects all streams" in capsys.readouterr().out
    destination = etl_assets.Destination(
        executor=LocalExecutor("destination-x", "airbyte", "/bin/true"),
        name="destination-x",
        config={"b": 2},
    )
    assert type(destination) is etl_assets.AirbyteDestination
    assert destination.get_config() == {"b": 2}
    assert destination.docs_url.endswith("/destinations/x")
    assert type(Source(name="mine")) is Source


# Caches, results, messages


class Shop(Source):
    streams = (Stream("users", primary_key="id", replication_key="at"),)

    @override
    def load_data(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        yield [
            row
            for row in ({"id": 1, "at": 1}, {"id": 2, "at": 2})
            if not bookmarks or row["at"] >= bookmarks["at"]
        ]


@pytest.fixture
def cache(tmp_path: Path) -> DuckDBCache:
    return DuckDBCache(db_path=tmp_path / "x.duckdb", cache_dir=tmp_path / "cache")


@pytest.fixture
def result(cache: DuckDBCache) -> ReadResult:
    return Shop(name="shop").read(cache)


def test_a_caches_states_are_given_and_taken(cache: DuckDBCache, result: ReadResult) -> None:
    provider = cache.get_state_provider("shop")
    assert provider.known_stream_names == {"users"}
    assert provider.get_stream_state("users") == {"at": 2}
    (message,) = json.loads(provider.to_state_input_file_text())
    assert message["stream"] == {"stream_descriptor": {"name": "users"}, "stream_state": {"at": 2}}
    message["stream"]["stream_state"] = {"at": 1}
    cache.get_state_writer("shop").write_state(message)
    assert provider.get_stream_state("users") == {"at": 1}
    assert Shop(name="shop").read(cache).processed_records == 2
    with pytest.raises(exceptions.AirbyteStateNotFoundError, match="'orders'"):
        provider.get_stream_state("orders")
    message["stream"]["stream_descriptor"]["name"] = "orders"
    with pytest.raises(exceptions.AirbyteStateNotFoundError, match="'orders'"):
        cache.get_state_writer("shop").write_state(message)
    assert cache.get_state_provider("none").known_stream_names == set()


def test_what_was_kept_for_a_destination(cache: DuckDBCache, result: ReadResult) -> None:
    noop = etl_assets.get_noop_destination()
    noop.write(result)
    kept = cache.get_state_provider("shop", destination_name=noop.identity)
    assert set(kept.get_stream_state("users")) == {"load_id"}
    assert cache.get_state_provider("shop", destination_name="other").known_stream_names == set()


def test_what_a_cache_answers_to(cache: DuckDBCache, result: ReadResult) -> None:
    assert cache.processor is cache
    assert cache.get_record_processor("shop", None, state_writer=None) is cache
    assert cache.processor.get_sql_table_name("users") == "users"
    assert set(cache.processor.get_sql_table("users").columns.keys()) >= {"id", "at"}
    cache.register_source("shop", None, {"users"})
    assert (cache.name, cache.paired_destination_name) == ("DuckDBCache", "destination-duckdb")
    assert cache.get_create_table_extra_clauses() == []
    assert cache.model_copy(update={"table_prefix": "x_"}).config_hash != cache.config_hash
    for member in ("paired_destination_config", "paired_destination_config_class"):
        with pytest.raises(exceptions.ConfigError, match="Airbyte Cloud"):
            getattr(cache, member)
    from etl_assets.shared.sql_processor import SqlConfig

    assert isinstance(cache, SqlConfig)


def test_results_that_a_script_makes_itself(cache: DuckDBCache, result: ReadResult) -> None:
    tracker = etl_assets.progress.ProgressTracker(
        "none", source=None, cache=cache, destination=None
    )
    done = SyncResult(
        "users", "shop", "load", WriteStrategy.MERGE, records_read=3, records_loaded=2
    )
    tracker.ended("users", done)
    made = ReadResult(
        source_name="shop", processed_streams=["users"], cache=cache, progress_tracker=tracker
    )
    assert (made.processed_records, len(made["users"])) == (3, 2)
    provider = cache.get_state_writer("shop")
    written = etl_assets.WriteResult(
        destination=None,
        source_data=made,
        catalog_provider=None,
        state_writer=provider,
        progress_tracker=tracker,
    )
    assert (written.processed_records, written.get_state_provider()) == (2, provider)


def test_records_of_a_result_as_messages(result: ReadResult) -> None:
    messages = list(AirbyteMessageIterator.from_read_result(result))
    assert [message["record"]["data"] for message in messages] == [
        {"id": 1, "at": 1},
        {"id": 2, "at": 2},
    ]
    assert all(message["record"]["emitted_at"] > 1_700_000_000_000 for message in messages), (
        "in milliseconds"
    )


def test_a_benchmark_source_gives_as_many_records_as_asked_for(cache: DuckDBCache) -> None:
    source = etl_assets.get_benchmark_source("6e4")
    assert source.read(cache).processed_records == 60_000
    assert len({row["field1"] for row in cache["stream1"]}) == 60_000
    for wrong in ("many", 1.5, -1, "nan", "inf"):
        with pytest.raises(exceptions.PyAirbyteInputError, match="whole number"):
            etl_assets.get_benchmark_source(wrong)  # type: ignore[arg-type]


# What is easily missed (what the other tests of this folder do not show)


def test_the_ways_to_run_a_connector(tmp_path: Path) -> None:
    latest = get_source("source-faker", version="latest", install_root=tmp_path).executor
    assert isinstance(latest, PythonExecutor)
    assert latest.environment.requirement == "airbyte-source-faker"
    pinned = get_source(
        "source-faker", version="6.2.1", use_python="3.11", install_root=tmp_path
    ).executor
    assert isinstance(pinned, PythonExecutor)
    assert (pinned.environment.requirement, pinned.environment.python) == (
        "airbyte-source-faker==6.2.1",
        "3.11",
    )
    for given, image in (
        ({"docker_image": True}, "airbyte/source-faker:latest"),
        ({"docker_image": True, "version": "1.0"}, "airbyte/source-faker:1.0"),
        ({"docker_image": "mine/faker", "version": "1.0"}, "mine/faker:1.0"),
        ({"use_python": False, "version": "latest"}, "airbyte/source-faker:latest"),
    ):
        executor = get_source("source-faker", **given).executor
        assert isinstance(executor, DockerExecutor)
        assert executor.image == image
    manifest = tmp_path / "manifest.yaml"
    manifest.write_text("version: 6.0.0\n")
    for document in ({"version": "6.0.0"}, manifest, "https://example.com/manifest.yaml"):
        assert isinstance(
            get_source("source-x", source_manifest=document).executor, ManifestExecutor
        )
    with pytest.raises(exceptions.ConfigError, match="Give the manifest itself"):
        get_source("source-x", source_manifest=True)


@pytest.mark.parametrize(
    "given",
    [
        {"docker_image": True, "pip_url": "x"},
        {"version": "1", "pip_url": "x"},
        {"version": "1", "local_executable": "x"},
        {"version": "1", "docker_image": "x:2"},
    ],
    ids="+".join,
)
def test_contradicting_ways_are_an_input_error(given: dict[str, Any]) -> None:
    with pytest.raises(exceptions.PyAirbyteInputError):
        get_source("source-faker", **given)


def test_an_unknown_connector_is_not_registered() -> None:
    with pytest.raises(exceptions.AirbyteConnectorNotRegisteredError, match="'source-faker'"):
        get_source("source-fakr")
    with pytest.raises(exceptions.AirbyteConnectorNotRegisteredError, match="'source-faker'"):
        etl_assets.registry.get_connector_metadata("source-fakr")
    known = etl_assets.registry.get_connector_metadata("source-faker")
    assert (known.pypi_package_name, known.language) == ("airbyte-source-faker", "python")
    assert known.default_install_type is etl_assets.registry.InstallType.PYTHON


def test_reading_one_by_one_moves_no_state(cache: DuckDBCache, result: ReadResult) -> None:
    shop = Shop(name="shop")
    assert len(list(shop.get_records("users"))) == 2, (
        "from the beginning, though a cache has read it"
    )
    assert cache.get_state_provider("shop").get_stream_state("users") == {"at": 2}


def test_streams_of_a_constructor_are_selected(capsys: pytest.CaptureFixture[str]) -> None:
    assert Shop(name="shop", selected_streams=["users"]).get_selected_streams() == ["users"]
    waiting = get_source("source-x", streams=["users"], local_executable="/bin/true")
    assert "['users']" in capsys.readouterr().out
    assert waiting.get_selected_streams() == ["users"]


def test_odds_and_ends(caplog: pytest.LogCaptureFixture) -> None:
    assert (
        str(etl_assets.types.SQLTypeConverter().to_sql_type({"type": ["null", "integer"]}))
        == "BIGINT"
    )
    assert (
        etl_assets.types.SQLTypeConverter({"integer": "mine"}).to_sql_type({"type": "integer"})
        == "mine"
    )
    assert etl_assets.version.get_version() == etl_assets.__version__
    for _ in range(2):
        etl_assets.logs.warn_once("a warning of its own")
    assert [one.message for one in caplog.records] == ["a warning of its own"]
    assert etl_assets.logs.get_global_file_logger().name == "etl_assets"
