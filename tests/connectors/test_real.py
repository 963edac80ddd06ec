"""Connectors of others, as they come from PyPI: what they send is what arrives, and the second run is incremental."""

import copy
import http.server
import json
import re
import threading
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import dagster as dg
import duckdb
import pytest

from etl_assets import stream_assets
from etl_assets.connectors.executors import ManifestExecutor
from etl_assets.destinations.connectors import get_destination
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import AuthenticationError
from etl_assets.model.catalog import Catalog
from etl_assets.model.stored import TableName
from etl_assets.model.stream import Stream
from etl_assets.sources.connector import ConnectorSource
from etl_assets.sources.read import StreamRead
from etl_assets.sources.source_read import SourceRead
from etl_assets.sources.sql import PostgresSource
from etl_assets.sync import sync
from etl_assets.sync_source import StreamOutcome, StreamPlan, sync_source

from .real import source_of, target_of

pytestmark = [pytest.mark.connectors, pytest.mark.timeout(1800)]


def loaded(
    source: ConnectorSource, path: Path, streams: list[str] | None = None
) -> dict[str, StreamOutcome]:
    found = source.discover()
    source.catalog = found
    chosen = found.select(streams) if streams else list(found.values())
    outcomes = {}
    for outcome in sync_source(SourceRead(source, chosen), DuckDBDestination(path=str(path))):
        if outcome.error is not None:
            raise outcome.error
        outcomes[outcome.stream.name] = outcome
    assert set(outcomes) == {stream.name for stream in chosen}
    return outcomes


def rows(path: Path, query: str) -> list[Any]:
    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.sql(query).fetchall()


def test_a_wrong_config_is_a_clear_failure_in_the_connectors_own_words(tmp_path: Path) -> None:
    source = source_of(
        "source-faker",
        {"count": "many"},
        catalog=Catalog(
            [Stream("users", primary_key="id", schema={"properties": {"id": {"type": "integer"}}})]
        ),
    )
    destination, policy = (
        DuckDBDestination(str(tmp_path / "w.duckdb")),
        dg.RetryPolicy(max_retries=2),
    )
    assets = stream_assets(source, destination=destination, retry_policy=policy)
    result = dg.materialize(assets, raise_on_error=False)
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert not any(event.is_step_up_for_retry for event in result.all_events)
    told = failure.step_failure_data.user_failure_data
    assert told is not None
    assert re.search(r"source-faker: .*'many' is not of type 'integer'", str(told.description)), (
        told.description
    )


def test_tap_jsonl_arrives_exact_twice(tmp_path: Path) -> None:
    file = tmp_path / "items.jsonl"
    file.write_text(
        "".join(f'{{"id":{n},"name":"Größe {n}","big":{2**53 + n}}}\n' for n in range(1, 501))
    )
    config = {
        "path": str(file),
        "stream_name": "items",
        "primary_keys": ["id"],
        "emit_state_every": 100,
    }
    source = source_of("tap-jsonl", config)
    for _ in range(2):
        loaded(source, tmp_path / "w.duckdb")
        assert rows(
            tmp_path / "w.duckdb", "SELECT id, name, big FROM tap_jsonl.items ORDER BY id"
        ) == [(n, f"Größe {n}", 2**53 + n) for n in range(1, 501)]


