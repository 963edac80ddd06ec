"""Fields that are called like an engine's own columns: loaded under a name of their own, read back as they are."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.destinations.sqlalchemy.destination import SqlDestination
from etl_assets.destinations.warehouses.bigquery import BigQueryDestination
from etl_assets.destinations.warehouses.snowflake import SnowflakeDestination
from etl_assets.model.load import SyncResult
from etl_assets.model.stream import Stream
from etl_assets.sync import sync
from etl_assets.testing.fakes import GivenRead
from tests.pairs.places import DESTINATIONS, destination

NAMES = [
    "xmin", "xmax", "cmin", "cmax", "ctid", "tableoid", "oid", "rowid", "_rowid_", "ROWNUM", "db_row_id", "DB_TRX_ID",
    "db_roll_ptr", "fts_doc_id", "row_start", "_PARTITIONTIME", "_file_name", "_TABLE_SUFFIX", "metadata$action",
    "space ", "space", "space  ", "true", "false", "null", "current_date",
]  # fmt: skip
STREAM = Stream("boxes", primary_key="id")
HASHED = r"_[0-9a-f]{8}\Z"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def loaded(warehouse: DatabaseDestination, rows: list[dict[str, Any]]) -> SyncResult:
    return sync(GivenRead(STREAM, [rows], source_name="shop"), warehouse, strategy="merge")


def named(kind: str, naming: str, folder: Path, stack: ExitStack) -> DatabaseDestination:
    if kind == "sql+sqlite":
        return SqlDestination(
            f"sqlite:///{folder / 'any.sqlite'}", schema_name="main", naming=naming
        )
    made = destination(kind, folder, stack)
    return type(made)(**{**made.options.model_dump(exclude_unset=True), "naming": naming})


@pytest.mark.parametrize("naming", ["pyairbyte", "preserve"])
@pytest.mark.parametrize("kind", [*DESTINATIONS, "sql+sqlite"])
def test_every_value_comes_back(kind: str, naming: str, tmp_path: Path, stack: ExitStack) -> None:
    warehouse = named(kind, naming, tmp_path, stack)
    rows = [
        {"id": i} | {name: i + place / 100 for place, name in enumerate(NAMES)} for i in range(3)
    ]
    result = loaded(warehouse, rows)
    physical = {column.name: column.physical for column in result.columns}
    assert len({name.lower() for name in physical.values()}) == len(NAMES) + 1
    # Each key once more, with values that a merge has to find, and of which the last arrival
    # counts.
    again = [{**row, "xmin": value} for row in rows for value in (None, 1000.5)]
    assert loaded(warehouse, again).records_loaded == len(rows)
    held = warehouse.read_table(warehouse.table_for("shop", STREAM)).to_pylist()
    found = [
        {name: row[column] for name, column in physical.items()}
        for row in sorted(held, key=lambda r: r["id"])
    ]
    assert found == [{**row, "xmin": 1000.5} for row in rows]


@pytest.mark.parametrize("kind", ["sqlite", "duckdb", "postgresql", "mysql"])
def test_a_column_called_rowid_is_widened_as_any(
    kind: str, tmp_path: Path, stack: ExitStack
) -> None:
    warehouse = destination(kind, tmp_path, stack)
    loaded(warehouse, [{"id": i, "rowid": 7, "oid": 7, "x": i} for i in range(4)])
    loaded(warehouse, [{"id": 9, "rowid": 7, "oid": 7, "x": "text"}])
    held = warehouse.read_table(warehouse.table_for("shop", STREAM)).to_pylist()
    assert sorted((row["id"], row["rowid"], row["x"]) for row in held) == [
        (0, 7, "0"), (1, 7, "1"), (2, 7, "2"), (3, 7, "3"), (9, 7, "text"),
    ]  # fmt: skip


def physical(warehouse: DatabaseDestination, name: str) -> str:
    return warehouse.column_identifiers([name], {}, ())[name]


def test_what_each_engine_keeps_for_itself() -> None:
    bigquery = BigQueryDestination(project="p")
    for name in (
        "_PARTITIONTIME",
        "_PARTITIONDATE",
        "_TABLE_SUFFIX",
        "_file_name",
        "_ROW_TIMESTAMP",
        "__ROOT__x",
    ):
        found = physical(bigquery, name)
        assert re.search(r"\Ac_.*" + HASHED, found), name
    assert re.search(HASHED, physical(bigquery, "_CHANGE_TYPE"))
    assert physical(bigquery, "xmin") == "xmin"
    snowflake = SnowflakeDestination(
        account="a",
        user="u",
        password="p",  # noqa: S106
        database="d",
        naming="preserve",
    )
    assert re.search(r"\Ac_METADATA\$ACTION" + HASHED, physical(snowflake, "METADATA$ACTION"))
    postgres = SqlDestination(
        "postgresql+psycopg://nobody@127.0.0.1/none", schema_name="s", naming="preserve"
    )
    assert re.search(HASHED, physical(postgres, "ctid"))
    assert physical(postgres, "CTID") == "CTID"
    assert physical(postgres, "_rowid_") == "_rowid_"


def test_a_name_that_was_given_before_stays() -> None:
    bigquery = BigQueryDestination(project="p")
    assert bigquery.column_identifiers(["_file_x"], {"_file_x": "_file_x"}, ()) == {
        "_file_x": "_file_x"
    }
    assert bigquery.identifier("_file_x") == "_file_x", "tables are called as they like"
