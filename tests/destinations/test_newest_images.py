"""Several images of a key in one read: the newest by the replication key is merged, whichever came last."""

import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
from typing_extensions import override

from etl_assets import BigQueryCache, DuckDBDestination, Source, stream_assets
from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.destinations.warehouses.bigquery import BigQueryDestination
from etl_assets.exceptions import DataError
from etl_assets.model.batch import Batch
from etl_assets.model.events import Checkpoint, Records, StreamEnd
from etl_assets.model.stream import Stream
from etl_assets.sync import resolve_start, sync
from etl_assets.sync_source import StreamPlan, sync_source
from etl_assets.testing.fakes import GivenRead
from tests.bigqueries import FakeBigQuery
from tests.pairs.places import DESTINATIONS, destination

STREAM = Stream("s", primary_key="id", replication_key="u")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def load(
    warehouse: DatabaseDestination, batches: Sequence[Any], stream: Stream = STREAM, **options: Any
) -> list[dict[str, Any]]:
    """Load batches, with a commit at each that has a bookmark; gives the table."""
    read = GivenRead(stream, batches, source_name="shop")
    sync(read, warehouse, strategy="merge", checkpoint_seconds=0, **options)
    table = warehouse.read_table(warehouse.table_for("shop", stream))
    rows = [
        {k: v for k, v in row.items() if not k.startswith("_etl_assets")}
        for row in table.to_pylist()
    ]
    return sorted(rows, key=lambda row: row[stream.primary_key[0]])


def committed(rows: list[dict[str, Any]], number: int) -> Batch:
    return Batch(rows, bookmark={"page": number})


@pytest.mark.parametrize("kind", DESTINATIONS)
def test_newest_first(kind: str, tmp_path: Path, stack: ExitStack) -> None:
    warehouse = destination(kind, tmp_path, stack)
    rows = [
        {"id": 1, "u": 5, "x": "new"},
        {"id": 2, "u": 4, "x": "only"},
        {"id": 1, "u": 3, "x": "old"},
    ]
    assert load(warehouse, [rows]) == [rows[0], rows[1]]
    assert load(warehouse, [rows]) == [rows[0], rows[1]]


@pytest.mark.parametrize("kind", DESTINATIONS)
def test_an_older_image_at_a_later_checkpoint(kind: str, tmp_path: Path, stack: ExitStack) -> None:
    warehouse = destination(kind, tmp_path, stack)
    pages = [
        committed([{"id": 1, "u": 9, "x": "new"}, {"id": 2, "u": 8, "x": "two"}], 1),
        committed([{"id": 3, "u": 7, "x": "three"}, {"id": 2, "u": 6, "x": "old"}], 2),
        committed([{"id": 1, "u": 5, "x": "old"}, {"id": 3, "u": 7, "x": "tie"}], 3),
    ]
    expected = [
        {"id": 1, "u": 9, "x": "new"},
        {"id": 2, "u": 8, "x": "two"},
        {"id": 3, "u": 7, "x": "tie"},
    ]
    assert load(warehouse, pages) == expected


@pytest.mark.parametrize("kind", DESTINATIONS)
def test_an_image_that_was_there_already_and_came_again_is_of_this_read(
    kind: str, tmp_path: Path, stack: ExitStack
) -> None:
    warehouse = destination(kind, tmp_path, stack)
    newest = {"id": 1, "u": 9, "x": "new"}
    load(warehouse, [[newest]])
    pages = [committed([newest], 1), committed([{"id": 1, "u": 5, "x": "old"}], 2)]
    assert load(warehouse, pages) == [newest]


@pytest.mark.parametrize("kind", DESTINATIONS)
def test_an_image_of_an_earlier_sync_is_replaced(
    kind: str, tmp_path: Path, stack: ExitStack
) -> None:
    warehouse = destination(kind, tmp_path, stack)
    load(warehouse, [[{"id": 1, "u": 9, "x": "before"}]])
    assert load(warehouse, [[{"id": 1, "u": 5, "x": "set back"}]]) == [
        {"id": 1, "u": 5, "x": "set back"}
    ]


@pytest.mark.parametrize("kind", DESTINATIONS)
def test_the_order_of_arrival_where_it_was_asked_for(
    kind: str, tmp_path: Path, stack: ExitStack
) -> None:
    warehouse = destination(kind, tmp_path, stack)
    rows = [{"id": 1, "u": 5, "x": "first"}, {"id": 1, "u": 3, "x": "last"}]
    assert load(warehouse, [rows], repeated_keys="last") == [rows[1]]