PAGES = {
    None: {"items": [{"id": 1, "n": 10**20}, {"id": 2, "n": 0.1}], "next": "b"},
    "b": {"items": [{"id": 3}]},
}
MANIFEST: dict[str, Any] = {
    "version": "6.0.0",
    "type": "DeclarativeSource",
    "check": {"type": "CheckStream", "stream_names": ["items"]},
    "spec": {
        "type": "Spec",
        "connection_specification": {"type": "object", "properties": {"url": {"type": "string"}}},
    },
    "streams": [
        {
            "type": "DeclarativeStream",
            "name": "items",
            "primary_key": ["id"],
            "schema_loader": {
                "type": "InlineSchemaLoader",
                "schema": {
                    "type": "object",
                    "properties": {"id": {"type": "integer"}, "n": {"type": "number"}},
                },
            },
            "retriever": {
                "type": "SimpleRetriever",
                "requester": {
                    "type": "HttpRequester",
                    "url_base": "{{ config['url'] }}",
                    "path": "/items",
                    "http_method": "GET",
                    "authenticator": {
                        "type": "BearerAuthenticator",
                        "api_token": "{{ config['token'] }}",
                    },
                },
                "record_selector": {
                    "type": "RecordSelector",
                    "extractor": {"type": "DpathExtractor", "field_path": ["items"]},
                },
                "paginator": {
                    "type": "DefaultPaginator",
                    "page_token_option": {
                        "type": "RequestOption",
                        "inject_into": "request_parameter",
                        "field_name": "p",
                    },
                    "pagination_strategy": {
                        "type": "CursorPagination",
                        "cursor_value": "{{ response['next'] }}",
                        "stop_condition": "{{ not response.get('next') }}",
                    },
                },
            },
        }
    ],
}


EVENTS = [{"id": n, "at": f"2026-01-{n:02}T00:00:00Z", "note": "Größe"} for n in range(1, 5)]


