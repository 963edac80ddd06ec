"""Mage's documented source and destination run unchanged, from the command line and as assets."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import psycopg2
import pytest

from etl_assets import DuckDBDestination, stream_assets
from tests.mage.my_source import MySource
from tests.mage.postgres_destination import PostgresDestination

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).parent / "my_source.py"
INTERNAL = Path(__file__).parent / "internal_usage.py"
CATALOG = {
    "streams": [
        {
            "tap_stream_id": "users",
            "stream": "users",
            "schema": {
                "type": "object",
                "properties": {"id": {"type": "integer"}, "name": {"type": "string"}},
            },
            "key_properties": ["id"],
            "metadata": [{"breadcrumb": [], "metadata": {"selected": True}}],
        }
    ]
}


def run(folder: Path, *arguments: str, script: Path = SCRIPT) -> subprocess.CompletedProcess[str]:
    (folder / "config.json").write_text("{}")
    (folder / "catalog.json").write_text(json.dumps(CATALOG))
    return subprocess.run(
        [sys.executable, str(script), *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_discovers(tmp_path: Path) -> None:
    done = run(tmp_path, "-c", "config.json", "-d")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"streams": []})


NAMED = ("--selected_streams_json", '["users"]')


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--discover_streams"], [[]]),
        (["--count_records"], [[]]),
        (["--count_records", *NAMED], [[{"count": None, "id": "users", "stream": "users"}]]),
        (["--load_sample_data"], []),
        (
            ["--load_sample_data", *NAMED],
            [
                {
                    "stream_id": "users",
                    "sample_data": '{"id":{"0":1},"name":{"0":"test"}}',
                    "type": "SAMPLE_DATA",
                }
            ],
        ),
        ([], []),
    ],
)
def test_it_runs_in_every_mode(arguments: list[str], wanted: list[Any], tmp_path: Path) -> None:
    done = run(tmp_path, "-c", "config.json", *arguments)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == wanted


def test_templates_it_has_none_of_are_an_error(tmp_path: Path) -> None:
    done = run(tmp_path, "--show_templates")
    assert (done.returncode, done.stdout) == (1, "")
    assert "templates" in done.stderr


def test_the_schema_of_a_named_stream_is_found_in_a_sample_and_serves_as_its_catalog(
    tmp_path: Path,
) -> None:
    (found,) = json.loads(run(tmp_path, "-d", *NAMED).stdout)["streams"]
    assert (found["stream"], list(found["schema"]["properties"])) == ("users", ["id", "name"])
    assert found["metadata"][0]["metadata"]["selected"] is False
    assert run(tmp_path, "--catalog_json", json.dumps({"streams": [found]})).stdout == ""
    done = run(tmp_path, "--catalog_json", json.dumps({"streams": [found]}), *NAMED)
    assert [json.loads(line)["type"] for line in done.stdout.splitlines()] == ["SCHEMA", "RECORD"]


def test_a_named_stream_needs_no_catalog(tmp_path: Path) -> None:
    schema, record = map(json.loads, run(tmp_path, *NAMED).stdout.splitlines())
    assert list(schema["schema"]["properties"]) == ["id", "name"]
    assert record["record"] == {"id": 1, "name": "test"}


def test_it_tests_its_connection_and_says_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, "-c", "config.json", "--test_connection")
    assert (done.returncode, done.stdout) == (0, "")


def test_it_syncs_a_catalog_as_singer_messages(tmp_path: Path) -> None:
    done = run(tmp_path, "-c", "config.json", "--catalog", "catalog.json")
    schema, record = map(json.loads, done.stdout.splitlines())
    assert (schema["type"], schema["stream"], schema["key_properties"]) == (
        "SCHEMA",
        "users",
        ["id"],
    )
    assert record == {"type": "RECORD", "stream": "users", "record": {"id": 1, "name": "test"}}


def test_a_file_that_is_missing_is_an_error_without_a_traceback(tmp_path: Path) -> None:
    done = run(tmp_path, "-c", "nowhere.json", "-d")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "nowhere.json" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_is_an_asset(tmp_path: Path) -> None:
    warehouse = tmp_path / "w.duckdb"
    assets = stream_assets(
        MySource(),
        streams=["users"],
        name="my_source",
        destination=DuckDBDestination(str(warehouse)),
    )
    assert dg.materialize(assets).success
    with duckdb.connect(str(warehouse)) as connection:
        assert connection.sql("SELECT id, name FROM my_source.users").fetchall() == [(1, "test")]


def test_write_records_in_a_loop_of_the_sources_own(tmp_path: Path) -> None:
    entry = {**CATALOG["streams"][0], "replication_method": "INCREMENTAL", "replication_key": "id"}
    catalog = json.dumps({"streams": [entry]})
    done = run(tmp_path, "-c", "config.json", "--catalog_json", catalog, script=INTERNAL)
    assert done.returncode == 0, done.stderr
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    assert [message["type"] for message in messages] == [
        "SCHEMA",
        "RECORD",
        "RECORD",
        "STATE",
        "RECORD",
        "STATE",
    ]
    assert [message["record"] for message in messages if message["type"] == "RECORD"] == [
        {"id": n, "name": None} for n in (1, 2, 3)
    ]


CONNECTION: dict[str, Any] = {"host": "127.0.0.1", "user": "postgres", "dbname": "test"}


@pytest.fixture
def table() -> Iterator[str]:
    try:
        connection = psycopg2.connect(**CONNECTION)
    except psycopg2.OperationalError as error:
        if os.environ.get("ETL_ASSETS_REQUIRE_SERVICES"):
            raise
        pytest.skip(f"no PostgreSQL on 127.0.0.1: {error}")
    name = f"users_{uuid.uuid4().hex[:8]}"
    with connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {name} (id int, name text)")
    yield name
    with connection, connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {name}")
    connection.close()


def test_the_destination_takes_the_rows_of_an_asset(
    table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PG_USER", "postgres")
    config: dict[str, Any] = {**CONNECTION, "user": dg.EnvVar("PG_USER")}
    destination = PostgresDestination(config=config)
    assets = stream_assets(MySource(name="my_source"), streams=[table], destination=destination)
    result = dg.materialize(assets)
    assert result.success
    with destination.connection, destination.connection.cursor() as cursor:
        cursor.execute(f"SELECT id, name FROM {table}")
        assert cursor.fetchall() == [(1, "test")]
    destination.connection.close()
    metadata = result.asset_materializations_for_node(result.all_node_events[0].node_name or "")[
        0
    ].metadata
    assert metadata["etl_assets/delivery"].value == "at_least_once"
    assert metadata["etl_assets/write_strategy"].value == "append"


PROGRAM = """
import sys
from argparse import ArgumentParser
from tests.mage.postgres_destination import PostgresDestination
PostgresDestination(argument_parser=ArgumentParser(), batch_processing=True).process(sys.stdin.buffer)
"""


def test_source_and_destination_are_a_pipe(table: str, tmp_path: Path) -> None:
    (tmp_path / "postgres.json").write_text(json.dumps(CONNECTION))
    catalog = {"streams": [{**CATALOG["streams"][0], "tap_stream_id": table, "stream": table}]}
    source = run(tmp_path, "-c", "config.json", "--catalog_json", json.dumps(catalog))
    target = subprocess.run(
        [sys.executable, "-c", PROGRAM, "--config", "postgres.json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        input=source.stdout,
        capture_output=True,
        text=True,
        check=False,
    )
    assert target.returncode == 0, target.stderr
    with psycopg2.connect(**CONNECTION) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT id, name FROM {table}")
        assert cursor.fetchall() == [(1, "test")]
    connection.close()


def test_a_destination_that_cannot_connect_says_so_and_passes_no_state_on(tmp_path: Path) -> None:
    (tmp_path / "postgres.json").write_text(json.dumps({**CONNECTION, "port": 1}))
    lines = '{"type": "SCHEMA", "stream": "a", "schema": {}}\n{"type": "STATE", "value": {}}\n'
    target = subprocess.run(
        [sys.executable, "-c", PROGRAM, "--config", "postgres.json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        input=lines,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (target.returncode, target.stdout) == (1, "")
    assert "refused" in target.stderr
