"""Connectors from PyPI, installed once, and the databases that what they send is read back from."""

import contextlib
import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg
import duckdb
import psycopg
import pytest
from psycopg.types.json import set_json_loads

from etl_assets import stream_assets
from etl_assets.connectors.executors import PythonExecutor
from etl_assets.destinations.base import Destination
from etl_assets.destinations.connector import ConnectorDestination
from etl_assets.destinations.connectors import get_destination
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.destinations.postgres.destination import PostgresDestination
from etl_assets.exceptions import ConfigError, ConnectorError, ProtocolError
from etl_assets.model.catalog import Catalog
from etl_assets.model.json.lines import exact_json
from etl_assets.naming import normalise
from etl_assets.sources.connector import ConnectorSource
from etl_assets.sources.connectors import get_source
from tests.servers import POSTGRES, postgres_schema

ROOT = Path(__file__).parents[2]
WHERE = os.environ.get("ETL_ASSETS_TEST_CONNECTORS", str(ROOT / ".etl_assets" / "test-connectors"))
Rows = list[dict[str, Any]]
C = TypeVar("C", ConnectorSource, ConnectorDestination)


def source_of(name: str, config: Mapping[str, Any], **options: Any) -> ConnectorSource:
    """Return an installed connector; where it cannot be installed, the test is skipped, unless services are required."""
    return _installed(get_source(name, config, install_root=WHERE, **options))


def target_of(name: str, config: Mapping[str, Any], **options: Any) -> ConnectorDestination:
    """Return an installed target, as `source_of`."""
    return _installed(get_destination(name, config, install_root=WHERE, **options))


def _installed(connector: C) -> C:
    try:
        connector.install()
    except (ConfigError, ConnectorError) as error:
        if os.environ.get("ETL_ASSETS_REQUIRE_SERVICES") or "does not start" in str(error):
            raise
        pytest.skip(f"{connector.connector_name} cannot be installed here: {str(error)[-300:]}")
    return connector


def overheard(
    source: ConnectorSource, folder: Path
) -> tuple[ConnectorSource, Callable[[], dict[str, Rows]]]:
    """Return an Airbyte source of which a copy is kept of all that it says, and what gives the records it has sent."""
    executor = source.executor
    assert isinstance(executor, PythonExecutor)
    copy, program = folder / "said", folder / source.connector_name
    command = shlex.join(executor.command())
    program.write_text(
        f'#!/bin/bash\nset -o pipefail\n{command} "$@" | tee -a {shlex.quote(str(copy))}\n'
    )
    program.chmod(0o700)
    listening = get_source(source.connector_name, source.config, local_executable=program)

    def sent() -> dict[str, Rows]:
        found: dict[str, Rows] = {}
        for line in copy.read_bytes().split(b"\n"):
            message = exact_json(line) if line.startswith(b'{"type":"RECORD"') else None
            if message is not None:
                found.setdefault(message["record"]["stream"], []).append(message["record"]["data"])
        return found

    return listening, sent


@dataclass(frozen=True)
class Place:
    """A database that assets are loaded into, and that its own client reads.

    Args:
        name: Of the sources whose tables are in it, and so of their schema; nobody else's.
        destination: Loads into it.
        ask: Gives the rows that a query selects.
    """

    name: str
    destination: Destination
    ask: Callable[[str], Rows]

    def rows(self, stream: str) -> Rows:
        """Return all rows of a stream's table."""
        return self.ask(f'SELECT * FROM "{self.name}"."{normalise(stream)}"')


@contextlib.contextmanager
def place(engine: str, folder: Path) -> Iterator[Place]:
    """Yield an empty database of an engine: `duckdb` or `postgres`."""
    with contextlib.nullcontext("arrived") if engine == "duckdb" else postgres_schema() as name:
        if engine == "postgres":
            state = {"state_schema": f"{name}_state"}
            yield Place(
                name,
                PostgresDestination(POSTGRES, staging_dir=str(folder / "staging"), **state),
                _postgres,
            )
        else:
            path = str(folder / "w.duckdb")
            yield Place(name, DuckDBDestination(path), lambda query: _duckdb(path, query))


def _duckdb(path: str, query: str) -> Rows:
    with duckdb.connect(path, read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found: Rows = connection.sql(query).to_arrow_table().to_pylist()
        return found


def _postgres(query: str) -> Rows:
    with psycopg.connect(POSTGRES.replace("+psycopg", "")) as connection:
        set_json_loads(exact_json, connection)
        connection.execute("SET TimeZone = 'UTC'")
        cursor = connection.execute(query.encode())
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def materialized(
    source: ConnectorSource,
    destination: Destination,
    instance: dg.DagsterInstance,
    catalog: Catalog | None = None,
) -> dict[str, Mapping[str, Any]]:
    """Materialize all streams of a source; give the metadata of each event, by the last word of its key."""
    found = catalog or source.discover()
    names = [stream.full_name for stream in found.values()]
    assets = stream_assets(source, destination=destination, catalog=found, streams=names)
    result = dg.materialize(assets, instance=instance)
    events = result.get_asset_materialization_events()
    return {
        event.materialization.asset_key.path[-1]: {
            name: value.value for name, value in event.materialization.metadata.items()
        }
        for event in events
    }


def differences(wanted: Rows, stored: Rows, key: str | None) -> list[Any]:
    """Return the records of which not every value was stored as it was sent, and how often each table row is too much."""
    if len(wanted) != len(stored):
        return [f"{len(wanted)} records, {len(stored)} rows"]
    by_key = {row[key]: row for row in stored} if key else {}
    wrong = []
    for record in wanted:
        rows = [by_key[record[key]]] if key and record[key] in by_key else [] if key else stored
        if not any(
            all(same(value, row[_column(name, row)]) for name, value in record.items())
            for row in rows
        ):
            wrong.append((record, rows[:1]))
    return wrong


def _column(name: str, row: Mapping[str, Any]) -> str:
    """Return the column of a field; a long name is cut, and ends in a hash."""
    whole = normalise(name)
    return (
        whole
        if whole in row
        else next(one for one in row if len(one) > 50 and one[:50] == whole[:50])
    )


def same(value: Any, stored: Any) -> bool:
    """Tell whether what is stored is what was sent: itself, its JSON, or the moment that a text says."""
    if stored is None or value is None:
        return stored is value
    if stored == value:
        return type(stored) is not bool or type(value) is bool
    if isinstance(stored, datetime):
        sent_at = datetime.fromisoformat(value)
        return bool((sent_at if stored.tzinfo else sent_at.replace(tzinfo=None)) == stored)
    if isinstance(stored, date | time):
        return bool(stored.isoformat() == value)
    if isinstance(stored, Decimal):
        return bool(stored == Decimal(str(value)))
    if isinstance(stored, str):
        with contextlib.suppress(ProtocolError):
            return bool(exact_json(stored) == value)
    return False