def stream(name: str, properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a stream like the first one, at a path of its own, that waits as long as it is told to."""
    kept: dict[str, Any] = copy.deepcopy(MANIFEST["streams"][0])
    kept["name"], kept["schema_loader"]["schema"]["properties"] = name, properties
    kept["retriever"]["requester"]["path"] = f"/{name}"
    kept["retriever"]["requester"]["error_handler"] = {
        "type": "DefaultErrorHandler",
        "max_retries": 1,
        "backoff_strategies": [{"type": "WaitTimeFromHeader", "header": "Retry-After"}],
    }
    return {**kept, **more}


CURSOR = {
    "type": "DatetimeBasedCursor",
    "cursor_field": "at",
    "datetime_format": "%Y-%m-%dT%H:%M:%SZ",
    "start_datetime": "2026-01-01T00:00:00Z",
    "start_time_option": {
        "type": "RequestOption",
        "inject_into": "request_parameter",
        "field_name": "since",
    },
}
ALL = {
    **MANIFEST,
    "streams": [
        *MANIFEST["streams"],
        stream(
            "events",
            {
                "id": {"type": "integer"},
                "at": {"type": "string", "format": "date-time"},
                "note": {"type": "string"},
            },
            incremental_sync=CURSOR,
        ),
        stream("broken", {"id": {"type": "integer"}}),
    ],
}


class Api(http.server.BaseHTTPRequestHandler):
    """Gives pages of items to who has the token, events since a time after it was asked twice, and no broken ones."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if self.headers.get("Authorization") != "Bearer right-token":
            self.answer(401, {"message": "the token is wrong"})
        elif url.path == "/items":
            self.answer(200, PAGES[query.get("p")])
        elif url.path == "/broken":
            self.answer(500, {"message": "out of order"})
        elif self.asked.count(self.path) % 2:
            self.answer(429, {"message": "too many"}, {"Retry-After": "1"})
        else:
            self.answer(200, {"items": [one for one in EVENTS if str(one["at"]) >= query["since"]]})

    def answer(self, code: int, document: Any, headers: Mapping[str, str] | None = None) -> None:
        body = json.dumps(document).encode()
        self.send_response(code)
        for name, value in {
            "Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})
        }.items():  # fmt: skip
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def api() -> Iterator[dict[str, str]]:
    Api.asked.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield {"url": f"http://127.0.0.1:{server.server_port}", "token": "right-token"}
    server.shutdown()
    server.server_close()


def test_a_manifest_reads_pages_with_a_token_and_goes_on_from_its_cursor(
    api: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = source_of("source-items", api, source_manifest=ALL)
    source.catalog = source.discover()
    assets = stream_assets(
        source,
        destination=DuckDBDestination(str(tmp_path / "w.duckdb")),
        streams=["items", "events", "broken"],
    )
    for count in (3, 4):
        monkeypatch.setattr(f"{__name__}.EVENTS", EVENTS[:count] if count < len(EVENTS) else EVENTS)
        result = dg.materialize(assets, raise_on_error=False)
        landed = {
            str(event.asset_key.path[-1])
            for event in result.get_asset_materialization_events()
            if event.asset_key
        }
        assert landed == {"items", "events"}
        (failure,) = [event for event in result.all_events if event.is_step_failure]
        told = failure.step_failure_data.user_failure_data
        assert told is not None
        assert "broken" in str(told.description)
        assert "500" in str(told.description)
        found = rows(tmp_path / "w.duckdb", "SELECT id, note FROM source_items.events ORDER BY id")
        assert found == [(n, "Größe") for n in range(1, count + 1)]
        monkeypatch.undo()
    found = rows(
        tmp_path / "w.duckdb", "SELECT id, CAST(n AS VARCHAR) FROM source_items.items ORDER BY id"
    )
    assert [(one, None if n is None else Decimal(n)) for one, n in found] == [
        (1, Decimal(10**20)), (2, Decimal("0.1")), (3, None),
    ]  # fmt: skip
    since = [
        parse_qs(urlsplit(path).query)["since"][0]
        for path in Api.asked
        if path.startswith("/events")
    ]
    assert (
        since == ["2026-01-01T00:00:00Z"] * 2 + ["2026-01-03T00:00:00Z"] * 2
    )  # 429, then the rows


def test_a_manifest_tells_a_wrong_token_and_not_the_token(api: dict[str, str]) -> None:
    source_of("source-items", api, source_manifest=MANIFEST).test_connection()
    wrong = source_of("source-items", {**api, "token": "wrong-token"}, source_manifest=MANIFEST)
    with pytest.raises(AuthenticationError) as caught:
        wrong.test_connection()
    assert "401" in str(caught.value)
    assert "wrong-token" not in str(caught.value)


SCHEMA = "conn_test_real"
VALUES = [
    (1, "2026-01-02 03:04:05.678901+00", "1.5", "a", True),
    (
        2**62,
        "0001-01-01 00:00:00+00",
        "-12345678901234567890.123456789",
        "Größe \U0001f600 'x'",
        False,
    ),
    (-5, None, None, None, None),
]


@pytest.fixture
def table() -> Iterator[None]:
    psycopg = pytest.importorskip("psycopg")
    try:
        connection = psycopg.connect(
            "host=127.0.0.1 user=postgres dbname=test", autocommit=True, connect_timeout=3
        )
    except psycopg.OperationalError as error:
        pytest.skip(f"no PostgreSQL: {error}")
    connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; CREATE SCHEMA {SCHEMA}")
    connection.execute(
        f"CREATE TABLE {SCHEMA}.things (id bigint PRIMARY KEY, at timestamptz, price numeric(38,9), name text, ok bool)"
    )
    for row in VALUES:
        connection.execute(f"INSERT INTO {SCHEMA}.things VALUES (%s, %s, %s, %s, %s)", row)
    yield
    connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE")
    connection.close()


def test_target_postgres_merges_exact_values(table: None) -> None:
    psycopg = pytest.importorskip("psycopg")
    del table
    login = {
        "host": "127.0.0.1",
        "port": 5432,
        "user": "postgres",
        "password": "none",
        "database": "test",
    }
    target = target_of("target-postgres", {**login, "default_target_schema": SCHEMA})
    url = "postgresql://postgres@127.0.0.1:5432/test"
    source = PostgresSource(url, name="shop", schema=SCHEMA, streams=["things"])
    (stream,) = source.discover(["things"]).values()
    for _ in range(2):
        result = sync(StreamRead(source, stream), target, table=TableName("arrived", SCHEMA))
        assert (result.records_loaded, result.strategy) == (3, "merge")
    with psycopg.connect(url) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        columns = "id, at::text, price::text, name, ok"
        found = connection.execute(f"SELECT {columns} FROM {SCHEMA}.arrived ORDER BY id").fetchall()
        expected = connection.execute(
            f"SELECT id, (at AT TIME ZONE 'UTC')::text, {columns[13:]} FROM {SCHEMA}.things"
        )
        assert found == sorted(expected.fetchall())


def test_target_duckdb_merges_exact_values_and_replaces_at_a_version(
    table: None, tmp_path: Path
) -> None:
    del table
    config = {
        "filepath": str(tmp_path / "t.duckdb"),
        "default_target_schema": "main",
        "hard_delete": True,
    }
    target = target_of("target-duckdb", config, activate_version=True)
    source = PostgresSource(
        "postgresql://postgres@127.0.0.1:5432/test", name="shop", schema=SCHEMA, streams=["things"]
    )
    (found,) = source.discover(["things"]).values()
    for strategy in ("merge", "replace"):
        result = sync(
            StreamRead(source, found), target, table=TableName("arrived"), strategy=strategy
        )
        assert (result.records_loaded, result.strategy) == (3, strategy)
        stored = rows(
            tmp_path / "t.duckdb", 'SELECT id, name, ok, CAST("at" AS VARCHAR) FROM arrived'
        )
        assert {row[:3] for row in stored} == {(key, name, ok) for key, _, _, name, ok in VALUES}
        assert {row[3] for row in stored} == {
            "2026-01-02 03:04:05.678901",
            "0001-01-01 00:00:00",
            None,
        }


def test_target_jsonl_takes_what_it_is_given(tmp_path: Path) -> None:
    config = {"destination_path": str(tmp_path), "do_timestamp_file": False}
    target = target_of("target-jsonl", config)
    config_of_tap = {
        "path": str(tmp_path / "in.jsonl"),
        "stream_name": "orders",
        "primary_keys": ["id"],
    }
    (tmp_path / "in.jsonl").write_text('{"id": 1, "note": "Größe"}\n{"id": 2, "note": null}\n')
    source = source_of("tap-jsonl", config_of_tap)
    found = source.discover()
    (outcome,) = sync_source(SourceRead(source, list(found.values())), target)
    assert outcome.error is None
    assert (outcome.result.records_loaded, outcome.result.delivery) == (2, "at_least_once")
    written = [json.loads(line) for line in (tmp_path / "orders.jsonl").read_text().splitlines()]
    assert [(row["id"], row["note"]) for row in written] == [(1, "Größe"), (2, None)]


def test_a_destination_of_airbyte_s_own_kit_understands_every_message(tmp_path: Path) -> None:
    kit = source_of("source-kit", {}, source_manifest={"spec": {}}).executor
    assert isinstance(kit, ManifestExecutor)
    program = tmp_path / "destination-lines"
    script = Path(__file__).with_name("cdk_destination.py")
    program.write_text(f'#!/bin/sh\nexec "{kit.environment.bin / "python"}" "{script}" "$@"\n')
    program.chmod(0o700)
    out = tmp_path / "out.jsonl"
    destination = get_destination("destination-lines", {"out": str(out)}, local_executable=program)
    assert destination.config_spec["required"] == ["out"]
    destination.check()
    items = [{"id": 1, "note": "Größe"}, {"id": 2, "note": None}, {"id": 2, "note": "later"}]
    (tmp_path / "in.jsonl").write_text("".join(f"{json.dumps(item)}\n" for item in items))
    tap = source_of(
        "tap-jsonl",
        {"path": str(tmp_path / "in.jsonl"), "stream_name": "items", "primary_keys": ["id"]},
    )
    for strategy, mode, sent in (
        ("merge", "append_dedup", items[::2]),
        ("replace", "overwrite", items),
    ):
        plans = {stream.key: StreamPlan(strategy=strategy) for stream in tap.discover().values()}
        (outcome,) = sync_source(
            SourceRead(tap, list(tap.discover().values())), destination, plans=plans
        )
        assert (outcome.error, outcome.result.records_loaded) == (None, len(sent))
        written = [json.loads(line) for line in out.read_text().splitlines()]
        found = [{"id": line["data"]["id"], "note": line["data"]["note"]} for line in written]
        assert (found, {line["mode"] for line in written}) == (sent, {mode})
