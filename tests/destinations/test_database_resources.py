"""The databases as Dagster resources: loaded into, and read back as what the next asset asks for."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from etl_assets import (
    MySQLIOManager,
    PostgresIOManager,
    Source,
    SqlIOManager,
    SQLiteIOManager,
    Stream,
    stream_assets,
)
from etl_assets.exceptions import DataError
from etl_assets.sync import sync
from etl_assets.testing.fakes import GivenRead
from etl_assets.testing.place import Place
from tests.faults.places import PLACES, FirebirdPlace
from tests.servers import MYSQL, POSTGRES, mysql_schema, postgres_schema


class Crm(Source):
    streams = [Stream("users", primary_key="id", replication_key="id")]

    def load_data(
        self,
        stream: Stream,
        bookmarks: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Iterator[Any]:
        yield [{"id": n, "name": f"é {n}", "price": n / 3, "tags": ["a", n]} for n in range(3)]


@pytest.fixture(params=["postgresql", "mysql", "sqlite", "sql"])
def resource(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    staging = str(tmp_path / "staging")
    if request.param == "postgresql":
        with postgres_schema() as name:
            yield PostgresIOManager(
                url=POSTGRES, schema_name=name, state_schema=name, staging_dir=staging
            )
    elif request.param == "mysql":
        with mysql_schema() as name:
            yield MySQLIOManager(
                url=MYSQL, schema_name=name, state_schema=name, staging_dir=staging
            )
    elif request.param == "sqlite":
        yield SQLiteIOManager(path=str(tmp_path / "x.sqlite"))
    else:
        yield SqlIOManager(url=f"sqlite:///{tmp_path / 'y.sqlite'}", staging_dir=staging)


def test_loaded_and_read_back_as_what_is_asked_for(resource: Any) -> None:
    seen: dict[str, Any] = {}

    @dg.asset(ins={"users": dg.AssetIn(key=["crm", "users"])})
    def as_pandas(users: pd.DataFrame) -> None:
        seen["pandas"] = sorted(users["name"])

    @dg.asset(ins={"users": dg.AssetIn(key=["crm", "users"])})
    def as_polars(users: pl.DataFrame) -> None:
        seen["polars"] = sorted(users["price"])

    @dg.asset(ins={"users": dg.AssetIn(key=["crm", "users"], metadata={"columns": ["id", "tags"]})})
    def as_arrow(users: pa.Table) -> None:
        seen["arrow"] = sorted((int(row["id"]), row["tags"]) for row in users.to_pylist())

    assets = [
        *stream_assets(Crm(name="crm"), io_manager_key="warehouse"),
        as_pandas,
        as_polars,
        as_arrow,
    ]
    for loaded in (3, 0):
        result = dg.materialize(
            assets, resources={"warehouse": resource, "io_manager": dg.mem_io_manager}
        )
        assert result.success
        event = result.asset_materializations_for_node("crm__users")[0]
        assert event.metadata["etl_assets/records_loaded"].value == loaded
        assert event.metadata["dagster/row_count"].value == 3
    assert seen == {
        "pandas": ["é 0", "é 1", "é 2"],
        "polars": [0.0, 1 / 3, 2 / 3],
        "arrow": [(0, '["a",0]'), (1, '["a",1]'), (2, '["a",2]')],
    }


@pytest.mark.parametrize(
    "kind", [kind for kind in PLACES if kind is not FirebirdPlace]
)  # has no JSON: text holds all
def test_what_no_common_form_can_hold_is_refused_by_name(kind: type[Place], tmp_path: Path) -> None:
    place = kind(tmp_path)
    try:
        read = GivenRead(Stream("things"), [[{"x": False}, {"x": "text"}], [{"x": float("inf")}]])
        with pytest.raises(DataError, match=r"stream 'things', field 'x'"):
            sync(read, place.destination(), strategy="append")
        assert place.left_over() == []
    finally:
        place.drop()
