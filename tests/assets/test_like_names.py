"""Streams whose tables would be called alike: each has its own, whichever was loaded first."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
from typing_extensions import override

from etl_assets import (
    DuckDBCache,
    DuckDBDestination,
    DuckDBIOManager,
    Source,
    Stream,
    stream_assets,
)
from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.model.batch import Batch
from etl_assets.model.load import Load
from etl_assets.naming import with_hash
from etl_assets.strategies import WriteStrategy
from etl_assets.sync import new_load_id, resolve_start, sync
from etl_assets.testing.fakes import GivenRead
from tests.pairs.places import DESTINATIONS, destination


class Alike(Source):
    streams = [
        Stream(name, primary_key="id", replication_key="n")
        for name in ("a.b", "a-b", "a b", "other")
    ]

    @override
    def load_data(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        yield [{"id": 1, "n": 1, "of": stream.name}]


def tables(warehouse: DatabaseDestination) -> dict[str, list[str]]:
    """Return the streams whose rows are in each table of ours, by the table."""
    with warehouse.transaction() as tx:
        found = {
            state.table.name: sorted(set(tx.read(state.table, ["of"]).column("of").to_pylist()))
            for state in warehouse.ledger(tx).states()
        }
        schema = next(iter(warehouse.ledger(tx).states())).table.schema
        assert {name for name in tx.tables(schema) if not name.startswith("_etl_assets")} == set(
            found
        )
    return found


def load_one(warehouse: DatabaseDestination, name: str) -> None:
    assets = stream_assets(Alike(name="shop"), destination=warehouse)
    key = next(k for asset in assets for k in asset.keys if k.path[-1] == name)
    assert dg.materialize(assets, selection=dg.AssetSelection.assets(key)).success


@pytest.mark.parametrize("kind", DESTINATIONS)
@pytest.mark.parametrize("order", [["a.b", "a-b", "a b"], ["a b", "a-b", "a.b"]])
def test_assets_in_any_order(kind: str, order: list[str], tmp_path: Path) -> None:
    with ExitStack() as stack:
        warehouse = destination(kind, tmp_path, stack)
        for name in [*order, *order]:
            load_one(warehouse, name)
        prefix = "shop__" if kind == "sqlite" else ""
        plain = f"{prefix}a_b"
        assert tables(warehouse) == {
            plain: ["a b"],
            with_hash(plain, "a.b", 63): ["a.b"],
            with_hash(plain, "a-b", 63): ["a-b"],
        }


@pytest.mark.parametrize("order", [["a.b", "a-b"], ["a-b", "a.b"]])
def test_a_script_in_any_order(order: list[str], tmp_path: Path) -> None:
    cache = DuckDBCache(db_path=tmp_path / "cache.duckdb")
    for name in [*order, *order]:
        result = Alike(name="shop").read(cache, streams=[name])
        assert [row["of"] for row in result[name]] == [name]
    assert [row["of"] for name in order for row in cache[name]] == order
    assert tables(cache.destination) == {
        with_hash("a_b", "a.b", 63): ["a.b"],
        with_hash("a_b", "a-b", 63): ["a-b"],
    }


@pytest.mark.parametrize("kind", DESTINATIONS)
def test_a_stream_keeps_the_table_that_the_ledger_knows(kind: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        warehouse = destination(kind, tmp_path, stack)
        alone = Stream("a.b", primary_key="id", replication_key="n")
        read = GivenRead(alone, [[{"id": 1, "n": 1, "of": "a.b"}]], source_name="shop")
        assert sync(read, warehouse).records_loaded == 1
        plain = next(iter(tables(warehouse)))
        for name in ("a-b", "a.b", "a b"):
            load_one(warehouse, name)
        found = tables(warehouse)
        assert found[plain] == ["a.b"]
        assert sorted(found.values()) == [["a b"], ["a-b"], ["a.b"]]
        again = sync(read, warehouse)
        assert (again.records_loaded, again.rows_in_table) == (0, 1)


@pytest.mark.parametrize("kind", DESTINATIONS)
def test_names_that_differ_in_case_alone(kind: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        made = destination(kind, tmp_path, stack)
        warehouse = type(made)(
            **{**made.options.model_dump(exclude_unset=True), "naming": "preserve"}
        )
        for name in ("Orders", "orders", "ORDERS", "Orders"):
            stream = Stream(name, primary_key="id")
            sync(
                GivenRead(stream, [[{"id": 1, "of": name}]], source_name="shop"),
                warehouse,
                strategy="merge",
            )
        found = tables(warehouse)
        assert sorted(found.values()) == [["ORDERS"], ["Orders"], ["orders"]]
        assert len({name.lower() for name in found}) == 3


def test_two_streams_in_one_session(tmp_path: Path) -> None:
    warehouse = DuckDBDestination(str(tmp_path / "w.duckdb"))
    loads = [
        Load("shop", Stream(name), WriteStrategy.APPEND, new_load_id()) for name in ("a.b", "a-b")
    ]
    with warehouse.session(loads) as session:
        for load in loads:
            session.export(Batch([{"of": load.stream.name}]), load)
        session.commit({load.load_id: None for load in loads}, complete=True)
    assert sorted(tables(warehouse).values()) == [["a-b"], ["a.b"]]


def test_an_asset_reads_the_table_of_its_own_stream(tmp_path: Path) -> None:
    """Also where the ledger knows another table than the definitions say by themselves."""
    warehouse = DuckDBDestination(str(tmp_path / "w.duckdb"))
    first = GivenRead(
        Stream("a.b", primary_key="id", replication_key="n"), [[{"id": 1, "n": 1, "of": "a.b"}]]
    )
    first.source_name = "shop"
    sync(first, warehouse)
    seen: dict[str, Sequence[str]] = {}

    def downstream(name: str) -> Any:
        @dg.asset(
            name=f"of_{name.encode().hex()}",
            ins={"rows": dg.AssetIn(key=dg.AssetKey(["shop", name]))},
        )
        def read(rows: pa.Table) -> None:
            seen[name] = rows.column("of").to_pylist()

        return read

    names = ["a.b", "a-b", "a b"]
    definitions = [
        *stream_assets(Alike(name="shop"), destination=warehouse),
        *map(downstream, names),
    ]
    assert dg.materialize(definitions).success
    assert seen == {name: [name] for name in names}


def test_with_a_destination_that_is_a_resource(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    assets = stream_assets(Alike(name="shop"), io_manager_key="warehouse")
    assert dg.materialize(assets, resources={"warehouse": DuckDBIOManager(path=str(path))}).success
    assert sorted(tables(DuckDBDestination(str(path))).values()) == [
        ["a b"],
        ["a-b"],
        ["a.b"],
        ["other"],
    ]


def test_a_table_that_was_named_is_refused_where_it_is_another_streams(tmp_path: Path) -> None:
    warehouse = DuckDBDestination(str(tmp_path / "w.duckdb"))
    load_one(warehouse, "other")
    read = GivenRead(Stream("x"), [[{"id": 1}]], source_name="shop")
    table = warehouse.table_for("shop", Stream("other"))
    with pytest.raises(Exception, match="another stream of the same source, 'other'"):
        sync(read, warehouse, start=resolve_start(read, warehouse, table=table), table=table)