@pytest.mark.parametrize("kind", DESTINATIONS)
@pytest.mark.parametrize("repeated_keys", ["newest", "last"])
def test_a_full_refresh_holds_each_key_once(
    repeated_keys: Any, kind: str, tmp_path: Path, stack: ExitStack
) -> None:
    warehouse = destination(kind, tmp_path, stack)
    rows = [
        {"id": 1, "u": 5, "x": "new"},
        {"id": 2, "u": 4, "x": "only"},
        {"id": 1, "u": 3, "x": "old"},
    ]
    load(warehouse, [rows])
    read = GivenRead(STREAM, [rows], source_name="shop")
    start = resolve_start(read, warehouse, full_refresh=True)
    result = sync(read, warehouse, start=start, repeated_keys=repeated_keys)
    assert (result.strategy, result.rows_in_table) == ("replace", 2)
    found = warehouse.read_table(warehouse.table_for("shop", STREAM)).to_pylist()
    assert {row["x"] for row in found} == {"only", "new" if repeated_keys == "newest" else "old"}


@pytest.mark.parametrize(
    "stream",
    [
        Stream("log", primary_key="id", replication_key="u", replication_method="LOG_BASED"),
        Stream(
            "cdc",
            primary_key="id",
            replication_key="u",
            schema={
                "type": "object",
                "properties": {
                    "id": {"type": "integer"},
                    "u": {"type": "integer"},
                    "_ab_cdc_lsn": {"type": "number"},
                },
            },
        ),
    ],
    ids=lambda stream: stream.name,
)
def test_a_log_goes_by_its_order(stream: Stream, tmp_path: Path) -> None:
    warehouse = DuckDBDestination(str(tmp_path / "w.duckdb"))
    found = load(warehouse, [[{"id": 1, "u": 5}, {"id": 1, "u": 3}]], stream)
    assert [(row["id"], row["u"]) for row in found] == [(1, 3)]


@pytest.mark.parametrize(
    ("cursors", "newest"),
    [
        ([5, None], 1),
        ([None, 5], 1),
        ([5, None, 3], 1),
        ([5, 3, None], 2),
        ([3, None, 5], 2),
        ([None, 3, 5, 4, None, 1], 4),
        ([None, 5, 3], 1),
        ([5, 5], 1),
        ([5, 3, 5, 4], 2),
        ([None, None], 1),
        ([3, 7, None, 2, 6, 1], 2),
        ([3, None, 7, 2, None, 7], 5),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_ties_and_nulls_go_by_arrival(
    cursors: list[int | None], newest: int, at_once: bool, tmp_path: Path
) -> None:
    warehouse = DuckDBDestination(str(tmp_path / "w.duckdb"))
    # Another row each time, so that the read has a replication key at all.
    images: list[list[dict[str, Any]]] = [
        [{"id": 1, "u": u, "x": place}, {"id": 100 + place, "u": 9, "x": 0}]
        for place, u in enumerate(cursors)
    ]
    every = [row for rows in images for row in rows]
    pages = [every] if at_once else [committed(rows, page) for page, rows in enumerate(images)]
    assert [row["x"] for row in load(warehouse, pages) if row["id"] == 1] == [newest]


WHEN = datetime(2026, 1, 1, tzinfo=UTC)
VALUES: dict[str, list[Any]] = {
    "integers": list(range(-3, 6)),
    "doubles": [-1.5, 0.0, 2.25, 1e300],
    "decimals": [Decimal("9.50"), Decimal("10.25"), Decimal("-1.75")],
    "texts": ["9", "10", "é", "z", "Z", ""],
    "instants": [WHEN + timedelta(microseconds=n) for n in (0, 1, 10, 1_000_000)],
    "dates": [(WHEN + timedelta(days=n)).date() for n in (0, 9, 10, 400)],
}


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("composite", [False, True])
def test_any_order_of_pages(kind: str, composite: bool, tmp_path: Path) -> None:
    """Against the rule: none that another one has a greater key than; of the others the last to come."""
    chance = random.Random(f"{kind} {composite}")
    by = ["u", "v"] if composite else ["u"]
    keys = ["id", "part"] if composite else ["id"]
    stream = Stream("s", primary_key=keys, replication_key=by[0], bookmark_properties=by)
    warehouse: DatabaseDestination = DuckDBDestination(
        str(tmp_path / "w.duckdb"), staging_memory_bytes=2000
    )
    images: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    pages = []
    for page in range(12):
        rows = [
            {
                "id": chance.randrange(8),
                "part": chance.choice("aA"),
                "u": chance.choice([*VALUES[kind], *([None] if page % 3 == 0 else [])]),
                "v": chance.randrange(3),
                "x": f"{page}/{number}",
            }
            for number in range(chance.randrange(1, 9))
        ]
        for row in rows:
            images.setdefault(tuple(row[name] for name in keys), []).append(row)
        table = pa.Table.from_pylist(rows, schema=pa.schema([("id", pa.int64()), ("part", pa.string()),
            ("u", pa.array(VALUES[kind]).type), ("v", pa.int64()), ("x", pa.string())]))  # fmt: skip
        pages.append(Batch(table, bookmark={"page": page} if chance.random() < 0.5 else None))
    read = GivenRead(stream, pages, source_name="shop")
    sync(read, warehouse, strategy="merge", checkpoint_seconds=0)
    expected = {}
    for key, rows in images.items():
        cursors = [[row[name] for name in by] for row in rows]
        greatest = max((one for one in cursors if None not in one), default=None)
        left = [
            row for row, one in zip(rows, cursors, strict=True) if None in one or one == greatest
        ]
        expected[key] = left[-1]["x"]
    found = warehouse.read_table(warehouse.table_for("shop", stream)).to_pylist()
    assert {tuple(row[name] for name in keys): row["x"] for row in found} == expected
    assert len(found) == len(expected)


def test_streams_that_are_read_together(tmp_path: Path) -> None:
    class Together:
        source_name = "shop"
        streams = (STREAM,)

        def open(self, state: Any) -> Iterator[Any]:
            del state
            yield Records(STREAM, Batch([{"id": 1, "u": 9, "x": "new"}]))
            yield Checkpoint({"page": 1}, (STREAM.key,))
            yield Records(STREAM, Batch([{"id": 1, "u": 5, "x": "old"}]))
            yield Checkpoint({"page": 2}, (STREAM.key,))
            yield StreamEnd(STREAM)

    warehouse = DuckDBDestination(str(tmp_path / "w.duckdb"))
    plans = {STREAM.key: StreamPlan(strategy="merge")}
    read: Any = Together()
    results = list(sync_source(read, warehouse, plans=plans, checkpoint_seconds=0))
    assert [one.result.commits >= 2 for one in results] == [True]
    found = warehouse.read_table(warehouse.table_for("shop", STREAM)).to_pylist()
    assert [(row["u"], row["x"]) for row in found] == [(9, "new")]


def test_the_option_of_an_asset(tmp_path: Path) -> None:
    class Newest(Source):
        streams = [STREAM, Stream("t", primary_key="id", replication_key="u")]
        is_sorted = False

        @override
        def load_data(
            self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
        ) -> Iterator[Any]:
            yield [{"id": 1, "u": 5}, {"id": 1, "u": 3}]

    warehouse = DuckDBDestination(str(tmp_path / "w.duckdb"))
    assets = stream_assets(
        Newest(name="shop"), destination=warehouse, options={"t": {"repeated_keys": "last"}}
    )
    assert dg.materialize(assets).success
    found = [
        warehouse.read_table(warehouse.table_for("shop", stream)).column("u").to_pylist()
        for stream in Newest.streams
    ]
    assert found == [[5], [3]]
    with pytest.raises(Exception, match="repeated_keys cannot be 'first'"):
        stream_assets(
            Newest(name="shop"), destination=warehouse, options={"t": {"repeated_keys": "first"}}
        )


@pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result")  # of the stand-in's
@pytest.mark.parametrize("at_once", [True, False])
def test_a_warehouse_that_stages_before_it_publishes(
    at_once: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeBigQuery()
    monkeypatch.setattr(BigQueryDestination, "connect", lambda _: fake)
    warehouse = BigQueryCache(project_name="p", dataset_name="d", cache_dir=tmp_path).destination
    rows = [{"id": 1, "u": 5, "x": "new"}, {"id": 1, "u": 3, "x": "old"}]
    pages = [rows] if at_once else [committed([row], page) for page, row in enumerate(rows)]
    assert [(row["id"], row["x"]) for row in load(warehouse, pages)] == [(1, "new")]


def test_a_replication_key_that_is_kept_as_text_is_refused(tmp_path: Path) -> None:
    stream = Stream("s", primary_key="id", replication_key="u")
    table = pa.table(
        {
            "id": [1, 1],
            "u": pa.array([Decimal("9" * 45), Decimal("1" + "0" * 45)], pa.decimal256(50, 0)),
        }
    )
    warehouse = DuckDBDestination(str(tmp_path / "w.duckdb"))
    with pytest.raises(
        DataError, match=r"field 'u': a replication key of more than 38 digits.*decimal256\(50, 0\)"
    ):
        sync(GivenRead(stream, [Batch(table)], source_name="shop"), warehouse, strategy="merge")
